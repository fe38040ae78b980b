//! `reveille check`: a configuration and everything that it names, before it is trusted with calls.

use super::options::{config_file, load_config};
use crate::{config::Config, setup};
use anyhow::{Context, Result, bail};
use domain::Record;
use std::{
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Configuration; else ./reveille.toml or /etc/reveille/reveille.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) async fn run(Args { config }: &Args) -> Result<ExitCode> {
    let Some(file) = config_file(config.as_ref()) else {
        bail!(
            "no configuration to check: name one with --config, or write one with `reveille init DIR`"
        );
    };
    let config = load_config(&Config::default(), Some(&file))?;
    let mut failed = false;
    let mut say = |what: &str, result: Result<String>| match result {
        Ok(good) => println!("ok      {what}: {good}"),
        Err(error) => {
            failed = true;
            println!("FAILED  {what}: {error:#}");
        }
    };
    say("configuration", Ok(file.display().to_string()));
    say("tls", check_tls(&config));
    say("push apps", check_apps(&config));
    say("store", check_store(&config).await);
    let settings = crate::settings::check(&config).map_err(Into::into);
    say("settings", settings.map(|()| "call".to_owned()));
    Ok(if failed {
        ExitCode::from(1)
    } else {
        ExitCode::SUCCESS
    })
}

fn check_tls(config: &Config) -> Result<String> {
    if !config.listen.needs_tls() {
        return Ok("not used".to_owned());
    }
    setup::certificate(&config.tls)?;
    Ok(config.tls.certificate.display().to_string())
}

/// Nothing is pushed here, so there is nothing to see.
struct Silent;

impl push::Observer for Silent {
    fn on(&self, _: &push::Event<'_>) {}
}

fn check_apps(config: &Config) -> Result<String> {
    let apps = setup::apps(&config.push)?;
    let names: Vec<_> = apps.iter().map(|app| app.profile.app.to_string()).collect();
    push::Pusher::new(
        apps,
        setup::roots(&config.push)?,
        push::Limits::default(),
        Arc::new(Silent),
    )?;
    Ok(if names.is_empty() {
        "none: sleeping phones cannot be woken; describe one in [[push.app]]".to_owned()
    } else {
        names.join(", ")
    })
}

async fn check_store(config: &Config) -> Result<String> {
    let url = config.store_url();
    let store = store::open(&url)?;
    let count = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let counting = count.clone();
    let sink = Box::new(move |record| {
        let [users, devices] = &*counting;
        match record {
            Record::User(_) => users.fetch_add(1, Relaxed),
            Record::Device(_) => devices.fetch_add(1, Relaxed),
            _ => 0,
        };
    });
    store.load(sink).await.context("it cannot be read")?;
    store.close().await?;
    let [users, devices] = [0, 1].map(|at: usize| count[at].load(Relaxed));
    Ok(format!("{url}, {users} users, {devices} devices"))
}
