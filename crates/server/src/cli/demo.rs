//! `reveille demo`: shows the plays of [`crate::demo`], and says how they went.

mod paint;
mod screen;

use crate::{
    demo::{Demo, Pace, Report},
    dev::{self, Dev},
};
use anyhow::{Context, Result};
use domain::Behaviour;
use paint::Paint;
use screen::Screen;
use std::{
    io::{IsTerminal as _, Write},
    net::SocketAddr,
    process::ExitCode,
    time::Duration,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

/// News that wait to be shown; plays wait for a terminal that is slower.
const NEWS: usize = 1024;

/// The exit status of who was stopped by Ctrl-C, as shells have it.
const STOPPED: u8 = 130;

/// Few at once: it is quick enough, and leaves the machine idle enough for honest figures.
const PACE: Pace = Pace {
    at_once: 2,
    patience: Duration::from_secs(10),
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// For machines
    #[arg(long)]
    json: bool,
    /// Leave it running and print the addresses
    #[arg(long)]
    keep: bool,
    /// Run the push service as a process of its own
    #[arg(long)]
    split: bool,
}

pub(super) async fn run(Args { json, keep, split }: Args) -> Result<ExitCode> {
    start_log();
    let config = super::options::load_config(&dev::on_free_ports(), None)?;
    let beside = split.then(std::env::current_exe).transpose()?;
    let demo = tokio::select! {
        demo = Demo::start(config, Behaviour::default(), PACE, beside) => demo?,
        stopped = stopped() => return stopped.map(|()| STOPPED.into()),
    };
    let played = tokio::select! {
        report = play(&demo, json) => report.map(Some),
        stopped = stopped() => stopped.map(|()| None),
    };
    let code = match played {
        Ok(Some(report)) => after(&demo, &report, keep).await,
        Ok(None) => Ok(STOPPED.into()),
        Err(error) => Err(error),
    };
    // Whatever became of the plays: their data goes.
    demo.shutdown().await;
    code
}

async fn after(demo: &Demo, report: &Report, keep: bool) -> Result<ExitCode> {
    if keep {
        print_addresses(demo.dev(), demo.edge())?;
        stopped().await?;
    }
    Ok(if report.ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Somebody has seen enough.
async fn stopped() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    Ok(())
}

async fn play(demo: &Demo, json: bool) -> Result<Report> {
    let (teller, mut told) = mpsc::channel(NEWS);
    if json {
        drop(told);
        let report = demo.play(teller).await;
        say(&serde_json::to_string_pretty(&report)?);
        return Ok(report);
    }
    let mut screen = Screen::new(Paint::of_stdout(), columns(), demo.titles());
    let show = async {
        say(&screen.opening());
        while let Some(news) = told.recv().await {
            say(&screen.show(news));
        }
    };
    let (report, ()) = tokio::join!(demo.play(teller), show);
    say(&screen.table(&report));
    Ok(report)
}

/// Characters a line: as `COLUMNS` says, else 80 on a terminal, and no limit in a file.
fn columns() -> Option<usize> {
    let said = std::env::var("COLUMNS").ok();
    let said = said.and_then(|it| it.parse().ok());
    said.or_else(|| std::io::stdout().is_terminal().then_some(80))
}

/// Who looked may have seen enough (`reveille demo | head`): that ends the showing, not the demo.
fn say(text: &str) {
    if !text.is_empty() {
        let _ = writeln!(std::io::stdout(), "{text}");
    }
}

/// On standard error, so that `--json` stays one document.
fn print_addresses(dev: &Dev, edge: SocketAddr) -> Result<()> {
    let (bound, clouds) = (dev.server.bound(), dev.clouds.addresses());
    let first = |addresses: &[SocketAddr]| {
        addresses
            .first()
            .map(ToString::to_string)
            .unwrap_or_default()
    };
    let lines = [
        (
            "SIP",
            format!(
                "udp {}, tcp {}, tls {}; by the edge tls {edge}",
                first(&bound.sip.udp),
                first(&bound.sip.tcp),
                first(&bound.sip.tls)
            ),
        ),
        (
            "users",
            format!(
                "{} at localhost, password {}",
                dev::USERS.join(", "),
                dev::PASSWORD
            ),
        ),
        (
            "admin, device API",
            format!(
                "http://{}, admin token {}",
                first(&bound.admin),
                dev::ADMIN_TOKEN
            ),
        ),
        (
            "health, metrics",
            format!("http://{}", first(&bound.health)),
        ),
        (
            "simulated clouds",
            format!("APNs https://{}, FCM https://{}", clouds.apns, clouds.fcm),
        ),
        (
            "their control",
            format!("http://{0} (help: curl http://{0}/)", clouds.control),
        ),
        (
            "development CA",
            dev.ca_file().context("the CA")?.display().to_string(),
        ),
        (
            "stories",
            format!(
                "REVEILLE_LISTEN__ADMIN={} reveille trace",
                first(&bound.admin)
            ),
        ),
    ];
    eprintln!("\nStill running, until Ctrl-C:");
    for (what, at) in lines {
        eprintln!("  {what:<18} {at}");
    }
    if let Some(beside) = &dev.beside {
        let process = beside.process().unwrap_or_default();
        let (rest, health) = (beside.rest, beside.health);
        let at = format!("process {process}, https://{rest}, health http://{health}");
        eprintln!("  {:<18} {at}", "push service");
    }
    Ok(())
}

/// Plays provoke what the server warns of; the steps show it. `RUST_LOG` shows more.
fn start_log() {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("off"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_target(false)
        .init();
}
