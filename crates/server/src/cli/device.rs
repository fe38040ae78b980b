//! `reveille device`: what each user's devices are, do, and suffer from.

use super::{
    admin::{Which, path},
    output,
};
use crate::clock;
use anyhow::Result;
use domain::{Device, Token, change::HistoryEntry};
use http::Method;
use hub::DeviceView;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List devices: mode, app, tokens, messages that wait
    List(List),
    /// Show what happened to one device
    History(History),
    /// Forget a device and what waits for it
    Forget(Id),
}

#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// Only those of this user: name, or name@domain
    #[arg(long)]
    user: Option<String>,
    /// For machines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, clap::Args)]
pub(super) struct History {
    /// As `device list` shows it, or its beginning
    device: String,
    /// For machines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, clap::Args)]
pub(super) struct Id {
    /// As `device list` shows it, or its beginning
    device: String,
    #[command(flatten)]
    which: Which,
}

pub(super) async fn run(command: Command) -> Result<()> {
    match command {
        Command::List(List { user, json, which }) => {
            let server = which.server()?;
            let user = user.map(|user| server.address(&user)).transpose()?;
            let query = user.map(|user| path("?user=", user.as_str()));
            let query = query.unwrap_or_default();
            let views = server
                .must_ask(Method::GET, &format!("/api/v1/devices{query}"), None)
                .await?;
            if json {
                output::json(&views);
            } else {
                list(&serde_json::from_value::<Vec<DeviceView>>(views)?);
            }
        }
        Command::History(History {
            device,
            json,
            which,
        }) => {
            let server = which.server()?;
            let device = server.device(&device).await?.device.id;
            let path = path("/api/v1/devices/", device.as_str()) + "/history";
            let history = server.must_ask(Method::GET, &path, None).await?;
            if json {
                output::json(&history);
                return Ok(());
            }
            let entries: Vec<HistoryEntry> = serde_json::from_value(history)?;
            for entry in entries.into_iter().rev() {
                let what = output::plain(&entry.what);
                say!("{}  {what}", domain::date::iso8601(entry.at));
            }
        }
        Command::Forget(Id { device, which }) => {
            let server = which.server()?;
            let device = server.device(&device).await?.device.id;
            let path = path("/api/v1/devices/", device.as_str());
            server.must_ask(Method::DELETE, &path, None).await?;
            say!("forgot {}", output::plain(device.as_str()));
        }
    }
    Ok(())
}

fn list(views: &[DeviceView]) {
    let mut rows = vec![output::heading(&[
        "user",
        "device",
        "mode",
        "app",
        "waiting",
        "registered",
        "tokens",
    ])];
    for view in views {
        let DeviceView {
            device,
            mode,
            queued,
            ..
        } = view;
        rows.push(vec![
            device.user.to_string(),
            device.id.to_string(),
            mode.name().to_owned(),
            device
                .app
                .as_ref()
                .map_or("-".to_owned(), ToString::to_string),
            queued.to_string(),
            registration(view),
            tokens(device),
        ]);
    }
    output::table(&rows);
}

fn registration(view: &DeviceView) -> String {
    let doors = view.doors.iter().map(|door| door.expires_at);
    match doors.max() {
        Some(expires_at) => format!("for {}", output::roughly(clock::now(), expires_at)),
        None => "no".to_owned(),
    }
}

fn tokens(device: &Device) -> String {
    let word = |name: &str, token: &Option<Token>| {
        token.as_ref().map(|token| match &token.dead {
            None => format!("{name} ok"),
            Some(dead) => format!(
                "{name} DEAD ({}, {} ago)",
                dead.reason,
                output::roughly(dead.since, clock::now())
            ),
        })
    };
    let known: Vec<_> = [
        word("voip", &device.tokens.voip),
        word("message", &device.tokens.message),
    ]
    .into_iter()
    .flatten()
    .collect();
    if known.is_empty() {
        "none: it cannot be woken".to_owned()
    } else {
        known.join(", ")
    }
}
