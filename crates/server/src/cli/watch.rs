//! `reveille watch`, and `trace --follow`: what happens, as it happens, until Ctrl-C or until nobody reads it any more.

use super::{
    admin::{Admin, Which, path},
    output::{plain, plain_json},
};
use crate::{live::Line, output};
use anyhow::{Context, Result, bail};
use domain::date;
use std::io::ErrorKind;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only what this user has a part in: name, or name@domain
    #[arg(long)]
    user: Option<String>,
    /// A line of JSON for each event
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    which: Which,
}

pub(super) async fn run(Args { user, json, which }: Args) -> Result<()> {
    let server = which.server()?;
    let user = user.map(|user| server.address(&user)).transpose()?;
    let query = user.map(|user| path("user=", user.as_str()));
    follow(&server, &query.unwrap_or_default(), json).await
}

/// Prints what happens and is wanted: `query` is that of the admin API's `watch`.
pub(super) async fn follow(server: &Admin, query: &str, json: bool) -> Result<()> {
    let mut lines = server.lines(&format!("/api/v1/watch?{query}")).await?;
    let interrupted = tokio::signal::ctrl_c();
    let gone = output::reader_is_gone();
    tokio::pin!(interrupted, gone);
    loop {
        let line = tokio::select! {
            signal = &mut interrupted => return signal.context("no signal can be waited for"),
            () = &mut gone => return Ok(()),
            line = lines.next() => line,
        };
        let line = match line {
            Ok(Some(line)) => line,
            Ok(None) => bail!("the server has ended"),
            Err(error) => bail!("the server is not heard any more: {error}"),
        };
        let shown = if json {
            plain_json(&line)
        } else {
            in_words(&serde_json::from_str(&line).context("the server is of another version")?)
        };
        match output::try_line(&shown) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            written => written?,
        }
    }
}

fn in_words(line: &Line) -> String {
    let shown = match line {
        Line::Story { event, user } => {
            let device = event.device.as_ref().map(ToString::to_string);
            let about = [user.as_ref().map(ToString::to_string), device];
            let about: Vec<_> = about.into_iter().flatten().collect();
            let about = about.join(" ");
            let colon = if about.is_empty() || event.detail.is_empty() {
                ""
            } else {
                ": "
            };
            format!(
                "{}  {}  {:<22} {about}{colon}{}",
                date::time_of_day(event.at),
                event.tracking,
                event.step.name(),
                event.detail
            )
        }
        Line::Device {
            device,
            user,
            at,
            what,
        } => {
            let user = user.as_ref().map(ToString::to_string).unwrap_or_default();
            let at = date::time_of_day(*at);
            format!("{at}  {:<24}  {:<22} {user} {device}: {what}", "", "device")
        }
        Line::Lost { events } => {
            format!("--- {events} events were lost: they came faster than they were read")
        }
    };
    plain(shown.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{Timestamp, TraceEvent, trace::Step};

    #[test]
    fn what_a_peer_sent_does_nothing_to_a_terminal() {
        let line = Line::Story {
            event: TraceEvent {
                tracking: "t1".into(),
                at: Timestamp(0),
                step: Step::CallReceived,
                alias: None,
                device: None,
                detail: "from \u{1b}]0;owned\u{7}@example.org".to_owned(),
            },
            user: None,
        };
        let shown = in_words(&line);
        assert_eq!(
            shown,
            r"00:00:00.000  t1  call_received          from \u{1b}]0;owned\u{7}@example.org"
        );
    }
}
