//! `reveille doctor`: the live installation, looked at from this host. It changes nothing, takes no lock, and connects to nothing
//! but what the configuration names: its own listeners, the system's resolver, and the providers of its apps.

mod certificates;
mod dns;
mod ports;
mod process;
mod providers;
mod records;
mod store;

use crate::{config::Config, outside, settings};
use serde::Serialize;

pub(crate) use dns::Resolver;

/// How something is.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// As it should be.
    Ok,
    /// It works, and not for everybody or not for long.
    Warn,
    /// It does not work.
    Fail,
}

/// What was found.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    /// What was looked at.
    pub(crate) topic: &'static str,
    /// How it is.
    pub(crate) state: State,
    /// What is there.
    pub(crate) what: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remedy: Option<String>,
}

/// All of that, in the order in which it was looked at.
#[derive(Debug, Default)]
pub(crate) struct Report(Vec<Finding>);

impl Report {
    fn ok(&mut self, topic: &'static str, what: impl Into<String>) {
        self.add(topic, State::Ok, what.into(), None);
    }

    fn warn(&mut self, topic: &'static str, what: impl Into<String>, remedy: impl Into<String>) {
        self.add(topic, State::Warn, what.into(), Some(remedy.into()));
    }

    fn fail(&mut self, topic: &'static str, what: impl Into<String>, remedy: impl Into<String>) {
        self.add(topic, State::Fail, what.into(), Some(remedy.into()));
    }

    /// An error of ours says itself what to do.
    fn broken(&mut self, topic: &'static str, error: &anyhow::Error) {
        self.add(topic, State::Fail, format!("{error:#}"), None);
    }

    fn add(&mut self, topic: &'static str, state: State, what: String, remedy: Option<String>) {
        self.0.push(Finding {
            topic,
            state,
            what,
            remedy,
        });
    }

    /// In order.
    pub(crate) fn findings(&self) -> &[Finding] {
        &self.0
    }

    /// Whether anything does not work.
    pub(crate) fn has_failed(&self) -> bool {
        self.0.iter().any(|it| it.state == State::Fail)
    }
}

/// Looks at everything. `runs`: a server with this configuration answers; `resolver`: who is asked for DNS records.
pub(crate) async fn examine(config: &Config, runs: bool, resolver: &Resolver) -> Report {
    let mut report = Report::default();
    match settings::check(config) {
        Ok(()) => report.ok("configuration", "it can be read, and fits together"),
        Err(error) => report.broken("configuration", &error.into()),
    }
    for fault in outside::faults(config) {
        // The certificate has a line of its own.
        if !fault.starts_with("tls.certificate") {
            report.broken("configuration", &anyhow::anyhow!(fault));
        }
    }
    if runs {
        report.ok("server", "it runs, and answers");
    } else {
        report.warn(
            "server",
            "no server answers: its ports and what it serves are not looked at",
            "start it with `reveille serve`, or `systemctl start reveille`",
        );
    }
    process::look(config, runs, &mut report);
    store::look(config, &mut report);
    records::look(config, resolver, &mut report).await;
    certificates::look(config, runs, &mut report).await;
    if runs {
        ports::look(config, &mut report).await;
    }
    providers::look(config, &mut report).await;
    report
}

#[cfg(test)]
mod tests;
