//! From connecting to the first message that waits: what a woken phone's user waits for.

use super::{
    Options, SETTLE,
    xmpp::{PEERS, Running, contest, install, over_the_better},
};
use crate::{
    load::{Crowd, Seen, leave_word},
    row::Row,
    stats::percentile,
    usage,
};
use anyhow::Result;
use std::thread;

const REQUESTS: u32 = 500;
const KINDS: [(&str, &str); 3] = [("CPU", "µs"), ("p50", "ms"), ("p99", "ms")];

pub(super) fn run(options: &Options) -> Result<Row> {
    install()?;
    let requests = options.requests(REQUESTS);
    let users = 2 * requests;
    Crowd::make_room(users)?;
    let found = contest("xmpp-connect", options, users, &KINDS, |server| {
        play(requests, server)
    })?;
    Ok(Row {
        name: "xmpp-connect",
        title: "From connecting over XMPP to the first message that waits",
        how: format!("{requests} users sign in, one after the other; a message waits for each."),
        verdicts: found.measures[..2]
            .iter()
            .map(|measures| over_the_better(measures, "≤ 0.5"))
            .collect(),
        measures: found.measures.into_iter().flatten().collect(),
        notes: vec![
            "TCP, TLS 1.3 (a full handshake), SCRAM-SHA-1, binding, stream management, carbons, presence, message; the client \
             has its salted password from before, knows what it is offered, and waits for nothing that it need not wait for. Each server as it lets \
             clients in fastest: Prosody and ejabberd by SASL, Reveille by SASL2 with Bind 2 (XEP-0388, XEP-0386). The times have the client's own part \
             in them, CPU has not."
                .to_owned(),
            PEERS.to_owned(),
        ],
    })
}

fn play(requests: u32, server: &Running) -> Result<Vec<f64>> {
    let reach = server.reach()?;
    let pid = reach.2;
    let mut crowd = Crowd::who_come(reach, server.has_sasl2())?;
    // Readers have been there before: their keys are known, and so are they.
    let readers = || (0..requests).map(|at| 2 * at);
    crowd.sign_in(readers())?;
    for reader in readers() {
        crowd.sign_out(reader)?;
    }
    crowd.sign_in((0..requests).map(|at| 2 * at + 1))?;
    for reader in readers() {
        leave_word(&mut crowd, reader)?;
    }
    thread::sleep(SETTLE);
    let before = usage::processor_time(pid)?;
    let mut times = Vec::new();
    for reader in readers() {
        crowd.connect(reader)?;
        let began = crowd.session(reader)?.began;
        let (mut came, mut online) = (None, false);
        while came.is_none() || !online {
            crowd.turn(|user, seen| match seen {
                Seen::Message(number) if user == reader && number == reader => {
                    came = Some(began.elapsed());
                }
                Seen::Online if user == reader => online = true,
                _ => {}
            })?;
        }
        times.extend(came.map(|came| came.as_secs_f64() * 1e3));
    }
    thread::sleep(SETTLE);
    let used = usage::processor_time(pid)?.saturating_sub(before);
    let micros = used.as_secs_f64() * 1e6 / f64::from(requests);
    Ok(vec![micros, percentile(&times, 50), percentile(&times, 99)])
}
