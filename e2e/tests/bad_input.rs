//! What goes wrong on the outside gets a clear answer: in the protocol's words for a peer, with the file, key or
//! address and the remedy for an operator.

use std::fs;
use std::net::TcpListener;
use std::process::Output;

use reveille_e2e::{PushParams, Reveille, SipClient, Transport, new_token};
use tempfile::TempDir;

/// Runs `check` and `serve` with a configuration that is wrong, and returns what each said.
fn refusals(config: &str) -> Vec<String> {
    let folder = TempDir::with_prefix("reveille-config-").expect("a temporary directory");
    let file = folder.path().join("reveille.toml");
    fs::write(&file, config).expect("a file of our own");
    let file = file.display().to_string();
    let server = Reveille::new();
    ["check", "serve"]
        .map(|command| refusal(&server.run(&[command, "--config", &file])))
        .to_vec()
}

/// What a command said that must have failed with status 1.
fn refusal(output: &Output) -> String {
    let said = [&output.stdout[..], &output.stderr[..]]
        .map(String::from_utf8_lossy)
        .concat();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

fn assert_says(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "{word:?} is missing in:\n{said}");
    }
}

#[test]
fn a_wrong_key_is_named_with_its_line_and_the_nearest_known_one() {
    for said in refusals("[call]\nwake_timeot = \"13s\"\n") {
        assert_says(
            &said,
            &["reveille.toml", "line 2", "wake_timeot", "wake_timeout"],
        );
    }
}

#[test]
fn a_wrong_value_is_named_with_what_it_should_be() {
    for said in refusals("[call]\nwake_timeout = \"soon\"\n") {
        assert_says(&said, &["reveille.toml", "soon", "13s"]);
    }
}

#[test]
fn a_certificate_that_cannot_be_read_is_named() {
    let config = "[tls]\ncertificate = \"/nowhere/chain.pem\"\nkey = \"/nowhere/key.pem\"\n";
    for said in refusals(config) {
        assert_says(&said, &["/nowhere/chain.pem"]);
    }
}

#[test]
fn a_file_that_is_no_certificate_is_named() {
    let folder = TempDir::with_prefix("reveille-pem-").expect("a temporary directory");
    let chain = folder.path().join("chain.pem").display().to_string();
    fs::write(&chain, "this is no certificate\n").expect("a file of our own");
    for said in refusals(&format!(
        "[tls]\ncertificate = \"{chain}\"\nkey = \"{chain}\"\n"
    )) {
        assert_says(&said, &[&chain]);
    }
}

#[test]
fn a_port_in_use_is_named() {
    let server = Reveille::new();
    let address = server.address("sip_tcp");
    let _other = TcpListener::bind(address).expect("a free port");
    let said = refusal(&server.run(&["serve", "--dev"]));
    assert_says(&said, &[&address.to_string(), "in use"]);
}

#[test]
fn a_command_that_does_not_exist_is_wrong_usage() {
    let output = Reveille::new().run(&["wakeup"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn an_unknown_user_is_not_found() {
    let server = Reveille::started();
    let mut alice = SipClient::udp("alice", server.sip(Transport::Udp));
    for method in ["INVITE", "MESSAGE"] {
        let uri = "sip:nobody@localhost";
        let answer = alice.request(method, uri, uri, &[("Contact", &alice.contact(""))], "");
        assert_eq!(answer.status, 404, "{}", answer.text);
    }
}

#[test]
fn a_wrong_password_and_an_unknown_name_are_answered_alike() {
    let server = Reveille::started();
    let address = server.sip(Transport::Udp);
    let mut wrong = SipClient::udp("alice", address).with_password("guess");
    let mut nobody = SipClient::udp("nobody", address);
    let [wrong, nobody] = [wrong.register("").status, nobody.register("").status];
    assert!(matches!(wrong, 401 | 403), "{wrong}");
    assert_eq!(wrong, nobody, "the answer tells which names exist");
    let mut right = SipClient::udp("alice", address);
    assert_eq!(right.register("").status, 200);
    assert_eq!(right.bindings().len(), 1);
}

#[test]
fn nobody_registers_or_calls_in_anothers_name() {
    let server = Reveille::started();
    let mut alice = SipClient::udp("alice", server.sip(Transport::Udp));
    let contact = alice.contact("");
    let answer = alice.request(
        "REGISTER",
        "sip:localhost",
        "sip:bob@localhost",
        &[("Contact", &contact)],
        "",
    );
    assert_eq!(answer.status, 403, "{}", answer.text);
}

#[test]
fn a_token_of_an_app_that_is_not_configured_is_refused_with_555() {
    let server = Reveille::started();
    let mut bob = SipClient::udp("bob", server.sip(Transport::Udp));
    for (provider, param) in [
        ("apns", "TEAM123456.com.example.other.voip"),
        ("apns", "OTHERTEAM1.com.example.phone.voip"),
        ("fcm", "other-project"),
        ("pigeon", "loft"),
    ] {
        let push = PushParams {
            provider: provider.to_owned(),
            param: param.to_owned(),
            prid: new_token(),
        };
        let answer = bob.register(&push.in_uri());
        assert_eq!(answer.status, 555, "{provider} {param}: {}", answer.text);
    }
    assert!(bob.bindings().is_empty());
}

/// A request as `lines` make it; every line gets its line end.
fn raw(lines: &[&str]) -> Vec<u8> {
    lines
        .iter()
        .flat_map(|line| [line.as_bytes(), b"\r\n"].concat())
        .collect()
}

#[test]
fn malformed_requests_are_answered_in_the_protocols_words() {
    let mut server = Reveille::started();
    let mut client = SipClient::udp("alice", server.sip(Transport::Udp));
    let via = "Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK-bad;rport";
    let (from, to) = (
        "From: <sip:alice@localhost>;tag=1",
        "To: <sip:bob@localhost>",
    );
    let (call, max) = ("Call-ID: bad", "Max-Forwards: 70");
    let request = "OPTIONS sip:localhost SIP/2.0";
    let cases: [(&str, u16, Vec<u8>); 5] = [
        (
            "no Call-ID",
            400,
            raw(&[request, via, from, to, max, "CSeq: 1 OPTIONS", ""]),
        ),
        (
            "a CSeq of another method",
            400,
            raw(&[request, via, from, to, call, max, "CSeq: 1 INVITE", ""]),
        ),
        (
            "another version",
            505,
            raw(&[
                "OPTIONS sip:localhost SIP/7.0",
                via,
                from,
                to,
                call,
                max,
                "CSeq: 1 OPTIONS",
                "",
            ]),
        ),
        (
            "two lengths",
            400,
            raw(&[
                request,
                via,
                from,
                to,
                call,
                max,
                "CSeq: 1 OPTIONS",
                "Content-Length: 0",
                "Content-Length: 5",
                "",
            ]),
        ),
        (
            "no more hops",
            483,
            raw(&[
                "INVITE sip:bob@localhost SIP/2.0",
                via,
                from,
                to,
                call,
                "Max-Forwards: 0",
                "CSeq: 1 INVITE",
                "Contact: <sip:a@127.0.0.1>",
                "",
            ]),
        ),
    ];
    for (what, expected, message) in cases {
        client.send_raw(&message).expect("loopback");
        let answer = client
            .wait_response(reveille_e2e::SOON)
            .unwrap_or_else(|| panic!("{what}: no answer"));
        assert_eq!(answer.status, expected, "{what}: {}", answer.text);
    }
    server.assert_healthy();
}

#[test]
fn an_oversized_message_is_refused_before_it_is_read() {
    let mut server = Reveille::started();
    let mut client =
        SipClient::tcp("alice", server.sip(Transport::Tcp)).expect("TCP connections are taken");
    let head = raw(&[
        "MESSAGE sip:bob@localhost SIP/2.0",
        "Via: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK-big",
        "Max-Forwards: 70",
        "From: <sip:alice@localhost>;tag=1",
        "To: <sip:bob@localhost>",
        "Call-ID: big",
        "CSeq: 1 MESSAGE",
        "Content-Type: text/plain",
        "Content-Length: 104857600",
        "",
    ]);
    client.send_raw(&head).expect("loopback");
    let answer = client.wait_response(reveille_e2e::SOON).expect("an answer");
    assert_eq!(answer.status, 513, "{}", answer.text);
    server.assert_healthy();
}
