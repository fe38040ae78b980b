//! A call of 13 messages.

use super::{Options, Sample, contest, measured, register_all, reveille_with_users};
use crate::{
    kamailio::{self, Kamailio, Script},
    load::{self, Calls},
    process::ONE_CORE,
    reveille::Store,
    row::{Row, Verdict},
    socket::Phones,
};
use anyhow::{Context, Result};
use std::net::SocketAddrV4;

const REQUESTS: u32 = 20_000;

pub(super) fn run(options: &Options) -> Result<Row> {
    kamailio::PACKAGES.install()?;
    let measures = contest(
        "call",
        options.rounds,
        &[
            ("Kamailio", &|| peer(options)),
            (Store::Memory.label(), &|| ours(options, Store::Memory)),
            (Store::Sqlite.label(), &|| ours(options, Store::Sqlite)),
        ],
    )?;
    Ok(Row {
        name: "call",
        title: "A call, CPU each",
        how: options.in_words(options.requests(REQUESTS), "calls over UDP"),
        verdicts: vec![
            Verdict::ratio(&measures[1], &measures[0], "≤ 0.45"),
            Verdict::ratio(&measures[2], &measures[0], "≤ 0.8, then ≤ 0.45"),
        ],
        measures,
        notes: vec![
            "13 messages: INVITE, 100, 180, 200, ACK, BYE, 200. Callers stand at trusted addresses and are not asked for \
             a password, callees have registered. Kamailio: `t_relay` and `record_route`. Reveille also keeps the \
             call's story and signs its Record-Route. Callees give no push parameters, so nobody is pushed to."
                .to_owned(),
        ],
    })
}

fn peer(options: &Options) -> Result<Sample> {
    let server = Kamailio::start(Script::Relay, ONE_CORE)?;
    calls(options, server.sip(), server.pid())
        .with_context(|| format!("Kamailio said: {}", server.words()))
}

fn ours(options: &Options, store: Store) -> Result<Sample> {
    let server = reveille_with_users(options.reveille(store, ONE_CORE)?, options.users)?;
    calls(options, server.sip(), server.pid()?)
}

fn calls(options: &Options, sip: SocketAddrV4, pid: u32) -> Result<Sample> {
    let mut phones = Phones::of(sip)?;
    register_all(&mut phones, options.users, false, options.window())?;
    let mut calls = Calls::new(options.users);
    let warm = options.requests(REQUESTS) / 10;
    load::run(&mut calls, &mut phones, 0, warm, options.window())?;
    let run = (warm, options.requests(REQUESTS));
    measured(
        &mut calls,
        &mut phones,
        pid,
        run,
        options.window(),
        load::CALL_RECEIVED,
    )
}
