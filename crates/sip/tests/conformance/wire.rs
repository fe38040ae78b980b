//! The cases of RFC 4475 as the peers of a proxy see them: what comes back, and what goes on to the next hop.

use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use sip::endpoint::{Config, Endpoint, Event, Flow, Input, Target, Transport};
use sip::{HeaderName, Limits, Message};

use crate::mutate::{Random, mutate};
use crate::torture::{CASES, Verdict};

/// Requests that parse, and that a proxy answers itself all the same.
const ANSWERED: &[(&str, u16)] = &[
    ("unkscm", 416),
    ("novelsc", 416),
    ("bext01", 420),
    ("zeromf", 483),
];

/// A request whose own Via cannot be read: there is no way back for an answer (RFC 3261 §18.2.2).
const NO_WAY_BACK: &[&str] = &["badinv01"];

/// Responses to nothing that we sent.
const STRAY: &[&str] = &["noreason", "unreason", "bcast"];

/// A proxy between a caller and the one phone that it sends everything to.
struct Proxy {
    endpoint: Endpoint,
    now: Instant,
}

/// What a message led to.
#[derive(Debug, Default)]
struct Seen {
    /// Status codes that the caller gets.
    back: Vec<u16>,
    /// Requests that the phone gets.
    onward: Vec<Message>,
}

fn flow(host: u8) -> Flow {
    Flow {
        transport: Transport::Tcp,
        local: SocketAddr::from(([198, 51, 100, 1], 5060)),
        remote: SocketAddr::from(([198, 51, 100, host], 5060)),
        id: u64::from(host),
    }
}

impl Proxy {
    fn new() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "a test needs some instant to count from"
        )]
        let now = Instant::now();
        let endpoint = Endpoint::new(Config::new([5; 16]));
        Self { endpoint, now }
    }

    fn receive(&mut self, octets: &[u8]) -> Seen {
        let mut seen = Seen::default();
        match Message::parse(Bytes::copy_from_slice(octets), &Limits::default()) {
            Ok(message) => {
                let input = Input::Received {
                    flow: flow(4),
                    message,
                };
                self.endpoint.handle(self.now, input);
            }
            Err(error) => seen
                .back
                .extend(error.reply(octets).and_then(|reply| read(&reply).status())),
        }
        while let Some(event) = self.endpoint.poll_event() {
            if let Event::Request { txn, request, .. } = event
                && let Ok(context) = self.endpoint.open(self.now, txn)
            {
                let target = Target::new(request.request_uri(), flow(7));
                let _ = self.endpoint.fork(self.now, context, &target);
            }
        }
        while let Some(transmit) = self.endpoint.poll_transmit() {
            let message = read(&transmit.bytes);
            match message.status() {
                Some(100) => {}
                Some(status) => seen.back.push(status),
                None => seen.onward.push(message),
            }
        }
        seen
    }
}

fn read(octets: &Bytes) -> Message {
    Message::parse(octets.clone(), &Limits::default()).expect("what we send can be read")
}

#[test]
fn each_case_is_forwarded_answered_or_dropped() {
    for (name, octets, verdict) in CASES {
        let seen = Proxy::new().receive(octets);
        let answered = ANSWERED
            .iter()
            .find(|(case, _)| case == name)
            .map(|(_, status)| *status);
        let expected = match verdict {
            Verdict::Refused(..) if NO_WAY_BACK.contains(name) => (Vec::new(), 0),
            Verdict::Refused(status, _) => (vec![*status], 0),
            Verdict::Passes if answered.is_some() => (answered.into_iter().collect(), 0),
            Verdict::Passes if !STRAY.contains(name) => (Vec::new(), 1),
            Verdict::Passes | Verdict::Dropped => (Vec::new(), 0),
        };
        assert_eq!((seen.back, seen.onward.len()), expected, "{name}");
    }
}

#[test]
fn what_is_forwarded_keeps_every_line_that_a_proxy_has_no_business_with() {
    let ours = ["Via", "Max-Forwards", "Route", "Max-Breadth"].map(HeaderName::new);
    for (name, octets, _) in CASES {
        for onward in Proxy::new().receive(octets).onward {
            let came = Message::parse(Bytes::from_static(octets), &Limits::default()).unwrap();
            let kept = |message: &Message| -> Vec<(String, Vec<u8>)> {
                message
                    .all_headers()
                    .filter(|(name, _)| !ours.contains(&HeaderName::new(name)))
                    .map(|(name, value)| (name.to_owned(), value.to_vec()))
                    .collect()
            };
            let mut expected = kept(&came);
            if !came.has(HeaderName::ContentLength) {
                // The next hop is a stream (RFC 3261 §16.6 step 9).
                expected.push((
                    "Content-Length".to_owned(),
                    came.body().len().to_string().into_bytes(),
                ));
            }
            assert_eq!(kept(&onward), expected, "{name}");
            assert_eq!(onward.body(), came.body(), "{name}");
            assert_eq!(onward.vias().count(), came.vias().count() + 1, "{name}");
        }
    }
}

#[test]
fn mutations_leave_the_proxy_up_and_answering() {
    let mut random = Random(0xa11_600d);
    let mut proxy = Proxy::new();
    for round in 0..3_000_u32 {
        let mut mutant = CASES[random.below(CASES.len())].1.to_vec();
        mutate(&mut mutant, &mut random);
        proxy.receive(&mutant);
        if round % 100 == 0 {
            let ping = format!(
                "OPTIONS sip:anna@reveille.example SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK-ping{round}\r\n\
                 Max-Forwards: 0\r\nFrom: <sip:b@reveille.example>;tag=1\r\nTo: <sip:a@reveille.example>\r\n\
                 Call-ID: ping{round}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
            );
            assert_eq!(proxy.receive(ping.as_bytes()).back, [483], "round {round}");
        }
    }
}
