//! `reveille doctor`: the live installation, looked at from this host. It changes nothing, takes no lock, and connects to nothing
//! but what the configuration names: its own listeners, the system's resolver, and the providers of its apps.

mod certificates;
mod dns;
mod media;
mod ports;
mod process;
mod providers;
mod records;
mod report;
mod store;

use crate::{config::Config, outside, settings};

pub(crate) use dns::Resolver;
pub(crate) use report::{Finding, Report, State};

/// What is known of the server before anything is looked at.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Known {
    /// One with this configuration answers.
    pub(crate) runs: bool,
    /// It is one of `serve --dev`, which makes its certificate itself.
    pub(crate) is_dev: bool,
}

/// Looks at everything. `resolver`: who is asked for DNS records.
pub(crate) async fn examine(config: &Config, known: Known, resolver: &Resolver) -> Report {
    let runs = known.runs;
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
    certificates::look(config, known, &mut report).await;
    if runs {
        ports::look(config, &mut report).await;
    }
    media::look(config, &mut report).await;
    providers::look(config, &mut report).await;
    report
}

#[cfg(test)]
mod tests;
