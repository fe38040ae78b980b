//! What strangers bring: the scanners and crackers that every server of SIP meets, as they come from Debian, a flood, and
//! fail2ban, which reads what the server says of them. Honest phones notice nothing.

use std::fs;

use base64::{Engine, prelude::BASE64_STANDARD as STANDARD};
use reveille_e2e::{
    Relay, Reveille, SOON, STRANGER, SipClient, Tls, Transport, XmppClient, documented,
    fail2ban_regex, http, poll,
};

/// A value of the metrics.
fn metric(server: &Reveille, name: &str) -> u64 {
    let answer = http(server.health(), "GET", "/metrics", None).expect("metrics");
    let mut lines = answer.body.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    // What has not happened yet may not be there.
    value.unwrap_or_default()
}

fn refused(server: &Reveille, reason: &str) -> u64 {
    let name = format!("reveille_refused_total{{reason=\"{reason}\"}}");
    metric(server, &name)
}

fn assert_registers(phone: &mut SipClient) {
    let answer = phone.register("");
    assert_eq!(answer.status, 200, "{}", answer.text);
}

/// Names that there are, and names that there are not.
const NAMES: &str = "alice\nbob\nnobody\n100\n101\n102\nmallory\nroot\n";

#[test]
fn svmap_learns_that_somebody_is_there_and_nothing_more() {
    let server = Reveille::started();
    let relay = Relay::to(server.sip(Transport::Udp), false);
    for method in ["OPTIONS", "REGISTER", "INVITE"] {
        let found = relay.sipvicious("svmap", &["-m", method]);
        assert!(found.contains("unknown"), "{method}: {found}");
        assert!(!found.to_lowercase().contains("reveille"), "{found}");
    }
}

#[test]
fn svwar_cannot_tell_users_from_others() {
    let server = Reveille::started();
    let relay = Relay::to(server.sip(Transport::Udp), false);
    let folder = tempfile::tempdir().expect("a temporary directory");
    let names = folder.path().join("names");
    fs::write(&names, NAMES).expect("a file of our own");
    let names = names.to_str().expect("its path");
    for method in ["REGISTER", "INVITE", "OPTIONS"] {
        let arguments = ["--domain=localhost", "-d", names, "-m", method, "--force"];
        let said = relay.sipvicious("svwar", &arguments);
        assert!(said.contains("found nothing"), "{method}: {said}");
    }
    assert!(refused(&server, "challenged") >= 3, "it asked");
}

#[test]
fn svcrack_finds_nothing_who_goes_on_is_banned_and_fail2ban_reads_so_in_the_log() {
    let mut server = Reveille::started();
    let mut phone = SipClient::udp("bob", server.sip(Transport::Udp));
    assert_registers(&mut phone);
    let relay = Relay::to(server.sip(Transport::Udp), true);
    let folder = tempfile::tempdir().expect("a temporary directory");
    let words = folder.path().join("words");
    // The right one comes late.
    let text = (0..400).map(|number| format!("word{number}"));
    let text: Vec<String> = text.chain(["wakeup".to_owned()]).collect();
    fs::write(&words, text.join("\n") + "\n").expect("a file of our own");
    let words = words.to_str().expect("its path");
    // A name is no way to have somebody else banned.
    let mut liar = XmppClient::in_tls(&server, Tls::Starttls);
    let name = STANDARD.encode("\0wrong user or password from=198.51.100.1 \0wrong");
    let auth =
        format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{name}</auth>");
    liar.send_raw(auth.as_bytes()).expect("a connection");
    server.process().expect_anywhere("from=198.51.100.1", SOON);
    let arguments = [
        "-u",
        "bob",
        "--domain=localhost",
        "--maximumtime=5",
        "-d",
        words,
    ];
    let said = relay.sipvicious("svcrack", &arguments);
    assert!(said.contains("found nothing"), "{said}");
    assert_eq!(
        refused(&server, "password"),
        6,
        "with that over XMPP: {said}"
    );
    // It gives up when it is told to wait. Who does not is banned.
    let mut stubborn = SipClient::udp("bob", relay.address()).with_password("wrong");
    let banned = (0..200).any(|_| {
        let answer = stubborn.register_contact("<sip:bob@127.0.0.1:9>");
        answer.is_none() || server.ask(&["ban", "list"]).contains(STRANGER)
    });
    let bans = server.ask(&["ban", "list"]);
    assert!(
        banned && bans.contains(STRANGER),
        "{bans}{}",
        server.process().tail()
    );
    assert_registers(&mut phone);

    let process = server.process();
    process.expect_anywhere("banned after too many wrong passwords", SOON);
    let log = folder.path().join("log");
    // The last line, too, ends like one.
    let written = server.process().output() + "\n";
    fs::write(&log, &written).expect("a file of our own");
    let filter = folder.path().join("reveille.conf");
    let recipe = documented(
        "operations/strangers.md",
        "/etc/fail2ban/filter.d/reveille.conf",
    );
    fs::write(&filter, recipe).expect("a file of our own");
    let found = fail2ban_regex(&log, &filter);
    let lines = written
        .lines()
        .filter(|line| line.contains(&format!("from={STRANGER}")));
    let lines = lines.count();
    assert!(
        lines >= 2 && written.contains("from=198.51.100.1"),
        "{written}"
    );
    assert!(found.contains(&format!("{} matched", lines + 1)), "{found}");
    // Whom it would ban it lists; below that stand the lines that say nothing to it.
    let bans = |source: &str| found.contains(&format!("|      {source}  "));
    assert!(bans(STRANGER) && !bans("198.51.100.1"), "{found}");

    // A ban outlives the server.
    server.stop();
    server.start();
    let bans = server.ask(&["ban", "list"]);
    assert!(bans.contains(STRANGER), "{bans}");
    let answer = stubborn.register_contact("<sip:bob@127.0.0.1:9>");
    assert!(answer.is_none(), "{answer:?}");
    assert_registers(&mut phone);
    server.ask(&["ban", "lift", STRANGER]);
    let answer = stubborn.register_contact("<sip:bob@127.0.0.1:9>");
    assert_eq!(answer.expect("an answer").status, 403);
}

#[test]
fn a_flood_of_sipsak_leaves_honest_phones_alone() {
    let mut server = Reveille::started();
    let mut phone = SipClient::udp("bob", server.sip(Transport::Udp));
    let mut other = SipClient::tcp("alice", server.sip(Transport::Tcp)).expect("a connection");
    assert_registers(&mut phone);
    let relay = Relay::to(server.sip(Transport::Udp), false);
    let asked = || {
        metric(
            &server,
            "reveille_sip_requests_total{method=\"OPTIONS\",transport=\"UDP\"}",
        )
    };
    let mut flood = relay.sipsak_flood();
    poll(SOON, || (asked() > 200).then_some(())).expect("the flood has begun");
    for _ in 0..20 {
        assert_registers(&mut phone);
        let answer = other
            .message("bob", "in the middle of it")
            .expect("an answer");
        assert_eq!(answer.status, 202, "{}", answer.text);
        phone
            .wait_incoming(SOON)
            .inspect(|it| phone.reply(it, "200 OK"))
            .expect("the message");
    }
    let before = asked();
    poll(SOON, || (asked() > before).then_some(())).expect("it goes on");
    assert!(flood.is_running());
    flood.kill();
    server.assert_healthy();
}
