//! `reveille trace`: why did my phone not ring?

use super::{
    admin::{Admin, Which, path},
    output,
};
use crate::api::StoryView;
use anyhow::{Result, bail};
use domain::TraceEvent;
use http::Method;
use serde_json::Value;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Tracking id, Call-ID or message id; without one, the latest stories are listed
    id: Option<String>,
    /// For machines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    which: Which,
}

/// Stories that are listed.
const LATEST: usize = 20;

pub(super) async fn run(Args { id, json, which }: Args) -> Result<()> {
    let server = which.server()?;
    let Some(id) = id else {
        let stories = latest(&server).await?;
        if json {
            say!("{stories:#}");
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
        return Ok(());
    };
    let events: Vec<TraceEvent> = match server
        .ask(Method::GET, &path("/api/v1/traces/", &id), None)
        .await?
    {
        Some(events) => serde_json::from_value(events)?,
        None => server.open_store()?.trace(&id).await?,
    };
    if events.is_empty() {
        bail!("no story of {id}: `reveille trace` lists the latest");
    }
    if json {
        say!("{:#}", serde_json::to_value(&events)?);
    } else {
        tell(&events);
    }
    Ok(())
}

/// The latest stories: from the server, or from its store while it is down.
async fn latest(server: &Admin) -> Result<Value> {
    let path = format!("/api/v1/traces?limit={LATEST}");
    if let Some(stories) = server.ask(Method::GET, &path, None).await? {
        return Ok(stories);
    }
    let stories = server.open_store()?.recent_traces(LATEST).await?;
    let views = stories.into_iter().map(StoryView::from);
    Ok(serde_json::to_value(views.collect::<Vec<_>>())?)
}

fn tell(events: &[TraceEvent]) {
    let Some(first) = events.first() else { return };
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
}
