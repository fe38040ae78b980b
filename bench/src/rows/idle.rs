//! What a client of XMPP costs that is there and says nothing.

use super::{
    Options,
    xmpp::{PEERS, Running, contest, install, over_the_better},
};
use crate::{
    load::Crowd,
    row::{Row, grouped},
    stats::float,
    usage,
};
use anyhow::Result;
use std::time::Duration;

/// Sessions that are there before it counts: what a server loads once is no session's.
const FIRST: u32 = 100;
/// Until a server has put away what a sign-in left behind.
const RESTING: Duration = Duration::from_secs(10);

pub(super) fn run(options: &Options) -> Result<Row> {
    install()?;
    let sizes = &options.sessions;
    let most = sizes.iter().max().copied().unwrap_or_default();
    Crowd::make_room(most)?;
    let names: Vec<_> = sizes
        .iter()
        .map(|size| format!("{} sessions, each", grouped(&size.to_string())))
        .collect();
    let kinds: Vec<_> = names.iter().map(|name| (name.as_str(), "KB")).collect();
    let found = contest("xmpp-idle", options, most, &kinds, |server| {
        play(sizes, server)
    })?;
    let verdict = |measures| over_the_better(measures, "≤ 0.5");
    Ok(Row {
        name: "xmpp-idle",
        title: "Memory of an idle XMPP session over TLS",
        how: format!(
            "{} users sign in, {} s later it counts.",
            grouped(&most.to_string()),
            RESTING.as_secs()
        ),
        verdicts: found.measures.iter().map(verdict).collect(),
        measures: found.measures.into_iter().flatten().collect(),
        notes: vec![
            format!(
                "Resident memory of the server and its children with all sessions, less that with {FIRST}, for each of the others. \
                 A session has signed in over TLS 1.3, has stream management and carbons, and is available."
            ),
            PEERS.to_owned(),
        ],
    })
}

fn play(sizes: &[u32], server: &Running) -> Result<Vec<f64>> {
    let reach = server.reach()?;
    let pid = reach.2;
    let mut crowd = Crowd::new(reach)?;
    crowd.sign_in(0..FIRST)?;
    crowd.idle(RESTING)?;
    let first = usage::resident(pid)?;
    let (mut there, mut found) = (FIRST, Vec::new());
    for size in sizes {
        crowd.sign_in(there..*size)?;
        there = *size;
        crowd.idle(RESTING)?;
        let more = float(usage::resident(pid)?) - float(first);
        found.push(more / f64::from(there - FIRST) / 1024.0);
    }
    Ok(found)
}
