//! `reveille init`: a directory from which a server can be started at once.

use super::systemd::{self, DATA};
use crate::{
    accounts::{self, Ways},
    config::{self, Config},
    entropy::fresh,
    setup,
};
use anyhow::{Context, Result, ensure};
use domain::{Address, Change};
use nix::unistd::User;
use std::{
    path::{Path, PathBuf},
    time::SystemTime,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to write; created if it is not there
    dir: PathBuf,
    /// The domain of the users' addresses
    #[arg(long, default_value = "localhost")]
    domain: String,
    /// The host name by which phones reach this server; else the domain
    #[arg(long)]
    node: Option<String>,
    /// The first account
    #[arg(long, default_value = "admin")]
    user: String,
    /// Where the database goes; else DIR; below /etc: /var/lib/reveille
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Write a hardened unit for systemd, too
    #[arg(long)]
    systemd: bool,
    /// Who runs the server there
    #[arg(long, value_name = "NAME", default_value = systemd::USER)]
    service_user: String,
}

/// What is written, and where.
struct Plan<'a> {
    dir: &'a Path,
    data: &'a Path,
    domain: &'a str,
    node: &'a str,
    /// Whose the files are, if not ours.
    service: Option<&'a User>,
    start: Start,
}

/// How the server is to be started.
#[derive(Copy, Clone, PartialEq)]
pub(super) enum Start {
    /// By whoever wants it.
    ByHand,
    /// By systemd, with a unit that we write.
    OwnUnit,
    /// By systemd, with the unit that our package has brought.
    PackagedUnit,
}

impl Start {
    fn of(args: &Args, file: &Path, data: &Path) -> Self {
        match Self::as_packaged(&args.service_user, file, data) {
            Self::ByHand if args.systemd => Self::OwnUnit,
            start => start,
        }
    }

    /// By the unit of our package, if that is for these files and this user; else by hand.
    pub(super) fn as_packaged(user: &str, file: &Path, data: &Path) -> Self {
        if systemd::is_packaged(file, data, user) {
            Self::PackagedUnit
        } else {
            Self::ByHand
        }
    }

    /// What the operator says for it.
    pub(super) fn by(self, dir: &Path) -> String {
        let dir = dir.display();
        match self {
            Self::ByHand => format!("reveille serve --config {dir}/reveille.toml"),
            Self::OwnUnit => format!(
                "install -m 644 {dir}/reveille.service /etc/systemd/system/ && systemctl daemon-reload && systemctl enable --now reveille"
            ),
            Self::PackagedUnit => "systemctl enable --now reveille".to_owned(),
        }
    }
}

pub(super) async fn run(args: &Args) -> Result<()> {
    let Args {
        dir, domain, user, ..
    } = args;
    let node = args.node.as_ref().unwrap_or(domain);
    let address = domain_user(user, domain)?;
    let dir = made(dir, 0o755)?;
    let file = dir.join("reveille.toml");
    ensure!(
        !file.exists(),
        "{} is there already: remove it, or name another directory",
        file.display()
    );
    let data = data_dir(args.data_dir.as_ref(), &dir);
    let start = Start::of(args, &file, &data);
    let service = service(&args.service_user, start)?;
    let data = made(&data, 0o700)?;
    let plan = Plan {
        dir: &dir,
        data: &data,
        domain,
        node,
        service: service.as_ref(),
        start,
    };
    let password = fresh();
    plan.write(&address, &password).await?;
    if start == Start::OwnUnit {
        let program = std::env::current_exe()?;
        let unit = systemd::unit(&program, &file, &data, &args.service_user);
        write(&dir.join("reveille.service"), &unit, 0o644)?;
    }
    crate::output::this(&next_steps(&plan, &address, &password));
    Ok(())
}

fn domain_user(user: &str, domain: &str) -> Result<Address> {
    // What the configuration could not say either.
    let quoted = toml::Value::String(domain.to_owned());
    let text = format!("[server]\ndomains = [{quoted}]\n");
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), text)?;
    config::load(&Config::default(), Some(file.path()), std::iter::empty()).context("--domain")?;
    Ok(Address::new(user, domain)?)
}

/// Where data go, if nothing else is said.
pub(super) fn data_dir(named: Option<&PathBuf>, dir: &Path) -> PathBuf {
    let usual = if dir.starts_with("/etc") {
        Path::new(DATA)
    } else {
        dir
    };
    named.map_or(usual, PathBuf::as_path).to_owned()
}

/// The user that is to run the server, if it is another one than who makes all this.
pub(super) fn service(name: &str, start: Start) -> Result<Option<User>> {
    if start == Start::ByHand || !nix::unistd::geteuid().is_root() {
        return Ok(None);
    }
    let user = User::from_name(name)?.with_context(|| {
        format!(
            "there is no user {name} to run the server: `useradd --system --user-group --home-dir {DATA} --shell /usr/sbin/nologin {name}`, or name another with --service-user"
        )
    })?;
    Ok(Some(user))
}

pub(super) fn made(dir: &Path, mode: u32) -> Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt;
    let mut builder = std::fs::DirBuilder::new();
    let built = builder.recursive(true).mode(mode).create(dir);
    built.with_context(|| {
        format!(
            "cannot create {}: run this as a user who may, or name another directory",
            dir.display()
        )
    })?;
    Ok(dir.canonicalize()?)
}

impl Plan<'_> {
    async fn write(&self, address: &Address, password: &str) -> Result<()> {
        let (dir, data) = (self.dir, self.data);
        let ca = lab::cloud::Ca::new()?;
        let certificate = ca.issue_now(&[self.domain, self.node], SystemTime::now())?;
        write(&dir.join("ca.pem"), ca.ca_pem(), 0o644)?;
        write(&dir.join("certificate.pem"), &certificate.chain_pem, 0o644)?;
        write(&dir.join("key.pem"), &certificate.key_pem, 0o600)?;
        write(&dir.join("reveille.toml"), &configuration(self), 0o640)?;
        for theirs in [data, &dir.join("key.pem"), &dir.join("reveille.toml")] {
            give(theirs, self.service)?;
        }
        setup::secret_file(&data.join("admin.token"))?;
        let store = store::open(&format!("sqlite:{}", data.join("reveille.db").display()))?;
        let user = accounts::user(address.clone(), password, Ways::All);
        accounts::write(store.as_ref(), Change::PutUser(Box::new(user))).await?;
        Ok(store.close().await?)
    }
}

/// To whom runs the server. What is made in a directory of theirs is theirs, too.
pub(super) fn give(path: &Path, service: Option<&User>) -> Result<()> {
    let Some(user) = service else {
        return Ok(());
    };
    let (uid, gid) = (user.uid.as_raw(), user.gid.as_raw());
    std::os::unix::fs::chown(path, Some(uid), Some(gid))
        .with_context(|| format!("{} cannot be given to {}", path.display(), user.name))
}

/// The example with what is known of this server filled in.
fn configuration(plan: &Plan<'_>) -> String {
    let Plan {
        dir,
        data,
        domain,
        node,
        ..
    } = plan;
    let quoted = |text: &dyn std::fmt::Display| toml::Value::String(text.to_string()).to_string();
    let set = [
        ("domains", format!("[{}]", quoted(&domain))),
        ("node", quoted(&node)),
        ("data_dir", quoted(&data.display())),
        ("sip_tls", "[\"0.0.0.0:5061\", \"[::]:5061\"]".to_owned()),
        ("xmpp_tcp", "[\"0.0.0.0:5222\", \"[::]:5222\"]".to_owned()),
        ("xmpp_tls", "[\"0.0.0.0:5223\", \"[::]:5223\"]".to_owned()),
        (
            "certificate",
            quoted(&dir.join("certificate.pem").display()),
        ),
        ("key", quoted(&dir.join("key.pem").display())),
    ];
    config::example_with(&set)
}

fn next_steps(plan: &Plan<'_>, address: &Address, password: &str) -> String {
    let Plan {
        dir,
        data,
        domain,
        node,
        start,
        ..
    } = plan;
    let (file, start_by) = (dir.join("reveille.toml"), start.by(dir));
    let (file, dir, data) = (file.display(), dir.display(), data.display());
    let unit = match start {
        Start::OwnUnit => ", reveille.service",
        Start::ByHand | Start::PackagedUnit => "",
    };
    format!(
        "Written to {dir}: reveille.toml, certificate.pem, key.pem, ca.pem{unit}
Written to {data}: reveille.db, admin.token

DNS records:
  {node}.  A / AAAA  the address of this host
  _sips._tcp.{domain}.  SRV 0 0 5061 {node}.
  _sip._tcp.{domain}.   SRV 1 0 5060 {node}.
  _sip._udp.{domain}.   SRV 2 0 5060 {node}.
  _xmpps-client._tcp.{domain}.  SRV 0 0 5223 {node}.
  _xmpp-client._tcp.{domain}.   SRV 1 0 5222 {node}.

Client settings:
  user {address}, password {password}
  XMPP: the same address and password; SIP: proxy sip:{node};transport=tls, both trusting ca.pem (or put a certificate of a public CA into [tls])

Next:
  1. Describe your app in [[push.app]] of {file}: the key from Apple or Google goes there
  2. reveille check --config {file}
  3. reveille user add NAME --config {file}
  4. {start_by}
"
    )
}

pub(super) fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(mode).open(path);
    let mut file =
        file.with_context(|| format!("cannot write {}: it must not be there yet", path.display()))?;
    file.write_all(text.as_bytes())?;
    Ok(())
}
