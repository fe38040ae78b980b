//! A SIP message, stored and delivered.

use super::{
    Options, Sample, contest, measured, register::peer, register_all, reveille_with_users,
};
use crate::{
    kamailio,
    load::{self, Messages},
    process::ONE_CORE,
    reveille::Store,
    row::{Row, Verdict},
    socket::Phones,
};
use anyhow::Result;

const REQUESTS: u32 = 20_000;

pub(super) fn run(options: &Options) -> Result<Row> {
    kamailio::PACKAGES.install()?;
    let yardstick = Options {
        requests: None,
        ..options.clone()
    };
    let measures = contest(
        "message",
        options.rounds,
        &[
            ("Kamailio, a REGISTER", &|| peer(&yardstick)),
            ("Reveille, SQLite, a message", &|| ours(options)),
        ],
    )?;
    Ok(Row {
        name: "message",
        title: "A SIP message stored and delivered, CPU each",
        how: options.in_words(options.requests(REQUESTS), "messages over UDP"),
        verdicts: vec![Verdict::ratio(
            &measures[1],
            &measures[0],
            "≤ 3.75: 60 µs where a REGISTER takes Kamailio 16",
        )],
        measures,
        notes: vec![
            "4 messages: MESSAGE and 202 once it is on disk, MESSAGE and 200 to a reader who is there. No server of the \
             field does the same, so Kamailio's REGISTER in the same run is the yardstick for the machine."
                .to_owned(),
        ],
    })
}

fn ours(options: &Options) -> Result<Sample> {
    let server = reveille_with_users(options.reveille(Store::Sqlite, ONE_CORE)?, options.users)?;
    let mut phones = Phones::of(server.sip())?;
    register_all(&mut phones, options.users, false, options.window())?;
    let mut messages = Messages::new(options.users);
    let warm = options.requests(REQUESTS) / 10;
    load::run(&mut messages, &mut phones, 0, warm, options.window())?;
    measured(
        &mut messages,
        &mut phones,
        server.pid()?,
        (warm, options.requests(REQUESTS)),
        options.window(),
        load::MESSAGE_RECEIVED,
    )
}
