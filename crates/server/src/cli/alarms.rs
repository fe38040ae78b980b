//! `reveille alarms`: what is wrong now, and what to do. For scripts it says by its exit status whether there is anything.

use super::{
    admin::Which,
    output::{heading, plain, roughly, table},
};
use crate::{alarms::Standing, clock};
use anyhow::Result;
use http::Method;
use serde_json::Value;
use std::process::ExitCode;

/// Some alarm stands.
const SOME: u8 = 1;
/// Nobody can be asked: 1 would say that something stands, 2 is wrong usage.
const NOBODY: u8 = 3;

/// Exit status: 0 none stands, 1 some do, 3 no server could be asked.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit status: 0 none stands, 1 some do, 3 no server could be asked")]
pub(super) struct Args {
    /// For machines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    which: Which,
}

pub(super) async fn run(args: Args) -> ExitCode {
    match shown(args).await {
        Ok(true) => ExitCode::from(SOME),
        Ok(false) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("reveille: {error:#}");
            ExitCode::from(NOBODY)
        }
    }
}

/// Shows them; says whether there are any.
async fn shown(Args { json, which }: Args) -> Result<bool> {
    let server = which.server()?;
    let told = server.must_ask(Method::GET, "/api/v1/alarms", None).await?;
    if json {
        say!("{told:#}");
        return Ok(told != Value::Array(Vec::new()));
    }
    let standing: Vec<Standing> = serde_json::from_value(told)?;
    if standing.is_empty() {
        say!("no alarm stands");
        return Ok(false);
    }
    let now = clock::now();
    let mut rows = vec![heading(&["severity", "alarm", "about", "since", "what"])];
    rows.extend(standing.iter().map(|it| {
        vec![
            it.severity.name().to_owned(),
            it.name.clone(),
            it.subject.clone(),
            roughly(it.since, now),
            it.detail.clone(),
        ]
    }));
    table(&rows);
    // What helps several is said once.
    let mut said: Vec<(&str, &str)> = Vec::new();
    for it in &standing {
        let helps = (it.name.as_str(), it.remedy.as_str());
        if !said.contains(&helps) {
            said.push(helps);
        }
    }
    say!();
    for (name, remedy) in said {
        say!("{}: {}", plain(name), plain(remedy));
    }
    Ok(true)
}
