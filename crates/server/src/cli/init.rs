//! `reveille init`: a directory from which a server can be started at once.

use crate::{
    accounts::{self, Ways},
    config,
    entropy::fresh,
    setup,
};
use anyhow::{Context, Result, ensure};
use domain::{Address, Change};
use std::path::{Path, PathBuf};

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
}

pub(super) async fn run(
    Args {
        dir,
        domain,
        node,
        user,
    }: &Args,
) -> Result<()> {
    let node = node.as_ref().unwrap_or(domain);
    std::fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let dir = dir.canonicalize()?;
    let file = dir.join("reveille.toml");
    ensure!(
        !file.exists(),
        "{} is there already: remove it, or name another directory",
        file.display()
    );
    let address = Address::new(user, domain)?;

    let ca = lab::cloud::Ca::new()?;
    let certificate = ca.issue(&[domain, node])?;
    write(&dir.join("ca.pem"), ca.ca_pem(), 0o644)?;
    write(&dir.join("certificate.pem"), &certificate.chain_pem, 0o644)?;
    write(&dir.join("key.pem"), &certificate.key_pem, 0o600)?;
    write(&file, &configuration(&dir, domain, node), 0o640)?;
    setup::secret_file(&dir.join("admin.token"))?;
    let password = fresh();
    let store = store::open(&format!("sqlite:{}", dir.join("reveille.db").display()))?;
    let user = accounts::user(address.clone(), &password, Ways::All);
    accounts::write(store.as_ref(), Change::PutUser(Box::new(user))).await?;
    store.close().await?;

    print!("{}", next_steps(&dir, domain, node, &address, &password));
    Ok(())
}

/// The example with what is known of this server filled in.
fn configuration(dir: &Path, domain: &str, node: &str) -> String {
    let quoted = |text: &dyn std::fmt::Display| toml::Value::String(text.to_string()).to_string();
    let set = [
        ("domains", format!("[{}]", quoted(&domain))),
        ("node", quoted(&node)),
        ("data_dir", quoted(&dir.display())),
        ("sip_tls", "[\"0.0.0.0:5061\"]".to_owned()),
        ("xmpp_tcp", "[\"0.0.0.0:5222\"]".to_owned()),
        ("xmpp_tls", "[\"0.0.0.0:5223\"]".to_owned()),
        (
            "certificate",
            quoted(&dir.join("certificate.pem").display()),
        ),
        ("key", quoted(&dir.join("key.pem").display())),
    ];
    let mut text = String::new();
    for line in config::example().lines() {
        let known = line
            .strip_prefix("#! ")
            .and_then(|line| line.split_once(" = "))
            .map(|(key, _)| key);
        match set.iter().find(|(key, _)| Some(*key) == known) {
            Some((key, value)) => text.extend([*key, " = ", value, "\n"]),
            None => text.extend([line, "\n"]),
        }
    }
    text
}

fn next_steps(dir: &Path, domain: &str, node: &str, address: &Address, password: &str) -> String {
    let file = dir.join("reveille.toml");
    let file = file.display();
    format!(
        "Written to {dir}: reveille.toml, certificate.pem, key.pem, ca.pem, reveille.db, admin.token

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
  4. reveille serve --config {file}
",
        dir = dir.display(),
    )
}

fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(mode).open(path);
    let mut file =
        file.with_context(|| format!("cannot write {}: it must not be there yet", path.display()))?;
    file.write_all(text.as_bytes())?;
    Ok(())
}
