//! `reveille trace`: why did my phone not ring?

use super::{
    admin::{Which, path},
    output,
};
use anyhow::{Result, bail};
use domain::{Timestamp, TraceEvent};
use http::Method;
use serde::Deserialize;

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

/// A story in the list.
#[derive(Deserialize)]
struct Story {
    tracking: String,
    began: Timestamp,
    summary: String,
    last: domain::trace::Step,
}

pub(super) async fn run(Args { id, json, which }: Args) -> Result<()> {
    let server = which.server()?;
    let Some(id) = id else {
        let stories = server
            .must_ask(Method::GET, "/api/v1/traces?limit=20", None)
            .await?;
        if json {
            println!("{stories:#}");
            return Ok(());
        }
        let mut rows = vec![output::heading(&[
            "began",
            "tracking id",
            "what",
            "got as far as",
        ])];
        for story in serde_json::from_value::<Vec<Story>>(stories)? {
            rows.push(vec![
                domain::date::iso8601(story.began),
                story.tracking,
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
        None => server.store()?.trace(&id).await?,
    };
    if events.is_empty() {
        bail!("no story of {id}: `reveille trace` lists the latest");
    }
    if json {
        println!("{:#}", serde_json::to_value(&events)?);
    } else {
        tell(&events);
    }
    Ok(())
}

fn tell(events: &[TraceEvent]) {
    let Some(first) = events.first() else { return };
    println!("{}  {}", first.tracking, domain::date::iso8601(first.at));
    if let Some(alias) = &first.alias {
        println!("{alias}");
    }
    println!();
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
