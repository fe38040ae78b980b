//! From connecting to the message that waits, for a client that has lost its connection: what a woken phone's user waits for.

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
use anyhow::{Result, ensure};
use std::{cell::Cell, thread, time::Duration};

const REQUESTS: u32 = 500;
const KINDS: [(&str, &str); 3] = [("CPU", "µs"), ("p50", "ms"), ("p99", "ms")];
/// Until a server has seen that connections are gone.
const NOTICED: Duration = Duration::from_secs(2);

pub(super) fn run(options: &Options) -> Result<Row> {
    install()?;
    let requests = options.requests(REQUESTS);
    let users = 2 * requests;
    Crowd::make_room(users)?;
    // How many began TLS with a ticket, by server, in the order in which they run.
    let tickets: [Cell<u32>; 3] = Default::default();
    let at = Cell::new(0);
    let found = contest("xmpp-comeback", options, users, &KINDS, |server| {
        let (found, resumed) = play(requests, server)?;
        tickets[at.get() % 3].set(resumed);
        at.set(at.get() + 1);
        Ok(found)
    })?;
    let [prosody, ejabberd, ours] = tickets.map(|it| it.get());
    Ok(Row {
        name: "xmpp-comeback",
        title: "From connecting over XMPP to the message that waits, after a lost connection",
        how: format!(
            "{requests} users lost their connections and were written to; then they come back, one after the other."
        ),
        verdicts: found.measures[..2]
            .iter()
            .map(|measures| over_the_better(measures, "≤ 0.5"))
            .collect(),
        measures: found.measures.into_iter().flatten().collect(),
        notes: vec![
            "TCP, TLS 1.3 with a ticket where the server takes it back, sign-in, resumption of the stream (XEP-0198), message. Each server \
             as it lets clients in fastest: Prosody and ejabberd by SCRAM-SHA-1 (the client has its salted password from before), whose first message is sent with the first \
             octets in TLS, and `<resume/>` with the header of the stream that follows; Reveille by one message with a token (XEP-0388, XEP-0484), sent likewise. The times have the client's own part in them, CPU has not."
                .to_owned(),
            format!(
                "TLS began with a ticket for {prosody} of Prosody's {requests} clients, {ejabberd} of ejabberd's and {ours} of Reveille's in the last round."
            ),
            PEERS.to_owned(),
        ],
    })
}

fn play(requests: u32, server: &Running) -> Result<(Vec<f64>, u32)> {
    let reach = server.reach()?;
    let pid = reach.2;
    let mut crowd = Crowd::who_come_back(reach, server.has_sasl2())?;
    let readers = || (0..requests).map(|at| 2 * at);
    crowd.sign_in(0..2 * requests)?;
    for reader in readers() {
        crowd.lose(reader)?;
    }
    crowd.idle(NOTICED)?;
    for reader in readers() {
        leave_word(&mut crowd, reader)?;
    }
    thread::sleep(SETTLE);
    let before = usage::processor_time(pid)?;
    let (mut times, mut resumed) = (Vec::new(), 0);
    for reader in readers() {
        crowd.connect(reader)?;
        let began = crowd.session(reader)?.began;
        let (mut came, mut online) = (None, false);
        while came.is_none() || !online {
            crowd.turn(|user, seen| match seen {
                Seen::Message(number) if user == reader => {
                    came = (number == reader).then(|| began.elapsed());
                }
                Seen::Online if user == reader => online = true,
                _ => {}
            })?;
        }
        times.extend(came.map(|came| came.as_secs_f64() * 1e3));
        resumed += u32::from(crowd.session(reader)?.stream().is_resumed());
    }
    thread::sleep(SETTLE);
    let used = usage::processor_time(pid)?.saturating_sub(before);
    ensure!(times.len() == requests as usize, "a message is missing");
    let micros = used.as_secs_f64() * 1e6 / f64::from(requests);
    let found = vec![micros, percentile(&times, 50), percentile(&times, 99)];
    Ok((found, resumed))
}
