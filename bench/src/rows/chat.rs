//! A message over XMPP, stored and delivered, with stream management on both sides.

use super::{
    Options, SETTLE,
    xmpp::{PEERS, Running, contest, install, over_the_better},
};
use crate::{
    load::{Chat, Crowd},
    row::Row,
    usage,
};
use anyhow::Result;
use std::thread;

const REQUESTS: u32 = 20_000;

pub(super) fn run(options: &Options) -> Result<Row> {
    install()?;
    Crowd::make_room(options.users)?;
    let found = contest("chat", options, options.users, &[("", "µs")], |server| {
        play(options, server)
    })?;
    Ok(Row {
        name: "chat",
        title: "A message over XMPP stored and delivered, CPU each",
        how: options.in_words(options.requests(REQUESTS), "messages over TLS"),
        verdicts: vec![over_the_better(&found.measures[0], "≤ 0.2")],
        measures: found.measures.into_iter().flatten().collect(),
        notes: vec![
            "Every user has a client that is there, over TLS 1.3, with stream management and carbons. The writer asks for an \
             acknowledgement with each message, and a message is done when its writer has that and its reader has the message; \
             readers acknowledge what they are asked to. Each message is in the archives of both; the row fails if one is lost."
                .to_owned(),
            PEERS.to_owned(),
        ],
    })
}

fn play(options: &Options, server: &Running) -> Result<Vec<f64>> {
    let reach = server.reach()?;
    let pid = reach.2;
    let mut crowd = Crowd::new(reach)?;
    crowd.sign_in(0..options.users)?;
    let mut chat = Chat::new(options.users);
    let requests = options.requests(REQUESTS);
    let warm = requests / 10;
    chat.run(&mut crowd, 0, warm, options.window)?;
    let before = usage::processor_time(pid)?;
    let tally = chat.run(&mut crowd, warm, requests, options.window)?;
    anyhow::ensure!(tally.again == 0, "{} messages came twice", tally.again);
    thread::sleep(SETTLE);
    let used = usage::processor_time(pid)?.saturating_sub(before);
    Ok(vec![used.as_secs_f64() * 1e6 / f64::from(requests)])
}
