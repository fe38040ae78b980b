//! A call of 13 messages through the stateful proxy.

use super::Path;
use anyhow::{Context, Result};
use sip::{
    Flow, Limits, Message, ResponseBuilder, Transport,
    endpoint::{Config, Endpoint, Event, Input, Target},
};
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

const RECORD_ROUTE: &str = "<sip:token@192.0.2.1;lr>";

/// The flow of a peer in 192.0.2.0/24.
pub(super) fn flow(host: u8) -> Flow {
    let at = |host| SocketAddr::from((Ipv4Addr::new(192, 0, 2, host), 5060));
    Flow {
        transport: Transport::Udp,
        local: at(1),
        remote: at(host),
        id: 0,
    }
}

#[expect(clippy::unnecessary_wraps, reason = "preparing another case may fail")]
pub(super) fn prepare(runs: usize) -> Result<Path> {
    let calls: Vec<[String; 3]> = (0..runs)
        .map(|run| ["INVITE", "ACK", "BYE"].map(|method| request(method, run)))
        .collect();
    let mut config = Config::new([7; 16]);
    config.is_ours = Arc::new(|host, _| host == "192.0.2.1");
    let mut proxy = Proxy {
        endpoint: Endpoint::new(config),
        now: Instant::now(),
    };
    Ok(Box::new(move |run| {
        // All transactions are over when the next call begins: the tables stay as they are.
        proxy.now += Duration::from_mins(5);
        proxy.endpoint.handle_timeout(proxy.now);
        let [invite, ack, bye] = &calls[run];
        let forwarded = proxy.request(invite)?;
        for (status, reason) in [(180, "Ringing"), (200, "OK")] {
            proxy.answer(&forwarded, status, reason)?;
        }
        proxy.request(ack)?;
        let forwarded = proxy.request(bye)?;
        proxy.answer(&forwarded, 200, "OK")
    }))
}

/// The machine, and an owner that sends everything to the one callee.
struct Proxy {
    endpoint: Endpoint,
    now: Instant,
}

impl Proxy {
    fn receive(&mut self, host: u8, message: Message) {
        let flow = flow(host);
        self.endpoint
            .handle(self.now, Input::Received { flow, message });
    }

    /// The caller sends this; what the callee gets of it.
    fn request(&mut self, text: &str) -> Result<Message> {
        let message = Message::parse(text.to_owned().into(), &Limits::default())?;
        self.receive(10, message);
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                Event::Request { txn, .. } => {
                    let context = self.endpoint.open(self.now, txn)?;
                    let target = Target {
                        record_route: Some(RECORD_ROUTE.to_owned()),
                        ..Target::new("sip:bob@192.0.2.20", flow(20))
                    };
                    self.endpoint.fork(self.now, context, &target)?;
                }
                Event::Ack { request, .. } => self.endpoint.proxy_ack(flow(20), &request),
                _ => {}
            }
        }
        let mut forwarded = None;
        while let Some(sent) = self.endpoint.poll_transmit() {
            if sent.flow == flow(20) {
                forwarded = Some(Message::parse(sent.bytes, &Limits::default())?);
            }
        }
        forwarded.context("a request was not forwarded")
    }

    /// The callee answers; the caller must hear it.
    fn answer(&mut self, request: &Message, status: u16, reason: &'static str) -> Result<()> {
        let answer = ResponseBuilder::to(request, status, reason).to_tag("b");
        self.receive(20, answer.build());
        while self.endpoint.poll_event().is_some() {}
        let mut heard = false;
        while let Some(sent) = self.endpoint.poll_transmit() {
            heard |= sent.flow == flow(10);
        }
        anyhow::ensure!(heard, "the caller did not hear {status}");
        Ok(())
    }
}

fn request(method: &str, run: usize) -> String {
    let (to, route) = match method {
        "INVITE" => ("", ""),
        _ => (";tag=b", "Route: <sip:token@192.0.2.1;lr>\r\n"),
    };
    let cseq = if method == "BYE" { 2 } else { 1 };
    format!(
        "{method} sip:bob@example.org SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK{method}{run}\r\n\
         {route}\
         Max-Forwards: 70\r\n\
         From: <sip:alice@example.org>;tag=a{run}\r\n\
         To: <sip:bob@example.org>{to}\r\n\
         Call-ID: c-{run}@192.0.2.10\r\n\
         CSeq: {cseq} {method}\r\n\
         Contact: <sip:alice@192.0.2.10>\r\n\
         User-Agent: bench\r\n\
         Content-Length: 0\r\n\r\n"
    )
}
