//! Parses one real REGISTER with digest again and again, for counting instructions a step:
//! `valgrind --tool=callgrind --toggle-collect='*register::STEP*' target/release/examples/register`, divided by 1,000.

use std::hint::black_box;

use sip::digest::{self, Algorithm, Challenge, Login, Settings, Verifier};
use sip::registrar::{self, Binding, Known, Outcome, Policy, Registration};
use sip::{HeaderName, Limits, Message, Method};

const NOW: u64 = 1_800_000_000;
const REALM: &str = "reveille.example";
const ANNA: Login<'_> = Login {
    user: "anna",
    password: "secret",
};

fn request(cseq: u32, authorization: &str) -> bytes::Bytes {
    format!(
        "REGISTER sip:reveille.example;transport=tcp SIP/2.0\r\n\
         Via: SIP/2.0/TCP 10.0.2.16:41422;alias;branch=z9hG4bK.Y~iPNjcXw;rport\r\n\
         From: <sip:anna@reveille.example>;tag=t6Kyd~8qE\r\n\
         To: sip:anna@reveille.example\r\n\
         CSeq: {cseq} REGISTER\r\n\
         Call-ID: X1bI4gkOCn\r\n\
         Max-Forwards: 70\r\n\
         Supported: replaces, outbound, gruu, path, record-aware\r\n\
         Accept: application/sdp\r\n\
         Accept: text/plain\r\n\
         Accept: application/vnd.gsma.rcs-ft-http+xml\r\n\
         Contact: <sip:anna@10.0.2.16:41422;app-id=929724111839;pn-type=firebase;pn-timeout=0;\
         pn-tok=dX1fQ0bDRHyX:APA91bGkq3bqk0r0Zl8b6vTTnGH7Jx3YB0mDcWQ8yJ1tXk;pn-silent=1;transport=tcp;\
         pn-provider=fcm;pn-param=929724111839;pn-prid=dX1fQ0bDRHyX:APA91bGkq3bqk0r0Zl8b6vTTnGH7Jx3YB0mDcWQ8yJ1tXk>\
         ;+sip.instance=\"<urn:uuid:3c6b2d2c-6a4f-00e1-9a33-5a6b1c0d7e41>\";+org.linphone.specs=\"groupchat,lime\"\r\n\
         Expires: 2592000\r\n\
         User-Agent: LinphoneAndroid/5.2.5 (Pixel 7) LinphoneSDK/5.3.60\r\n\
         {authorization}Content-Length: 0\r\n\r\n"
    )
    .into()
}

#[inline(never)]
fn step_parse(bytes: &bytes::Bytes) -> Message {
    Message::parse(bytes.clone(), &Limits::default()).expect("well-formed")
}

#[inline(never)]
fn step_validate(message: &Message) {
    message.validate().expect("valid");
}

#[inline(never)]
fn step_read(message: &Message) -> Registration<'_> {
    Registration::parse(message).expect("well-formed")
}

#[inline(never)]
fn step_apply<'b>(known: &[Known<'b>], registration: &Registration<'_>) -> Outcome<'b> {
    registrar::apply(known, registration, true, NOW * 1000, &Policy::default()).expect("accepted")
}

#[inline(never)]
fn step_answer(
    outcome: &Outcome<'_>,
    message: &Message,
    registration: &Registration<'_>,
) -> Message {
    outcome.response(message, registration, NOW * 1000).build()
}

#[inline(never)]
fn step_verify(verifier: &Verifier, message: &Message, ha1: &str) {
    let credentials = message.headers(HeaderName::Authorization);
    verifier
        .verify(NOW, Method::Register, credentials, |_, _| Some(ha1))
        .expect("authenticated");
}

fn main() {
    let verifier = Verifier::new([7; 32], Settings::new(REALM));
    let values = verifier.challenge(NOW, false, 1);
    let challenge = Challenge::strongest(values.iter().map(String::as_bytes)).expect("a challenge");
    let ha1 = digest::ha1(Algorithm::Sha256, ANNA.user, REALM, ANNA.password);
    let mut bindings = Vec::new();
    for turn in 1..=1_000 {
        let answer = challenge.answer(
            ANNA,
            Method::Register,
            "sip:reveille.example;transport=tcp",
            turn,
            "Xb0cLq1",
        );
        let bytes = request(turn, &format!("Authorization: {answer}\r\n"));
        let message = black_box(step_parse(&bytes));
        step_validate(&message);
        step_verify(&verifier, &message, &ha1);
        let registration = step_read(&message);
        let known: Vec<_> = bindings
            .iter()
            .map(|binding| Known {
                binding,
                out_of_reach_since: None,
            })
            .collect();
        let outcome = step_apply(&known, &registration);
        black_box(step_answer(&outcome, &message, &registration));
        bindings = outcome.bindings().cloned().collect::<Vec<Binding>>();
        if turn == 1 {
            println!("{} octets", bytes.len());
        }
    }
}
