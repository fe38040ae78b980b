//! `reveille doctor`: what is wrong with the live installation, and what to do.

use super::{
    admin::Listing,
    output::{self, plain},
};
use crate::doctor::{Finding, Known, Report, Resolver, State, examine};
use anyhow::Result;
use http::Method;
use std::process::ExitCode;

pub(super) async fn run(Listing { json, which }: Listing) -> Result<ExitCode> {
    let server = which.server()?;
    // Whoever may not ask finds that a server is there all the same.
    let answered = server.ask(Method::GET, "/api/v1/alarms", None).await;
    let runs = !matches!(answered, Ok(None));
    let resolver = Resolver::of_system();
    let known = Known {
        runs,
        is_dev: server.is_dev(),
    };
    let report = examine(server.config(), known, &resolver).await;
    if json {
        output::json(&serde_json::to_value(report.findings())?);
    } else {
        tell(&report);
    }
    Ok(if report.has_failed() {
        ExitCode::from(1)
    } else {
        ExitCode::SUCCESS
    })
}

fn tell(report: &Report) {
    for Finding {
        topic,
        state,
        what,
        remedy,
    } in report.findings()
    {
        let word = match state {
            State::Ok => "ok",
            State::Warn => "warn",
            State::Fail => "FAIL",
        };
        say!("{word:<5} {topic}: {}", plain(what));
        if let Some(remedy) = remedy {
            say!("      -> {}", plain(remedy));
        }
    }
}
