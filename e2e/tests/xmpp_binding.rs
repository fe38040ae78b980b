//! Sign-ins that are bound to the TLS that they are made in (RFC 5802 §6): nobody in between can pass them on, or hide that they
//! are offered. The client is our own: of the real ones here none can do it over TLS 1.3 ([operations/clients.md]).
//!
//! [operations/clients.md]: ../../docs/operations/clients.md

use reveille_e2e::scram::{Scram, Signed, offered};
use reveille_e2e::{PASSWORD, Reveille, Tls, XmppClient};
use ring::digest::{SHA256, digest};

const EXPORTER: &str = "tls-exporter";
const END_POINT: &str = "tls-server-end-point";

fn scram(mechanism: &str, flag: &str, channel: &[u8]) -> Scram {
    Scram {
        mechanism: mechanism.to_owned(),
        user: "alice".to_owned(),
        password: PASSWORD.to_owned(),
        flag: flag.to_owned(),
        channel: channel.to_vec(),
    }
}

/// What the channel of this client is known by.
fn channel(client: &XmppClient, kind: &str) -> Vec<u8> {
    if kind == EXPORTER {
        return client.exporter();
    }
    // RFC 5929: the certificate of `--dev` is signed with SHA-256.
    digest(&SHA256, &client.certificate()).as_ref().to_vec()
}

fn refused(condition: &str, behind_the_proof: bool) -> Signed {
    Signed::Out(condition.to_owned(), behind_the_proof)
}

#[test]
fn who_binds_the_sign_in_to_its_own_channel_is_let_in_and_knows_that_nothing_was_hidden() {
    let server = Reveille::started();
    for start in [Tls::Starttls, Tls::Direct, Tls::WebSocket] {
        for mechanism in ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"] {
            for kind in [EXPORTER, END_POINT] {
                let (mut client, features) = XmppClient::offered(&server, start);
                assert!(
                    features.contains(&format!("<mechanism>{mechanism}</mechanism>")),
                    "{features}"
                );
                assert!(
                    features.contains(&format!("<channel-binding type='{kind}'/>")),
                    "{features}"
                );
                let channel = channel(&client, kind);
                let signed = client.scram(&scram(mechanism, &format!("p={kind}"), &channel));
                let Signed::In(hash) = signed else {
                    panic!("{start} {mechanism} {kind}: {signed:?}");
                };
                if mechanism.starts_with("SCRAM-SHA-256") {
                    // XEP-0474: whoever had taken `-PLUS` off the list would have shown another hash.
                    assert_eq!(hash, Some(offered(&features)), "{features}");
                    let less = features.replace("<mechanism>SCRAM-SHA-256-PLUS</mechanism>", "");
                    assert_ne!(hash, Some(offered(&less)));
                }
                client.open();
                client.bind("alice", "desk");
                client.ping();
            }
        }
    }
}

#[test]
fn a_sign_in_that_is_bound_to_another_channel_is_refused_though_the_password_is_right() {
    let server = Reveille::started();
    let other = Reveille::started();
    let bound = |kind: &str, to: &[u8]| scram("SCRAM-SHA-256-PLUS", &format!("p={kind}"), to);
    for (kind, impostor) in [
        // Whoever sits in between has two channels: the client's is not the server's.
        (EXPORTER, XmppClient::in_tls(&server, Tls::Direct)),
        // Or another certificate, by whatever authority.
        (END_POINT, XmppClient::in_tls(&other, Tls::Direct)),
    ] {
        let mut client = XmppClient::in_tls(&server, Tls::Direct);
        let (theirs, ours) = (channel(&impostor, kind), channel(&client, kind));
        assert_ne!(theirs, ours);
        let told = client.scram(&bound(kind, &theirs));
        assert_eq!(told, refused("not-authorized", true), "{kind}");
        let told = client.scram(&bound(kind, &[]));
        assert_eq!(told, refused("not-authorized", true), "{kind}: nothing");
        // The same client, with the truth.
        let told = client.scram(&bound(kind, &ours));
        assert!(matches!(told, Signed::In(_)), "{kind}: {told:?}");
    }
}

#[test]
fn a_client_from_which_it_was_hidden_that_it_could_bind_is_refused() {
    let server = Reveille::started();
    let says = |scram: &Scram| XmppClient::in_tls(&server, Tls::Direct).scram(scram);
    // RFC 5802 §6: "y" is said by who can bind and saw no offer, and there is one.
    for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-1"] {
        let told = says(&scram(mechanism, "y", &[]));
        assert_eq!(told, refused("not-authorized", false), "{mechanism}");
        // Who cannot bind says so, and is let in.
        let told = says(&scram(mechanism, "n", &[]));
        assert!(matches!(told, Signed::In(_)), "{mechanism}: {told:?}");
    }
    // And what is said of binding is that of the mechanism.
    for (mechanism, flag) in [
        ("SCRAM-SHA-256-PLUS", "n"),
        ("SCRAM-SHA-256-PLUS", "y"),
        ("SCRAM-SHA-256-PLUS", "p=tls-unique"),
        ("SCRAM-SHA-256", "p=tls-exporter"),
    ] {
        let told = says(&scram(mechanism, flag, &[]));
        assert!(
            matches!(&told, Signed::Out(_, false)),
            "{mechanism} {flag}: {told:?}"
        );
    }
}
