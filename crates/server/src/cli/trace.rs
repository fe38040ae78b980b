//! `reveille trace`: why did my phone not ring?

use super::{
    admin::{Admin, Which, path},
    output,
    watch::follow,
};
use crate::{
    api::{self, StoryView},
    live::Line,
};
use anyhow::{Result, anyhow};
use domain::TraceEvent;
use http::Method;
use serde_json::Value;
use store::Store;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Tracking id, Call-ID or message id, or its beginning; else the latest are listed
    // PJSIP's Call-IDs begin with any character of 64, and the hyphen is one.
    #[arg(allow_hyphen_values = true)]
    id: Option<String>,
    /// Go on with each step as it happens, until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    /// For machines; with --follow a line for each step
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    which: Which,
}

/// Stories that are listed.
const LATEST: usize = 20;

pub(super) async fn run(args: Args) -> Result<()> {
    let server = args.which.server()?;
    match (args.id, args.follow) {
        (None, true) => follow(&server, "stories=true", args.json).await,
        (None, false) => list(latest(&server).await?, args.json),
        (Some(id), true) => {
            // What has happened comes first, and nothing is lost in between but doubled at most.
            let events = story(&server, &id).await?;
            tell(&events, args.json, true)?;
            let tracking = events.first().map(|it| it.tracking.to_string());
            let query = path("stories=true&story=", &tracking.unwrap_or(id));
            follow(&server, &query, args.json).await
        }
        (Some(id), false) => tell(&story(&server, &id).await?, args.json, false),
    }
}

async fn story(server: &Admin, id: &str) -> Result<Vec<TraceEvent>> {
    let path = path("/api/v1/traces/", id);
    if let Some(events) = server.ask(Method::GET, &path, None).await? {
        return Ok(serde_json::from_value(events)?);
    }
    let read = async |store: &dyn Store| {
        let found = api::story(store, id).await;
        found.map_err(|why| anyhow!(output::plain(why.detail())))
    };
    server.beside_server(read).await
}

/// The latest stories: from the server, or from its store while it is down.
async fn latest(server: &Admin) -> Result<Value> {
    let path = format!("/api/v1/traces?limit={LATEST}");
    if let Some(stories) = server.ask(Method::GET, &path, None).await? {
        return Ok(stories);
    }
    let read = async |store: &dyn Store| Ok(store.recent_traces(LATEST).await?);
    let stories = server.beside_server(read).await?;
    let views = stories.into_iter().map(StoryView::from);
    Ok(serde_json::to_value(views.collect::<Vec<_>>())?)
}

fn list(stories: Value, json: bool) -> Result<()> {
    if json {
        output::json(&stories);
        return Ok(());
    }
    let mut rows = vec![output::heading(&[
        "began",
        "tracking id",
        "what",
        "got as far as",
    ])];
    for story in serde_json::from_value::<Vec<StoryView>>(stories)? {
        rows.push(vec![
            domain::date::iso8601(story.began),
            story.tracking.to_string(),
            story.summary,
            story.last.name().to_owned(),
        ]);
    }
    output::table(&rows);
    Ok(())
}

/// `in_lines`: as what follows will be written.
fn tell(events: &[TraceEvent], json: bool, in_lines: bool) -> Result<()> {
    if json && in_lines {
        for event in events {
            let line = Line::Story {
                event: event.clone(),
                user: None,
            };
            say!("{}", output::plain_json(&serde_json::to_string(&line)?));
        }
        return Ok(());
    }
    if json {
        output::json(&serde_json::to_value(events)?);
        return Ok(());
    }
    let Some(first) = events.first() else {
        return Ok(());
    };
    let tracking = output::plain(&first.tracking.to_string());
    say!("{tracking}  {}", domain::date::iso8601(first.at));
    if let Some(alias) = &first.alias {
        say!("{}", output::plain(alias));
    }
    say!();
    let mut rows = vec![output::heading(&[
        "time", "after", "step", "device", "what",
    ])];
    for event in events {
        rows.push(vec![
            domain::date::time_of_day(event.at),
            format!("{:>6} ms", event.at.since(first.at).as_millis()),
            event.step.name().to_owned(),
            event
                .device
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            event.detail.clone(),
        ]);
    }
    output::table(&rows);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    fn parsed(args: &[&str]) -> Args {
        let all = ["trace"].iter().chain(args);
        Command::try_parse_from(all).unwrap().args
    }

    #[test]
    fn an_id_may_begin_with_a_hyphen_and_flags_are_still_flags() {
        for id in ["-ZsGONiAgZDNANjYxIZeUyJqg-e-GAJq", "--x", "-0", "-"] {
            assert_eq!(parsed(&[id]).id.as_deref(), Some(id));
            let args = parsed(&["--json", "-f", id]);
            assert_eq!(
                (args.id.as_deref(), args.follow, args.json),
                (Some(id), true, true)
            );
        }
        // What begins like a flag of ours stands behind two hyphens.
        for id in ["-f1", "-h1", "--json"] {
            assert_eq!(parsed(&["--", id]).id.as_deref(), Some(id));
        }
        assert!(parsed(&["-f"]).follow && parsed(&["--json"]).json);
    }
}
