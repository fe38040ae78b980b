//! A REGISTER with digest, as a phone refreshes it.

use super::Path;
use anyhow::{Context, Result};
use sip::{
    HeaderName, Limits, Message, Method,
    digest::{Algorithm, Challenge, Login, Settings, Verifier, ha1},
    endpoint::{Config, Endpoint, Event, Input},
    registrar::{self, Binding, Known, Policy, Registration},
};
use std::time::{Duration, Instant};

const USER: &str = "bob";
const REALM: &str = "example.org";
const PASSWORD: &str = "secret";
/// 2026-01-01.
const NOW: u64 = 1_767_225_600;

pub(super) fn prepare(runs: usize) -> Result<Path> {
    let verifier = Verifier::new([7; 32], Settings::new(REALM));
    let challenges = verifier.challenge(NOW, false, 1);
    let challenge = challenges
        .iter()
        .filter_map(|value| Challenge::parse(value.as_bytes()))
        .find(|challenge| challenge.algorithm == Algorithm::Md5)
        .context("a challenge")?;
    let requests: Vec<String> = (1..)
        .take(runs)
        .map(|count| request(&challenge, count))
        .collect();
    let secret = ha1(Algorithm::Md5, USER, REALM, PASSWORD);
    let mut endpoint = Endpoint::new(Config::new([7; 16]));
    let mut bindings: Vec<Binding> = Vec::new();
    let (began, flow) = (Instant::now(), super::call::flow(20));
    Ok(Box::new(move |run| {
        // A transaction is over when the next begins: the tables stay as they are.
        let now = began + Duration::from_mins(1) * u32::try_from(run)?;
        endpoint.handle_timeout(now);
        let message = Message::parse(requests[run].clone().into(), &Limits::default())?;
        endpoint.handle(now, Input::Received { flow, message });
        let Some(Event::Request { txn, request, .. }) = endpoint.poll_event() else {
            anyhow::bail!("the REGISTER did not arrive");
        };
        let credentials = request.headers(HeaderName::Authorization);
        let secret = |_: &str, _: Algorithm| Some(&*secret);
        verifier.verify(NOW, Method::Register, credentials, secret)?;
        let known: Vec<_> = bindings.iter().map(known).collect();
        let registration = Registration::parse(&request)?;
        let (now_ms, policy) = (NOW * 1000, Policy::default());
        let outcome = registrar::apply(&known, &registration, false, now_ms, &policy)?;
        let answer = outcome.response(&request, &registration, now_ms);
        let answer = answer.to_tag(&endpoint.local_tag(txn)).build();
        bindings = outcome.bindings().cloned().collect();
        endpoint.respond(now, txn, &answer);
        endpoint.poll_transmit().context("no answer")?;
        Ok(())
    }))
}

fn known(binding: &Binding) -> Known<'_> {
    Known {
        binding,
        out_of_reach_since: None,
    }
}

fn request(challenge: &Challenge, count: u32) -> String {
    let login = Login {
        user: USER,
        password: PASSWORD,
    };
    let uri = "sip:example.org";
    let credentials = challenge.answer(login, Method::Register, uri, count, "0a4f113b");
    format!(
        "REGISTER {uri} SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bKr{count};rport\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:{USER}@{REALM}>;tag=f1\r\n\
         To: <sip:{USER}@{REALM}>\r\n\
         Call-ID: 4f3bb8008e228c263ed40571\r\n\
         CSeq: {count} REGISTER\r\n\
         Contact: <sip:{USER}@192.0.2.20:5060;pn-provider=apns;pn-param=TEAM123456.com.example.phone.voip;\
         pn-prid=00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff>;\
         +sip.instance=\"<urn:uuid:00000000-0000-4000-8000-00000000000a>\"\r\n\
         Expires: 3600\r\n\
         User-Agent: bench\r\n\
         Authorization: {credentials}\r\n\
         Content-Length: 0\r\n\r\n"
    )
}
