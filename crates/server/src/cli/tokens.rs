//! `reveille tokens`: the keys by which access and refresh tokens are signed.

use super::{
    admin::Listing,
    output::{self, heading, roughly, table},
};
use crate::{
    clock,
    config::Span,
    token_keys::{KeyState, KeyView, Rotation},
};
use anyhow::Result;
use domain::{Timestamp, date};
use http::Method;
use serde_json::Value;

/// Where the admin API has them.
const KEYS: &str = "/api/v1/tokens/keys";

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List the keys: which one signs, how old each is, until when it counts
    List(Listing),
    /// Sign by a new key, in a minute; what others have signed is good until it ends
    Rotate(Rotate),
}

#[derive(Debug, clap::Args)]
pub(super) struct Rotate {
    /// Sign by it so much later (30d at most): time to copy the file elsewhere
    #[arg(long, value_name = "TIME", conflicts_with = "drop_old")]
    r#in: Option<Span>,
    /// Others may be stolen: what they have signed ends, and clients sign in anew
    #[arg(long)]
    drop_old: bool,
    #[command(flatten)]
    listing: Listing,
}

pub(super) async fn run(command: Command) -> Result<()> {
    let (Listing { json, which }, rotation) = match command {
        Command::List(listing) => (listing, None),
        Command::Rotate(Rotate {
            r#in,
            drop_old,
            listing,
        }) => {
            let later = r#in.map(|it| it.0.as_secs());
            (listing, Some(Rotation { later, drop_old }))
        }
    };
    let server = which.server()?;
    let told = match rotation {
        None => server.must_ask(Method::GET, KEYS, None).await?,
        Some(rotation) => {
            let order = serde_json::to_value(rotation)?;
            server.must_ask(Method::POST, KEYS, Some(&order)).await?
        }
    };
    if json {
        output::json(&told);
        return Ok(());
    }
    show(told)
}

fn show(told: Value) -> Result<()> {
    let (keys, now): (Vec<KeyView>, _) = (serde_json::from_value(told)?, clock::now());
    let mut rows = vec![heading(&["key", "state", "age", "until"])];
    rows.extend(keys.into_iter().map(|key| row(key, now)));
    table(&rows);
    Ok(())
}

fn row(key: KeyView, now: Timestamp) -> Vec<String> {
    let state = match key.state {
        KeyState::Next => format!("signs in {}", roughly(now, key.signs)),
        KeyState::Signs => "signs".to_owned(),
        KeyState::Counts => "counts".to_owned(),
    };
    let until = key.until.map_or_else(|| "-".to_owned(), date::iso8601);
    vec![key.id, state, roughly(key.made, now), until]
}
