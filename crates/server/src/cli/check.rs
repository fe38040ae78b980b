//! `reveille check`: a configuration and everything that it names, before it is trusted with calls.

use super::{
    options::{config_file, load_config},
    output,
};
use crate::{apps, config::Config, kept_apps::All, outside, pushd, setup, web};
use anyhow::{Result, anyhow, bail, ensure};
use serde_json::{Value, json};
use std::{path::PathBuf, process::ExitCode};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Configuration; else ./reveille.toml or /etc/reveille/reveille.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// For machines
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(Args { config, json }: &Args) -> Result<ExitCode> {
    let Some(file) = config_file(config.as_ref()) else {
        bail!(
            "no configuration to check: name one with --config, or write one with `reveille init DIR`"
        );
    };
    let mut report = Report {
        json: json.then(Vec::new),
        failed: false,
    };
    let config = load_config(&Config::default(), Some(&file))?;
    report.say("configuration", Ok(file.display().to_string()));
    report.say("tls", check_tls(&config));
    report.say("tunnels", Ok(tunnels(&config)));
    if config.has_role("edge") {
        report.say("clients", clients(&config));
        report.say("web clients", Ok(web_clients(&config)));
    } else {
        report.say("push apps", check_apps(&config).await);
        report.say("components", check_components(&config));
        report.say("pushed through us", check_others(&config).await);
        report.say("store", check_store(&config));
        let settings = crate::settings::check(&config).map_err(Into::into);
        report.say("settings", settings.map(|()| "call".to_owned()));
        report.say("media", Ok(media(&config)));
        report.say("web clients", Ok(web_clients(&config)));
    }
    for fault in outside::faults(&config) {
        report.say("outside", Err(anyhow!(fault)));
    }
    if let Some(lines) = report.json {
        output::json(&lines.into());
    }
    Ok(if report.failed {
        ExitCode::from(1)
    } else {
        ExitCode::SUCCESS
    })
}

/// What was looked at, line by line.
struct Report {
    failed: bool,
    /// For machines, at the end.
    json: Option<Vec<Value>>,
}

impl Report {
    fn say(&mut self, what: &str, result: Result<String>) {
        self.failed |= result.is_err();
        if let Some(lines) = &mut self.json {
            let ok = result.is_ok();
            let text = result.unwrap_or_else(|error| format!("{error:#}"));
            return lines.push(json!({ "what": what, "ok": ok, "detail": text }));
        }
        match result {
            Ok(good) => say!("ok      {what}: {good}"),
            Err(error) => say!("FAILED  {what}: {error:#}"),
        }
    }
}

fn check_tls(config: &Config) -> Result<String> {
    if !config.listen.needs_tls() {
        return Ok("not used".to_owned());
    }
    setup::certificate(&config.tls)?;
    Ok(config.tls.certificate.display().to_string())
}

/// With whom there are tunnels; how they are written down was looked at with the configuration.
fn tunnels(config: &Config) -> String {
    let (edges, insides) = (config.edge.edges.0.len(), config.edge.insides.0.len());
    match (config.has_role("edge"), edges, insides) {
        (true, _, 0) => {
            "no inside may dial: put the line that `reveille edge pair` prints there into [edge]"
                .to_owned()
        }
        (true, _, insides) => format!("{insides} inside(s) may dial"),
        (false, 0, _) => "none".to_owned(),
        (false, edges, _) => format!("{edges} edge(s) are dialled"),
    }
}

/// Who is let in by an edge.
fn clients(config: &Config) -> Result<String> {
    crate::settings::check(config)?;
    let listen = &config.listen;
    let doors = [
        ("SIP", !listen.sip_tls.0.is_empty()),
        ("XMPP", listen.serves_xmpp()),
    ];
    let doors = doors.iter().filter(|(_, is_open)| *is_open);
    let doors: Vec<_> = doors.map(|(name, _)| *name).collect();
    Ok(match (config.edge.passwords, doors.is_empty()) {
        (_, true) => "nobody: open listen.sip_tls, or listen.xmpp_tls with its domains".to_owned(),
        (true, false) => format!("{}, by password or token", doors.join(", ")),
        (false, false) => format!("{}, by token alone", doors.join(", ")),
    })
}

/// What relays audio of phones outside: nobody is asked here.
fn media(config: &Config) -> String {
    if !config.relays_media() {
        return "not relayed".to_owned();
    }
    let daemons = config.media.rtpengine.0.iter();
    let daemons: Vec<_> = daemons.map(ToString::to_string).collect();
    format!(
        "relayed by rtpengine at {}, which `reveille doctor` asks",
        daemons.join(", ")
    )
}

/// What web pages are told, and where it must be found.
fn web_clients(config: &Config) -> String {
    let listen = &config.listen;
    if listen.xmpp_ws.0.is_empty() && listen.xmpp_wss.0.is_empty() {
        return "not served".to_owned();
    }
    match web::url(config, &listen.xmpp_wss.0) {
        Some(url) => format!(
            "{url}; publish our /.well-known/host-meta as https://{}/.well-known/host-meta",
            config.domain()
        ),
        None => "served, but nobody is told where: set im.websocket_url".to_owned(),
    }
}

fn check_components(config: &Config) -> Result<String> {
    let components = crate::components::read(config)?;
    let names: Vec<_> = components.into_iter().map(|(domain, _)| domain).collect();
    Ok(if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    })
}

async fn check_others(config: &Config) -> Result<String> {
    let apps = All::glance(config).await?.apps;
    let others = pushd::Others::read(config, &apps)?;
    let apps = others.gateway.names();
    let domains = others.components.iter().map(|it| it.domain.as_str());
    let names: Vec<_> = apps.into_iter().chain(domains).collect();
    ensure!(
        names.is_empty() || config.has_role("push"),
        "there is a [[push.matrix]] or a [[push.component]], and server.roles has no \"push\": add it"
    );
    Ok(if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    })
}

/// Those of the configuration, and those of the store.
async fn check_apps(config: &Config) -> Result<String> {
    let apps = All::glance(config).await?.apps;
    let names: Vec<_> = apps.iter().map(describe).collect();
    apps::check(apps, &config.push)?;
    Ok(if names.is_empty() {
        "none: sleeping phones cannot be woken; describe one in [[push.app]], or `reveille push app add`".to_owned()
    } else {
        names.join(", ")
    })
}

/// An app by its name; for Web Push with what its clients subscribe with.
fn describe(app: &push::App) -> String {
    let name = &app.profile.app;
    match &app.credentials {
        push::Credentials::WebPush {
            key_pem, contact, ..
        } => match push::token::VapidSigner::new(key_pem, contact) {
            Ok(signer) => format!("{name} (applicationServerKey {})", signer.public_key()),
            // What is wrong with it is said once, when the pusher is made.
            Err(_) => name.to_string(),
        },
        push::Credentials::Apns { .. }
        | push::Credentials::ApnsCertificate { .. }
        | push::Credentials::Fcm { .. } => name.to_string(),
        push::Credentials::Service { at, .. } => format!("{name} (through {at})"),
    }
}

/// Looks, and changes nothing: the database may be another user's, or not there yet.
fn check_store(config: &Config) -> Result<String> {
    let url = config.store_url();
    let Some(found) = store::survey(&url)? else {
        return Ok(if url.starts_with("memory:") {
            format!("{url}: everything is gone when the server stops")
        } else {
            format!("{url}, which the first start makes")
        });
    };
    if let Some(damage) = found.structure.first() {
        bail!(
            "{url}: it is damaged ({damage}): put a backup in its place with `reveille restore FILE`"
        );
    }
    if let Some(damage) = found.damaged.first() {
        bail!(
            "{url}: {} rows are damaged, the first in {} ({}): `reveille store check` names all; a start sets them aside",
            found.damaged.len(),
            damage.table,
            damage.row
        );
    }
    if found.schema != found.newest {
        return Ok(format!(
            "{url}, schema {}: the next start brings it to {}, and no older version reads it then (`reveille backup FILE` first)",
            found.schema, found.newest
        ));
    }
    Ok(format!(
        "{url}, {} users, {} devices",
        found.users, found.devices
    ))
}
