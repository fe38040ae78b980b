//! What a REGISTER (UDP, answered 200) and a call (INVITE, 180, 200, ACK, BYE, 200, forwarded) cost in the endpoint, for
//! counting instructions: `valgrind --tool=callgrind --toggle-collect='endpoint::step_*' target/release/examples/endpoint
//! register`, or `call`; divided by 1,000. Messages are parsed outside the steps.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip::endpoint::{Config, Endpoint, Event, Flow, Input, Target, Transport};
use sip::{HeaderName, Limits, Message, ResponseBuilder};

const ROUNDS: usize = 1_000;
const CALLER: u16 = 5071;
const CALLEE: u16 = 5072;
const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n\
    m=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n";

fn flow(port: u16) -> Flow {
    Flow {
        transport: Transport::Udp,
        local: ([192, 0, 2, 1], 5060).into(),
        remote: ([192, 0, 2, 9], port).into(),
        id: 0,
    }
}

fn parse(bytes: impl Into<Bytes>) -> Message {
    Message::parse(bytes.into(), &Limits::default()).expect("well-formed")
}

/// A request of the caller's; `n` is the call.
fn request(n: usize, method: &str, uri: &str, more: &str, body: &str) -> Message {
    let to_tag = if more.is_empty() { "" } else { ";tag=b" };
    parse(format!(
        "{method} {uri} SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.9:{CALLER};branch=z9hG4bK-524287-{method}---{n:016x};rport\r\n\
         {more}Max-Forwards: 70\r\n\
         Contact: <sip:alice@192.0.2.9:{CALLER};transport=udp>\r\n\
         To: <sip:bob@r.example>{to_tag}\r\n\
         From: <sip:alice@r.example>;tag=a{n:07x}\r\n\
         Call-ID: {n:032x}\r\n\
         CSeq: 1 {method}\r\n\
         Allow: INVITE, ACK, CANCEL, BYE, MESSAGE, OPTIONS\r\n\
         User-Agent: Phone/1.0\r\n\
         Content-Type: application/sdp\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    ))
}

fn response(request: &Message, status: u16) -> Message {
    let mut response = ResponseBuilder::to(request, status, "Whatever")
        .to_tag("b")
        .header(HeaderName::Contact, "<sip:bob@192.0.2.9:5072>");
    for route in request.headers(HeaderName::RecordRoute) {
        response = response.header(HeaderName::RecordRoute, route);
    }
    parse(
        response
            .body("application/sdp", SDP.as_bytes())
            .build()
            .bytes()
            .clone(),
    )
}

#[inline(never)]
fn step_register(endpoint: &mut Endpoint, now: Instant, message: Message) {
    let flow = flow(CALLER);
    endpoint.handle(now, Input::Received { flow, message });
    let Some(Event::Request { txn, .. }) = endpoint.poll_event() else {
        panic!("no request")
    };
    let response = endpoint.response_to(txn, 200, "").expect("it waits");
    let contact = "<sip:alice@192.0.2.9:5071>;expires=3600";
    let response = response.header(HeaderName::Contact, contact).build();
    endpoint.respond(now, txn, &response);
    drain(endpoint);
}

/// Takes in a message, forwards what it is, and returns the last message that leaves.
#[inline(never)]
fn step_forward(
    endpoint: &mut Endpoint,
    now: Instant,
    port: u16,
    message: Message,
) -> Option<Bytes> {
    let flow_from = flow(port);
    endpoint.handle(
        now,
        Input::Received {
            flow: flow_from,
            message,
        },
    );
    while let Some(event) = endpoint.poll_event() {
        match event {
            Event::Request { txn, .. } => {
                let context = endpoint.open(now, txn).expect("nothing against it");
                let mut target = Target::new("sip:bob@192.0.2.9:5072", flow(CALLEE));
                target.record_route = Some("<sip:token@192.0.2.1:5060;lr>".to_owned());
                endpoint.fork(now, context, &target).expect("room");
            }
            Event::Ack { request, .. } => endpoint.proxy_ack(flow(CALLEE), &request),
            _ => {}
        }
    }
    drain(endpoint)
}

#[inline(never)]
fn drain(endpoint: &mut Endpoint) -> Option<Bytes> {
    let mut last = None;
    while let Some(transmit) = endpoint.poll_transmit() {
        last = Some(transmit.bytes);
    }
    last
}

#[inline(never)]
fn step_time(endpoint: &mut Endpoint, now: Instant) {
    endpoint.handle_timeout(now);
    while endpoint.poll_event().is_some() {}
}

fn call(endpoint: &mut Endpoint, now: Instant, n: usize) {
    let invite = request(n, "INVITE", "sip:bob@r.example", "", SDP);
    let forwarded = parse(step_forward(endpoint, now, CALLER, invite).expect("an INVITE"));
    step_forward(endpoint, now, CALLEE, response(&forwarded, 180));
    step_forward(endpoint, now, CALLEE, response(&forwarded, 200));
    let (route, uri) = (
        "Route: <sip:token@192.0.2.1:5060;lr>\r\n",
        "sip:bob@192.0.2.9:5072",
    );
    step_forward(endpoint, now, CALLER, request(n, "ACK", uri, route, ""));
    let bye = request(n, "BYE", uri, route, "");
    let forwarded = parse(step_forward(endpoint, now, CALLER, bye).expect("a BYE"));
    step_forward(endpoint, now, CALLEE, response(&forwarded, 200));
}

fn main() {
    let what = std::env::args().nth(1).unwrap_or_default();
    let mut config = Config::new(*b"unlike any other");
    config.is_ours = Arc::new(|host, port| (host, port) == ("192.0.2.1", 5060));
    let mut endpoint = Endpoint::new(config);
    #[expect(clippy::disallowed_methods, reason = "some instant to count from")]
    let mut now = Instant::now();
    for n in 0..ROUNDS {
        if what == "call" {
            call(&mut endpoint, now, n);
        } else {
            let message = request(n, "REGISTER", "sip:r.example", "", "");
            step_register(&mut endpoint, now, message);
        }
        now += Duration::from_micros(100);
        step_time(&mut endpoint, now);
    }
    println!("{:?}", endpoint.load());
}
