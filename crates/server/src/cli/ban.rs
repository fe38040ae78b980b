//! `reveille ban`: sources that are kept out for a while.

use super::{
    admin::{Listing, Which, one, path},
    output,
};
use crate::{api::BanOrder, bans::BanView, config::Span};
use anyhow::Result;
use domain::guard::Source;
use http::Method;
use std::net::IpAddr;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List who is banned, until when and by whom
    List(Listing),
    /// Keep an address out: an IPv6 address stands for its /64
    Add(Add),
    /// Let an address in again
    Lift(Lift),
}

#[derive(Debug, clap::Args)]
pub(super) struct Add {
    address: IpAddr,
    /// How long: 90s, 30m, 24h, 7d
    #[arg(long, value_name = "TIME", default_value = "24h")]
    r#for: Span,
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, clap::Args)]
pub(super) struct Lift {
    /// As `ban list` shows it, or its beginning
    address: String,
    #[command(flatten)]
    which: Which,
}

pub(super) async fn run(command: Command) -> Result<()> {
    let at = |address: &str| path("/api/v1/bans/", address);
    match command {
        Command::List(Listing { json, which }) => {
            let server = which.server()?;
            let bans = server.must_ask(Method::GET, "/api/v1/bans", None).await?;
            if json {
                output::json(&bans);
                return Ok(());
            }
            for ban in serde_json::from_value::<Vec<BanView>>(bans)? {
                let until = domain::date::iso8601(ban.until);
                say!("{}  until {until}  by {}", ban.source, ban.by);
            }
        }
        Command::Add(Add {
            address,
            r#for,
            which,
        }) => {
            let seconds = r#for.0.as_secs();
            let order = serde_json::to_value(BanOrder { seconds })?;
            let server = which.server()?;
            let path = at(&address.to_string());
            server.must_ask(Method::PUT, &path, Some(&order)).await?;
            say!("{address} is banned");
        }
        Command::Lift(Lift { address, which }) => {
            let server = which.server()?;
            let bans = server.must_ask(Method::GET, "/api/v1/bans", None).await?;
            let bans: Vec<BanView> = serde_json::from_value(bans)?;
            // An address stands for the network that it is banned with.
            let given = address.parse::<IpAddr>().map(Source::of);
            let given = given.map_or(address, |source| source.to_string());
            let sources = bans.into_iter().map(|ban| ban.source);
            let source = one(&given, sources, "ban", "`reveille ban list` shows all")?;
            server.must_ask(Method::DELETE, &at(&source), None).await?;
            say!("{source} is let in again");
        }
    }
    Ok(())
}
