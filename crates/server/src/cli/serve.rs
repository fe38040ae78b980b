//! `reveille serve`: the server, until it is told to stop.

use super::options::{config_file, load_config};
use crate::{
    app::{Bound, Options, Server},
    config::{Config, Words},
    dev::{self, Dev},
    setup,
};
use anyhow::{Context, Result, bail};
use domain::Behaviour;
use std::{fmt::Write, net::SocketAddr, path::PathBuf};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Configuration; else ./reveille.toml or /etc/reveille/reveille.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// To try it out: known users, loopback only, simulated clouds, no configuration
    #[arg(long)]
    dev: bool,
    /// What this process does; today: call
    #[arg(long, value_delimiter = ',')]
    roles: Option<Vec<String>>,
}

pub(super) async fn run(Args { config, dev, roles }: Args) -> Result<()> {
    let roles = |config: &mut Config| {
        if let Some(roles) = &roles {
            config.server.roles = Words(roles.clone());
        }
    };
    if dev {
        let mut defaults = dev::defaults();
        roles(&mut defaults);
        let config = load_config(&defaults, config.as_ref())?;
        start_log(&config);
        return serve_dev(config).await;
    }
    let Some(file) = config_file(config.as_ref()) else {
        bail!(
            "no configuration: write one with `reveille init DIR`, or try `reveille serve --dev`"
        );
    };
    let mut defaults = Config::default();
    roles(&mut defaults);
    let config = load_config(&defaults, Some(&file))?;
    start_log(&config);
    serve(config).await
}

async fn serve(config: Config) -> Result<()> {
    std::fs::create_dir_all(&config.server.data_dir).with_context(|| {
        format!(
            "server.data_dir: cannot create {}",
            config.server.data_dir.display()
        )
    })?;
    let tls = if config.listen.needs_tls() {
        Some(setup::certificate(&config.tls)?)
    } else {
        None
    };
    let options = Options {
        behaviour: Behaviour::default(),
        apps: setup::apps(&config.push)?,
        roots: setup::roots(&config.push)?,
        tls,
        client_tls: Some(setup::public_tls()?),
        admin_token: setup::secret_file(&config.server.data_dir.join("admin.token"))?,
        users: Vec::new(),
        config,
    };
    if options.apps.is_empty() {
        tracing::warn!("no [[push.app]] is configured: sleeping phones cannot be woken");
    }
    let mut server = Server::start(options).await?;
    println!("{}", ready_line(server.bound()));
    until_told_to_stop(&mut server).await?;
    server.shutdown().await;
    Ok(())
}

async fn serve_dev(config: Config) -> Result<()> {
    let mut dev = Dev::start(config, Behaviour::default()).await?;
    let clouds = dev.clouds.addresses();
    println!("{}", ready_line(dev.server.bound()));
    println!(
        "users {} with password {} at localhost",
        dev::USERS.join(", "),
        dev::PASSWORD
    );
    println!(
        "simulated APNs https://{}, FCM https://{}, control http://{}",
        clouds.apns, clouds.fcm, clouds.control
    );
    println!(
        "development CA: http://{}/ca.pem, and in {}",
        clouds.control,
        dev.ca_file()?.display()
    );
    until_told_to_stop(&mut dev.server).await?;
    dev.shutdown().await;
    Ok(())
}

/// The one line that says that we are there.
fn ready_line(bound: &Bound) -> String {
    let mut line = format!("reveille {} is ready:", env!("CARGO_PKG_VERSION"));
    let list = |addresses: &[SocketAddr]| {
        addresses
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let parts = [
        ("SIP udp", &bound.sip.udp),
        ("tcp", &bound.sip.tcp),
        ("tls", &bound.sip.tls),
        ("XMPP starttls", &bound.sip.xmpp_tcp),
        ("tls", &bound.sip.xmpp_tls),
        ("admin http", &bound.admin),
        ("health http", &bound.health),
    ];
    for (what, addresses) in parts
        .into_iter()
        .filter(|(_, addresses)| !addresses.is_empty())
    {
        // Writing to a string does not fail.
        let _ = write!(line, " {what} {};", list(addresses));
    }
    line.trim_end_matches(';').to_owned()
}

/// Resolves when the operator wants us to stop, with an error if we cannot go on.
async fn until_told_to_stop(server: &mut Server) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => break interrupted?,
            _ = terminate.recv() => break,
            _ = hang_up.recv() => {
                tracing::warn!("SIGHUP: certificates are read again by themselves; everything else needs a restart");
            }
            error = server.failed() => return Err(error),
        }
    }
    tracing::info!("stopping");
    Ok(())
}

fn start_log(config: &Config) {
    use tracing_subscriber::EnvFilter;
    let filter =
        EnvFilter::try_from_default_env().or_else(|_| EnvFilter::try_new(&config.observe.log));
    let filter = filter.unwrap_or_else(|error| {
        eprintln!("observe.log: {error}; using \"info\"");
        EnvFilter::new("info")
    });
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(terminal)
        .with_target(false)
        .init();
}
