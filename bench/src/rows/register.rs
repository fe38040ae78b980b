//! REGISTER with digest authentication.

use super::{Options, Sample, contest, measured, register_all, reveille_with_users};
use crate::{
    kamailio::{self, Kamailio, Script},
    process::ONE_CORE,
    reveille::Store,
    row::{Row, Verdict},
    socket::Phones,
};
use anyhow::Result;
use std::net::SocketAddrV4;

const REQUESTS: u32 = 100_000;

pub(super) fn run(options: &Options) -> Result<Row> {
    kamailio::PACKAGES.install()?;
    let requests = options.requests(REQUESTS);
    let measures = contest(
        "register",
        options.rounds,
        &[
            ("Kamailio", &|| peer(options)),
            (Store::Memory.label(), &|| ours(options, Store::Memory)),
            (Store::Sqlite.label(), &|| ours(options, Store::Sqlite)),
        ],
    )?;
    Ok(Row {
        name: "register",
        title: "REGISTER with digest, CPU a request",
        how: options.in_words(requests, "REGISTERs over UDP"),
        verdicts: vec![
            Verdict::ratio(&measures[1], &measures[0], "≤ 1.0, then ≤ 0.6"),
            Verdict::ratio(&measures[2], &measures[0], "≤ 1.3, then ≤ 0.6"),
        ],
        measures,
        notes: vec![
            "Both get the same octets: MD5 with `qop=auth`, each phone's own nonce with its count going up, a Contact \
             with `pn-` parameters. Kamailio checks password and nonce count (`auth`, `nonce_count`) and keeps the Contact \
             as it is in memory (`usrloc`). Reveille does that, and reads the push parameters and keeps the token; on \
             SQLite a 200 leaves after the binding is on disk."
                .to_owned(),
            "Kamailio runs one worker with `-x fm -X fm`; Debian's default allocator is slower.".to_owned(),
        ],
    })
}

pub(super) fn peer(options: &Options) -> Result<Sample> {
    let server = Kamailio::start(Script::Relay, ONE_CORE)?;
    refresh(options, server.sip(), server.pid())
}

fn ours(options: &Options, store: Store) -> Result<Sample> {
    let server = reveille_with_users(options.reveille(store, ONE_CORE)?, options.users)?;
    refresh(options, server.sip(), server.pid()?)
}

/// All register once, and are challenged; then it counts.
fn refresh(options: &Options, sip: SocketAddrV4, pid: u32) -> Result<Sample> {
    let mut phones = Phones::of(sip)?;
    let mut registers = register_all(&mut phones, options.users, true, options.window())?;
    let run = (options.users, options.requests(REQUESTS));
    measured(&mut registers, &mut phones, pid, run, options.window(), 1)
}
