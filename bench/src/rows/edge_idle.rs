//! What a phone costs an edge that has registered through it and says nothing.

use super::{
    Options,
    edge::{OURS, PEER, Running},
    progress,
};
use crate::{
    kamailio,
    load::{self, Crowd, Load, Registers},
    row::{Measure, Row, Verdict, grouped},
    socket::Phones,
    stats::float,
    usage,
};
use anyhow::{Context, Result};
use std::{thread, time::Duration};

/// Phones that are there before it counts: what a server loads once is no phone's.
const FIRST: u32 = 100;
/// Until a server has put away what a handshake left behind.
const RESTING: Duration = Duration::from_secs(10);

pub(super) fn run(options: &Options) -> Result<Row> {
    kamailio::PACKAGES.install()?;
    let sizes = &options.sessions;
    let most = sizes.iter().max().copied().unwrap_or_default();
    Crowd::make_room(most)?;
    // State or none, a Kamailio keeps the same of a connection.
    let names = [PEER, OURS];
    let mut values = vec![[const { Vec::new() }; 2]; sizes.len()];
    for round in 1..=options.rounds {
        for (which, name) in names.into_iter().enumerate() {
            let running = Running::start(name, options, most)?;
            let found = play(&running, sizes, options);
            let found = found.with_context(|| {
                format!(
                    "edge-idle, round {round}, {name}, which said: {}",
                    running.words()
                )
            })?;
            for (found, (size, values)) in found.into_iter().zip(sizes.iter().zip(&mut values)) {
                let told = format!("{name}: {size} phones, each {found:.2} KB");
                progress("edge-idle", round, options.rounds, &told);
                values[which].push(found);
            }
        }
    }
    let (mut measures, mut verdicts) = (Vec::new(), Vec::new());
    for (size, [theirs, ours]) in sizes.iter().zip(values) {
        let what = |name| format!("{name}, {} phones, each", grouped(&size.to_string()));
        let theirs = Measure::new(what("Kamailio"), "KB", theirs);
        let ours = Measure::new(what("Reveille"), "KB", ours);
        verdicts.push(Verdict::ratio(&ours, &theirs, "≤ 0.5"));
        measures.extend([theirs, ours]);
    }
    Ok(Row {
        name: "edge-idle",
        title: "Memory of a phone at an edge",
        how: format!(
            "{} phones register over TLS, {} s later it counts.",
            grouped(&most.to_string()),
            RESTING.as_secs()
        ),
        measures,
        verdicts,
        notes: vec![format!(
            "Resident memory of the edge and its children, what they share counted once, with all phones, less that with {FIRST}, for each of \
             the others. A phone has registered over TLS 1.3; Kamailio gives back what OpenSSL reserves for reading and writing \
             (`ssl_release_buffers`)."
        )],
    })
}

fn play(running: &Running, sizes: &[u32], options: &Options) -> Result<Vec<f64>> {
    let (mut phones, pid) = (running.phones()?, running.pid()?);
    let most = sizes.iter().max().copied().unwrap_or_default();
    let mut users = InOrder(Registers::new(most, false));
    load::run(&mut users, &mut phones, 0, FIRST, options.window())?;
    thread::sleep(RESTING);
    let first = usage::shared_out(pid)?;
    let (mut there, mut found) = (FIRST, Vec::new());
    for size in sizes {
        load::run(
            &mut users,
            &mut phones,
            there,
            size - there,
            options.window(),
        )?;
        there = *size;
        thread::sleep(RESTING);
        let more = float(usage::shared_out(pid)?) - float(first);
        found.push(more / f64::from(there - FIRST) / 1024.0);
    }
    Ok(found)
}

/// One user after the other, so that each step has its own.
struct InOrder(Registers);

impl Load for InOrder {
    fn begin(&mut self, number: u32, phones: &mut Phones) -> Result<()> {
        self.0.register(number, phones)
    }

    fn take(&mut self, datagram: &[u8], phones: &mut Phones) -> Result<load::Taken> {
        self.0.take(datagram, phones)
    }
}
