//! `reveille edge`: a directory for an edge, the line by which it and the inside know each other, and how the tunnels are.

use super::{
    admin::Listing,
    init::{Start, data_dir, give, made, service, write},
    options::{config_file, load_config},
    output::{heading, plain, table},
    systemd,
};
use crate::{
    alarms::{Alarm, Standing},
    config::{self, Config},
    edge::View,
    pairs::{identity, inside},
    setup,
};
use anyhow::{Result, anyhow, ensure};
use http::Method;
use std::{
    path::{Path, PathBuf},
    time::SystemTime,
};

/// The port at which tunnels are dialled, unless the configuration says otherwise.
const PORT: u16 = 4433;

/// What of the alarms that stand is about edges.
const ALARMS: [Alarm; 5] = [
    Alarm::EdgeUnreachable,
    Alarm::TunnelDown,
    Alarm::ClocksDiffer,
    Alarm::CertificateExpires,
    Alarm::CertificateRefused,
];

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Write a configuration, keys and certificates for an edge; say what to do next
    Init(Init),
    /// Print the line that the other side needs, to be pasted there
    Pair(Pair),
    /// Show the tunnels: at an edge to its insides, inside to the edges
    Status(Listing),
}

#[derive(Debug, clap::Args)]
pub(super) struct Init {
    /// Where to write; created if it is not there
    dir: PathBuf,
    /// The host name by which clients outside and the inside reach it
    #[arg(long)]
    name: String,
    /// The users' domain, for XMPP beside SIP; may be repeated
    #[arg(long)]
    domain: Vec<String>,
    /// The key that `reveille edge pair` prints inside; may be repeated
    // One of 64 begins with a hyphen.
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    inside: Vec<String>,
    /// Where its key goes; else DIR; below /etc: /var/lib/reveille
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Pair {
    /// Configuration; else ./reveille.toml or /etc/reveille/reveille.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) async fn run(command: Command) -> Result<()> {
    match command {
        Command::Init(args) => init(&args),
        Command::Pair(args) => pair(&args),
        Command::Status(args) => status(args).await,
    }
}

fn init(args: &Init) -> Result<()> {
    for key in &args.inside {
        // Before anything is written.
        inside(key).map_err(|error| anyhow!("--inside: {error}"))?;
    }
    let dir = made(&args.dir, 0o755)?;
    let file = dir.join("reveille.toml");
    ensure!(
        !file.exists(),
        "{} is there already: remove it, or name another directory",
        file.display()
    );
    let data = data_dir(args.data_dir.as_ref(), &dir);
    let text = configuration(args, &dir, &data)?;
    let start = Start::as_packaged(systemd::USER, &file, &data);
    let service = service(systemd::USER, start)?;
    let data = made(&data, 0o700)?;
    let ca = lab::cloud::Ca::new()?;
    // Clients of XMPP ask for the domain, whatever host they find it at.
    let names = [&args.name].into_iter().chain(&args.domain);
    let names: Vec<_> = names.map(String::as_str).collect();
    let certificate = ca.issue_now(&names, SystemTime::now())?;
    write(&dir.join("ca.pem"), ca.ca_pem(), 0o644)?;
    write(&dir.join("certificate.pem"), &certificate.chain_pem, 0o644)?;
    write(&dir.join("key.pem"), &certificate.key_pem, 0o600)?;
    write(&file, &text, 0o640)?;
    for theirs in [&data, &dir.join("key.pem"), &file] {
        give(theirs, service.as_ref())?;
    }
    setup::secret_file(&data.join("admin.token"))?;
    let line = edges_line(&args.name, PORT, &data)?;
    tell(args, (&dir, &data), &line, &start.by(&dir));
    Ok(())
}

/// What was written, and what is to be done next.
fn tell(args: &Init, (dir, data): (&Path, &Path), line: &str, start: &str) {
    let (name, domain) = (&args.name, args.domain.first());
    let of = domain.map_or("example.org", String::as_str);
    let (records, ports) = match domain {
        Some(_) => (
            format!(
                "
  _xmpps-client._tcp.{of}.  SRV 0 0 5223 {name}.
  _xmpp-client._tcp.{of}.   SRV 1 0 5222 {name}."
            ),
            "5061, 5222, 5223 and 5281",
        ),
        None => (String::new(), "5061"),
    };
    let file = dir.join("reveille.toml");
    let (file, dir, data) = (file.display(), dir.display(), data.display());
    let missing = if args.inside.is_empty() {
        format!(
            "\n     and here, into [edge] of {file}, the line that `reveille edge pair` prints there"
        )
    } else {
        String::new()
    };
    say!(
        "Written to {dir}: reveille.toml, certificate.pem, key.pem, ca.pem
Written to {data}: tunnel.key, admin.token

DNS records outside, with the domain of your users for {of}:
  {name}.  A / AAAA  the address of this host
  _sips._tcp.{of}.  SRV 0 0 5061 {name}.
  {of}.  NAPTR 10 0 \"s\" \"SIPS+D2T\" \"\" _sips._tcp.{of}.{records}
Inside, the same names lead to the inside's own addresses (split DNS): its server.node is the name that phones know.

Firewall:
  from outside to this host: TCP {ports}; from inside to this host: UDP {PORT}; nothing from here inwards

Next:
  1. Put a certificate of a public CA into [tls] of {file}
  2. Put this line into [edge] of the inside's configuration, and start it again:
       {line}{missing}
  3. {start}
  4. reveille edge status --config {file}"
    );
}

/// The example with what is known of this edge filled in.
fn configuration(args: &Init, dir: &Path, data: &Path) -> Result<String> {
    let quoted = |text: &dyn std::fmt::Display| toml::Value::String(text.to_string()).to_string();
    let all = |words: &[String]| {
        let words: Vec<_> = words.iter().map(|word| quoted(word)).collect();
        format!("[{}]", words.join(", "))
    };
    let mut set = vec![
        ("roles", "[\"edge\"]".to_owned()),
        ("node", quoted(&args.name)),
        ("data_dir", quoted(&data.display())),
        ("sip_udp", "[]".to_owned()),
        ("sip_tcp", "[]".to_owned()),
        ("sip_tls", "[\"0.0.0.0:5061\", \"[::]:5061\"]".to_owned()),
        ("tunnel", format!("[\"0.0.0.0:{PORT}\"]")),
        (
            "certificate",
            quoted(&dir.join("certificate.pem").display()),
        ),
        ("key", quoted(&dir.join("key.pem").display())),
        ("insides", all(&args.inside)),
    ];
    if !args.domain.is_empty() {
        let at = |port: u16| format!("[\"0.0.0.0:{port}\", \"[::]:{port}\"]");
        set.extend([
            ("domains", all(&args.domain)),
            ("xmpp_tcp", at(5222)),
            ("xmpp_tls", at(5223)),
            ("xmpp_wss", at(5281)),
        ]);
    }
    let text = config::example_with(&set);
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), &text)?;
    // A name that is none is said before anything is written.
    config::load(&Config::default(), Some(file.path()), std::iter::empty())?;
    Ok(text)
}

/// What the inside needs to know of an edge.
fn edges_line(name: &str, port: u16, data: &Path) -> Result<String> {
    let key = identity(data)?.fingerprint();
    Ok(format!("edges = [\"{name}:{port}#{key}\"]"))
}

fn pair(args: &Pair) -> Result<()> {
    let file = config_file(args.config.as_ref());
    let config = load_config(&Config::default(), file.as_ref())?;
    let data = &config.server.data_dir;
    if !config.has_role("edge") {
        let key = identity(data)?.fingerprint();
        eprintln!("# for [edge] of each edge's configuration:");
        say!("insides = [\"{key}\"]");
        return Ok(());
    }
    let port = config
        .listen
        .tunnel
        .0
        .first()
        .map_or(PORT, std::net::SocketAddr::port);
    eprintln!("# for [edge] of the inside's configuration; other edges stand in the same list:");
    say!("{}", edges_line(config.node(), port, data)?);
    Ok(())
}

async fn status(Listing { json, which }: Listing) -> Result<()> {
    let server = which.server()?;
    let told = server
        .must_ask(Method::GET, "/api/v1/tunnels", None)
        .await?;
    if json {
        say!("{told:#}");
        return Ok(());
    }
    let tunnels: Vec<View> = serde_json::from_value(told)?;
    if tunnels.is_empty() {
        say!(
            "no tunnel: `reveille edge pair` on the other side prints the line that is missing here"
        );
        return Ok(());
    }
    let mut rows = vec![heading(&[
        "tunnel", "state", "for", "at", "ms", "lost", "clock", "clients", "key",
    ])];
    rows.extend(tunnels.into_iter().map(|it| {
        let state = match it.why {
            _ if it.up => "up".to_owned(),
            Some(why) => format!("down: {}", plain(&why)),
            None => "down".to_owned(),
        };
        let lost = it.lost.map(|part| format!("{:.1} %", part * 100.0));
        let round_trip = it.round_trip_ms.map(|ms| format!("{ms:.1}"));
        vec![
            it.name,
            state,
            format!("{} s", it.seconds),
            it.at.unwrap_or_default(),
            round_trip.unwrap_or_default(),
            lost.unwrap_or_default(),
            it.clock_ahead_ms.map(signed).unwrap_or_default(),
            it.clients.to_string(),
            it.key,
        ]
    }));
    table(&rows);
    let standing = server.must_ask(Method::GET, "/api/v1/alarms", None).await?;
    let standing: Vec<Standing> = serde_json::from_value(standing)?;
    let of_edges = standing
        .iter()
        .filter(|it| ALARMS.iter().any(|alarm| alarm.name() == it.name));
    for alarm in of_edges {
        let (about, detail) = (plain(&alarm.subject), plain(&alarm.detail));
        say!("{} {about}: {detail}\n  {}", alarm.name, alarm.remedy);
    }
    Ok(())
}

/// By how much a clock is ahead, to the millisecond as long as that says anything.
fn signed(ahead_ms: i64) -> String {
    match ahead_ms {
        -999..=999 => format!("{ahead_ms:+} ms"),
        _ => format!("{:+} s", ahead_ms / 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Args, FromArgMatches};

    #[test]
    fn it_is_seen_whether_a_clock_is_ahead_or_behind() {
        let shown = [0, 3, -999, 1_000, -37_200].map(signed);
        assert_eq!(shown, ["+0 ms", "+3 ms", "-999 ms", "+1 s", "-37 s"]);
    }

    #[test]
    fn a_key_may_begin_with_a_hyphen() {
        let key = "-PxW-gQzu8EsynUjthJeA9VX6qsmPjBAeTJNouKHws0";
        let said = ["init", "dir", "--name", "localhost", "--inside", key];
        let matches = Init::augment_args(clap::Command::new("init")).try_get_matches_from(said);
        let args = Init::from_arg_matches(&matches.unwrap()).unwrap();
        assert_eq!(args.inside, [key]);
        assert!(inside(key).is_ok());
    }
}
