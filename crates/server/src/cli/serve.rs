//! `reveille serve`: the server, until it is told to stop.

use super::options::{config_file, load_config};
use crate::{
    alone::Alone,
    app::{Bound, Options, Server},
    config::{Config, Words},
    dev::{self, Dev},
    edge_role::EdgeRole,
    log, notify, outside,
    reload::Origin,
    reloaded::{InPart, Reloaded},
    setup,
};
use anyhow::{Context, Result, bail};
use domain::Behaviour;
use std::{fmt::Write, net::SocketAddr, path::PathBuf, time::Duration};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Configuration; else ./reveille.toml or /etc/reveille/reveille.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// To try it out: known users, loopback only, simulated clouds, no configuration
    #[arg(long)]
    dev: bool,
    /// What this process does: call, push, edge
    #[arg(long, value_delimiter = ',')]
    roles: Option<Vec<String>>,
    /// End when standard input does, which whoever starts us as a part of itself holds open
    #[arg(long, hide = true)]
    while_stdin: bool,
}

pub(super) async fn run(args: Args) -> Result<()> {
    let Args {
        config,
        dev,
        roles,
        while_stdin,
    } = args;
    let ended = while_stdin.then(stdin_ends);
    let roles = |config: &mut Config| {
        if let Some(roles) = &roles {
            config.server.roles = Words(roles.clone());
        }
    };
    if dev {
        let mut defaults = dev::defaults();
        roles(&mut defaults);
        let config = load_config(&defaults, config.as_ref())?;
        log::start(&config);
        return serve_dev(config, ended).await;
    }
    let Some(file) = config_file(config.as_ref()) else {
        bail!(
            "no configuration: write one with `reveille init DIR`, or try `reveille serve --dev`"
        );
    };
    let mut defaults = Config::default();
    roles(&mut defaults);
    let config = load_config(&defaults, Some(&file))?;
    let set_log = log::start(&config);
    // In a place of its own: it holds the whole configuration.
    Box::pin(serve(config, Origin { file, set_log }, ended)).await
}

/// Whoever started us has gone, or wants us no longer.
type Ended = Option<oneshot::Receiver<()>>;

/// In a thread of its own, which nothing waits for.
fn stdin_ends() -> oneshot::Receiver<()> {
    let (ends, ended) = oneshot::channel();
    std::thread::spawn(move || {
        // An error is an end as well.
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        drop(ends);
    });
    ended
}

async fn serve(config: Config, origin: Origin, ended: Ended) -> Result<()> {
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
        route: setup::route(&config.push)?,
        tls,
        client_tls: Some(setup::public_tls()?),
        admin_token: setup::secret_file(&config.server.data_dir.join("admin.token"))?,
        origin: Some(origin),
        users: Vec::new(),
        tenants: Vec::new(),
        config,
    };
    if options.config.has_role("edge") {
        return Box::pin(serve_edge(options, ended)).await;
    }
    if options.apps.is_empty() {
        tracing::warn!("no [[push.app]] is configured: sleeping phones cannot be woken");
    }
    for fault in outside::faults(&options.config) {
        tracing::warn!("{fault}");
    }
    if !options.config.has_role("call") {
        let service = Alone::start(options).await?;
        say!("{}", ready_line(service.bound()));
        notify::tell("READY=1");
        until_alone_is_told_to_stop(&service, ended).await?;
        service.shutdown().await;
        return Ok(());
    }
    let mut server = Server::start(options).await?;
    say!("{}", ready_line(server.bound()));
    notify::tell("READY=1");
    until_told_to_stop(&mut server, ended).await?;
    server.shutdown().await;
    Ok(())
}

/// What an edge does after its clients are gone takes no longer.
const FAREWELL: Duration = Duration::from_secs(30);

async fn serve_edge(options: Options, ended: Ended) -> Result<()> {
    let edge = EdgeRole::start(options).await?;
    say!("{} tunnel udp {}", ready_line(edge.bound()), edge.tunnel());
    notify::tell("READY=1");
    let mut orders = Orders::heard(ended)?;
    until_edge_is_told_to_stop(&edge, &mut orders).await?;
    // Or systemd would end us in the midst of that.
    let stops = edge.drains() + FAREWELL;
    notify::tell(&format!("EXTEND_TIMEOUT_USEC={}", stops.as_micros()));
    tokio::select! {
        () = edge.drain() => {}
        told = until_edge_is_told_to_stop(&edge, &mut orders) => told?,
    }
    edge.shutdown().await;
    Ok(())
}

async fn until_edge_is_told_to_stop(edge: &EdgeRole, orders: &mut Orders) -> Result<()> {
    while let Order::Reload = orders.next().await? {
        tell(edge.reload());
    }
    Ok(())
}

async fn serve_dev(config: Config, ended: Ended) -> Result<()> {
    let mut dev = Dev::start(config, Behaviour::default()).await?;
    let clouds = dev.clouds.addresses();
    say!("{}", ready_line(dev.server.bound()));
    say!(
        "users {} with password {} at localhost",
        dev::USERS.join(", "),
        dev::PASSWORD
    );
    say!(
        "simulated APNs https://{}, FCM https://{}, control http://{}",
        clouds.apns,
        clouds.fcm,
        clouds.control
    );
    say!(
        "development CA: http://{}/ca.pem, and in {}",
        clouds.control,
        dev.ca_file()?.display()
    );
    until_told_to_stop(&mut dev.server, ended).await?;
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
        ("ws", &bound.sip.xmpp_ws),
        ("wss", &bound.sip.xmpp_wss),
        ("components tcp", &bound.sip.components),
        ("admin http", &bound.admin),
        ("device http", &bound.device),
        ("device https", &bound.device_tls),
        ("health http", &bound.health),
        ("push http", &bound.push),
        ("https", &bound.push_tls),
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

/// What the operator says by signals.
struct Orders {
    terminate: Signal,
    hang_up: Signal,
    ended: Ended,
}

/// One of them.
enum Order {
    Stop,
    Reload,
}

impl Orders {
    fn heard(ended: Ended) -> Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            ended,
        })
    }

    async fn next(&mut self) -> Result<Order> {
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted?,
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => return Ok(Order::Reload),
            () = gone(&mut self.ended) => {}
        }
        tracing::info!("stopping");
        notify::tell("STOPPING=1");
        Ok(Order::Stop)
    }
}

/// Resolves when who started us has gone; never, if nobody looks at that.
async fn gone(ended: &mut Ended) {
    match ended {
        Some(there) => {
            // It says nothing: it ends.
            let _ = there.await;
            *ended = None;
        }
        None => std::future::pending().await,
    }
}

/// Resolves when the operator wants us to stop, with an error if we cannot go on.
async fn until_told_to_stop(server: &mut Server, ended: Ended) -> Result<()> {
    let mut orders = Orders::heard(ended)?;
    loop {
        tokio::select! {
            order = orders.next() => match order? {
                Order::Stop => return Ok(()),
                Order::Reload => tell(server.reload().await),
            },
            error = server.failed() => return Err(error),
        }
    }
}

/// The same for a push service that is nothing else.
async fn until_alone_is_told_to_stop(service: &Alone, ended: Ended) -> Result<()> {
    let mut orders = Orders::heard(ended)?;
    while let Order::Reload = orders.next().await? {
        tell(service.reload().await);
    }
    Ok(())
}

/// What came of it is in the log.
fn tell(reloaded: Result<Reloaded>) {
    match reloaded {
        Ok(_) => {}
        Err(error) if error.is::<InPart>() => tracing::error!("reload in part: {error:#}"),
        Err(error) => tracing::error!("reload: nothing has changed: {error:#}"),
    }
}
