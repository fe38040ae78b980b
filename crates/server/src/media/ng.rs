//! What is said to rtpengine, in its ng protocol: commands, and what their answers mean.

use super::bencode::Value;
use crate::config;
use bytes::Bytes;
use call::{Description, Over, Side, Turn};

/// The cipher suites that rtpengine adds to an offer of SDES unless it is told not to, those without a cipher among them.
const SUITES: [&str; 12] = [
    "AEAD_AES_256_GCM",
    "AEAD_AES_128_GCM",
    "AES_256_CM_HMAC_SHA1_80",
    "AES_256_CM_HMAC_SHA1_32",
    "AES_192_CM_HMAC_SHA1_80",
    "AES_192_CM_HMAC_SHA1_32",
    "AES_CM_128_HMAC_SHA1_80",
    "AES_CM_128_HMAC_SHA1_32",
    "F8_128_HMAC_SHA1_80",
    "F8_128_HMAC_SHA1_32",
    "NULL_HMAC_SHA1_80",
    "NULL_HMAC_SHA1_32",
];

/// Octets of a description that a daemon is asked about: what is longer could not be sent, and is none of a call's.
const LONGEST: usize = 16 * 1024;
/// Media in one: each takes ports of the daemon.
const MEDIA: usize = 16;

/// Why a daemon is not asked about a description: one user could take all its ports.
pub(super) fn is_too_much(sdp: &[u8]) -> Option<&'static str> {
    let lines = sdp.split(|octet| matches!(octet, b'\r' | b'\n'));
    let media = lines.filter(|line| line.starts_with(b"m=")).count();
    match (sdp.len() > LONGEST, media > MEDIA) {
        (true, _) => Some("its description is too long"),
        (_, true) => Some("too many media are described"),
        _ => None,
    }
}

/// The names of rtpengine's interfaces on both sides, if it has more than one.
pub(super) struct Interfaces(Option<[String; 2]>);

impl Interfaces {
    pub(super) fn of(media: &config::Media) -> Self {
        let named = !media.inside.is_empty();
        Self(named.then(|| [media.inside.clone(), media.outside.clone()]))
    }

    fn name(&self, side: Side) -> Option<&str> {
        let [inside, outside] = self.0.as_ref()?;
        Some(match side {
            Side::Inside => inside,
            Side::Outside => outside,
        })
    }
}

/// rtpengine does not do it, and says why.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Refused(pub(super) String);

/// Whether it is there.
pub(super) fn ping() -> Value {
    Value::map([("command", Value::text("ping"))])
}

/// No more of this leg, or of one dialog of it: rtpengine ends what it knows by the to-tag, and the leg with the last of those.
pub(super) fn delete(over: &Over) -> Value {
    let command = [
        ("command", Value::text("delete")),
        ("call-id", Value::text(&*over.leg)),
    ];
    let command = Value::map(command);
    match &over.dialog {
        Some((caller, callee)) => command
            .with("from-tag", Value::text(caller))
            .with("to-tag", Value::text(callee)),
        None => command,
    }
}

/// An offer or an answer. What rtpengine would add by itself (candidates in place of the client's, keys of DTLS, cipher suites)
/// it is told not to: it stands beside what the clients can do, and encrypts as they do.
pub(super) fn describe(description: &Description, interfaces: &Interfaces) -> Value {
    let has = |attribute: &str| {
        let mut lines = description.sdp.split(|octet| *octet == b'\n');
        lines.any(|line| line.starts_with(attribute.as_bytes()))
    };
    let command = match description.turn {
        Turn::Offer => "offer",
        Turn::Answer => "answer",
    };
    let offered = |suite: &&str| {
        let mut lines = description.sdp.split(|octet| matches!(octet, b'\n' | b' '));
        has("a=crypto:") && lines.any(|word| word == suite.as_bytes())
    };
    let not_offered = SUITES.iter().filter(|suite| !offered(suite));
    let ice = if has("a=ice-ufrag:") {
        "optional"
    } else {
        "remove"
    };
    let mut value = Value::map([
        ("command", Value::text(command)),
        ("call-id", Value::text(&*description.leg)),
        ("from-tag", Value::text(&description.offerer)),
        ("sdp", Value::text(&description.sdp)),
        ("replace", Value::texts(["origin", "session-connection"])),
        ("ICE", Value::text(ice)),
        (
            "SDES",
            Value::texts(not_offered.map(|suite| format!("no-{suite}"))),
        ),
    ]);
    if !has("a=fingerprint:") {
        value = value.with("DTLS", Value::text("off"));
    }
    if let Some(answerer) = &description.answerer {
        value = value.with("to-tag", Value::text(answerer));
    }
    let names = interfaces
        .name(description.from)
        .zip(interfaces.name(description.to));
    match (names, description.turn) {
        (Some((from, to)), Turn::Offer) => value.with("direction", Value::texts([from, to])),
        _ => value,
    }
}

/// The description in an answer.
pub(super) fn described(answer: &Value) -> Result<Bytes, Refused> {
    match (answer.get("result"), answer.get("sdp")) {
        (Some(b"ok"), Some(sdp)) => Ok(sdp.to_vec().into()),
        _ => Err(refused(answer)),
    }
}

/// Whether an answer to a ping is one.
pub(super) fn pong(answer: &Value) -> Result<(), Refused> {
    match answer.get("result") {
        Some(b"pong") => Ok(()),
        _ => Err(refused(answer)),
    }
}

fn refused(answer: &Value) -> Refused {
    let why = answer.get("error-reason").or(answer.get("result"));
    let why = why.map_or("no result".into(), String::from_utf8_lossy);
    Refused(why.chars().take(200).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description(turn: Turn, sdp: &'static str) -> Description {
        Description {
            leg: "leg".into(),
            turn,
            offerer: "a".to_owned(),
            answerer: (turn == Turn::Answer).then(|| "b".to_owned()),
            sdp: Bytes::from_static(sdp.as_bytes()),
            from: Side::Outside,
            to: Side::Inside,
        }
    }

    fn written(turn: Turn, sdp: &'static str) -> String {
        let named = Interfaces(Some(["in".to_owned(), "out".to_owned()]));
        let mut octets = Vec::new();
        describe(&description(turn, sdp), &named).write(&mut octets);
        String::from_utf8(octets).unwrap()
    }

    #[test]
    fn candidates_of_clients_are_kept_and_nothing_is_offered_that_they_did_not() {
        let plain = written(Turn::Offer, "v=0\r\n");
        assert!(
            plain.contains("3:ICE6:remove") && plain.contains("4:DTLS3:off"),
            "{plain}"
        );
        assert!(plain.contains("9:directionl3:out2:ine"), "{plain}");
        assert!(!plain.contains("6:to-tag"), "{plain}");
        let ice = written(
            Turn::Offer,
            "v=0\r\na=ice-ufrag:x\r\na=fingerprint:sha-256 00\r\n",
        );
        assert!(
            ice.contains("3:ICE8:optional") && !ice.contains("4:DTLS"),
            "{ice}"
        );
        let sdes = "v=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n";
        let sdes = written(Turn::Answer, sdes);
        assert!(!sdes.contains("no-AES_CM_128_HMAC_SHA1_80"), "{sdes}");
        assert!(sdes.contains("no-NULL_HMAC_SHA1_80"), "{sdes}");
        assert!(
            sdes.contains("6:to-tag1:b") && !sdes.contains("direction"),
            "{sdes}"
        );
    }

    #[test]
    fn an_answer_is_a_description_or_says_why_not() {
        let ok = Value::map([("result", Value::text("ok")), ("sdp", Value::text("v=0"))]);
        assert_eq!(described(&ok), Ok(Bytes::from_static(b"v=0")));
        for (answer, why) in [
            (Value::map([("result", Value::text("ok"))]), "ok"),
            (
                Value::map([
                    ("result", Value::text("error")),
                    ("error-reason", Value::text("Unknown call-id")),
                ]),
                "Unknown call-id",
            ),
            (Value::map([]), "no result"),
            (Value::Number(1), "no result"),
        ] {
            assert_eq!(described(&answer), Err(Refused(why.to_owned())));
        }
        assert_eq!(pong(&Value::map([("result", Value::text("pong"))])), Ok(()));
        assert!(pong(&ok).is_err());
    }
}
