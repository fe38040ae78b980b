//! `reveille lab`: the simulated clouds for anybody's push client, and a simulated phone at the terminal.

use super::options::load_config;
use crate::{config::Config, dev, lab_keys};
use anyhow::{Context, Result};
use domain::Generation;
use lab::{
    cloud::{Ca, CloudConfig, Clouds, DevCredentials},
    phone::{PhoneConfig, PushService, XmppDoor, terminal},
};
use sip::Transport;
use std::{net::SocketAddr, path::PathBuf};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Take what the platforms would refuse, and note it in the journal
    #[arg(long)]
    lenient: bool,
    /// Where its keys are kept; else ~/.local/state/reveille/lab
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Run one simulated phone at the terminal
    Phone(Phone),
}

#[derive(Debug, clap::Args)]
struct Phone {
    /// One of alice, bob, carol, dave, erin; or of your own server, as bob@example.org
    user: String,
    /// What it runs
    #[arg(long, value_enum, default_value_t = Platform::Ios)]
    platform: Platform,
    /// single-channel (iOS 12 and older) or dual-channel (the default)
    #[arg(long, value_enum, default_value_t = Channels::DualChannel, hide_default_value = true, hide_possible_values = true)]
    generation: Channels,
    /// How it connects
    #[arg(long, value_enum, default_value_t = Way::Tcp)]
    transport: Way,
    /// Over XMPP instead of SIP; with --sip, by both
    #[arg(long)]
    xmpp: bool,
    /// Over SIP, as without --xmpp
    #[arg(long)]
    sip: bool,
    /// Its user's password
    #[arg(long, default_value = dev::PASSWORD)]
    password: String,
    /// Who vouches for your own server over TLS, PEM; else the lab's CA
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

#[derive(Copy, Clone, Debug, clap::ValueEnum)]
enum Platform {
    Ios,
    Android,
}

#[derive(Copy, Clone, Debug, PartialEq, clap::ValueEnum)]
enum Channels {
    SingleChannel,
    DualChannel,
}

#[derive(Copy, Clone, Debug, clap::ValueEnum)]
enum Way {
    Udp,
    Tcp,
    Tls,
}

pub(super) async fn run(
    Args {
        lenient,
        keys,
        command,
    }: Args,
) -> Result<()> {
    let config = load_config(&dev::defaults(), None)?;
    match command {
        Some(Command::Phone(phone)) => run_phone(phone, &config).await,
        None => run_clouds(&config, lenient, keys).await,
    }
}

async fn run_clouds(config: &Config, lenient: bool, keys: Option<PathBuf>) -> Result<()> {
    let (ca, credentials) = match keys.or_else(lab_keys::usual_place) {
        Some(folder) => lab_keys::kept(&folder)?,
        None => (Ca::new()?, DevCredentials::new()),
    };
    let mut cloud = CloudConfig::dev(&ca, &credentials);
    cloud.lenient = lenient;
    let first = |addresses: &crate::config::Addresses| addresses.0.first().copied();
    cloud.apns = first(&config.listen.apns).context("listen.apns is empty")?;
    cloud.fcm = first(&config.listen.fcm).context("listen.fcm is empty")?;
    cloud.webpush = first(&config.listen.webpush).context("listen.webpush is empty")?;
    cloud.control = first(&config.listen.lab).context("listen.lab is empty")?;
    let clouds = Clouds::start(cloud).await?;
    let at = clouds.addresses();
    say!(
        "simulated APNs https://{}, team {}, key {}",
        at.apns,
        credentials.apns_team(),
        credentials.apns_key_id()
    );
    say!(
        "simulated FCM https://{}, projects {}",
        at.fcm,
        credentials.fcm_projects().collect::<Vec<_>>().join(", ")
    );
    say!("simulated Web Push https://{}", at.webpush);
    say!(
        "control http://{0} (its help: curl http://{0}/)",
        at.control
    );
    tokio::signal::ctrl_c().await?;
    clouds.shutdown().await;
    Ok(())
}

async fn run_phone(phone: Phone, config: &Config) -> Result<()> {
    let first = |addresses: &crate::config::Addresses, key: &str| {
        addresses
            .0
            .first()
            .copied()
            .with_context(|| format!("listen.{key} is empty"))
    };
    let listen = &config.listen;
    let server: (Transport, SocketAddr) = match phone.transport {
        Way::Udp => (Transport::Udp, first(&listen.sip_udp, "sip_udp")?),
        Way::Tcp => (Transport::Tcp, first(&listen.sip_tcp, "sip_tcp")?),
        Way::Tls => (Transport::Tls, first(&listen.sip_tls, "sip_tls")?),
    };
    let single = phone.generation == Channels::SingleChannel;
    let control = format!("http://{}", first(&listen.lab, "lab")?);
    let xmpp = if phone.xmpp {
        let server = first(&listen.xmpp_tls, "xmpp_tls")?;
        Some(XmppDoor {
            pushes: !phone.sip,
            ..XmppDoor::new(server)
        })
    } else {
        None
    };
    let ca = match phone.transport {
        Way::Udp | Way::Tcp if xmpp.is_none() => None,
        _ => Some(match &phone.ca {
            Some(file) => std::fs::read_to_string(file)
                .with_context(|| format!("--ca: cannot read {}", file.display()))?,
            None => ca(&control).await?,
        }),
    };
    let generation = if single {
        Generation::SingleChannel
    } else {
        Generation::DualChannel
    };
    let (user, domain) = match phone.user.split_once('@') {
        Some((user, domain)) => (user, domain),
        None => (phone.user.as_str(), config.domain()),
    };
    let phone = PhoneConfig {
        ca,
        sip: phone.sip || !phone.xmpp,
        xmpp,
        lab: Some(control),
        // The device that it knows is that of the SIP door.
        device_api: (phone.sip || !phone.xmpp)
            .then(|| first(&listen.admin, "admin"))
            .transpose()?
            .map(|address| format!("http://{address}")),
        ..PhoneConfig::new(
            user,
            &phone.password,
            domain,
            server,
            push_service(phone.platform, single),
        )
        .generation(generation)
    };
    Ok(terminal::run(phone).await?)
}

/// The clouds' app for such a phone.
fn push_service(platform: Platform, single: bool) -> PushService {
    match platform {
        Platform::Ios => PushService::Apns {
            team: "TEAM123456".to_owned(),
            bundle: if single {
                "com.example.phone12"
            } else {
                "com.example.phone"
            }
            .to_owned(),
        },
        Platform::Android => PushService::Fcm {
            project: "example-droid".to_owned(),
            package: "com.example.droid".to_owned(),
        },
    }
}

async fn ca(control: &str) -> Result<String> {
    let (_, pem) =
        net::http::request(http::Method::GET, &format!("{control}/ca.pem"), None, None).await?;
    String::from_utf8(pem.to_vec()).context("the lab's CA is not PEM")
}
