//! What lies outside the configuration and makes it dangerous or useless: who reaches the admin API, who can read our keys,
//! what our certificate is worth. `reveille check` fails for each, a server that starts warns of it.

use crate::{clock, config::Config, setup, token_keys, turn};
use anyhow::{Result, bail};
use net::Certificate;
use std::{
    net::IpAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

/// Each with its key, what is found there, and what to do.
pub(crate) fn faults(config: &Config) -> Vec<String> {
    let mut found = exposed(config);
    found.extend(
        secrets(config)
            .into_iter()
            .filter_map(|(key, path)| readable(&key, &path)),
    );
    if config.listen.needs_tls()
        && let Err(error) = certificate(config)
    {
        found.push(error.to_string());
    }
    if let Err(error) = turn::of(config) {
        found.push(format!("{error:#}"));
    }
    found
}

/// The admin API is plain HTTP and can do everything: it is for this host, or for a network of one's own.
fn exposed(config: &Config) -> Vec<String> {
    let open = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => !(ip.is_loopback() || ip.is_private() || ip.is_link_local()),
        IpAddr::V6(ip) => !(ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local()),
    };
    let of = |key: &str, what: &str, remedy: &str, addresses: &[std::net::SocketAddr]| {
        let addresses = addresses.iter().filter(|address| open(address.ip()));
        let say = |address| {
            format!(
                "{key}: {address}: {what} to everybody who reaches this host, over plain HTTP: {remedy}"
            )
        };
        addresses.map(say).collect::<Vec<_>>()
    };
    let listen = &config.listen;
    let admin = of(
        "listen.admin",
        "the admin API is open",
        "take 127.0.0.1, give phones listen.device, and put a proxy that ends TLS in front",
        &listen.admin.0,
    );
    let device = of(
        "listen.device",
        "passwords of users go",
        "take 127.0.0.1, and put a proxy that ends TLS in front",
        &listen.device.0,
    );
    let health = of(
        "listen.health",
        "metrics are open",
        "take 127.0.0.1, or an address that only your monitoring reaches",
        &listen.health.0,
    );
    let push = of(
        "listen.push",
        "secrets and tokens of tenants go",
        "take listen.push_tls, or 127.0.0.1 and put a proxy that ends TLS in front",
        if config.has_role("push") {
            &listen.push.0
        } else {
            &[]
        },
    );
    [admin, device, health, push].concat()
}

/// Files that nobody else may read, by the key that names them.
fn secrets(config: &Config) -> Vec<(String, PathBuf)> {
    let data = &config.server.data_dir;
    let mut files = vec![
        ("tls.key".to_owned(), config.tls.key.clone()),
        ("server.data_dir".to_owned(), data.join("admin.token")),
        ("server.data_dir".to_owned(), data.join("tokens.key")),
        ("server.data_dir".to_owned(), data.join(token_keys::FILE)),
        (
            "push.client_secret_file".to_owned(),
            config.push.client_secret_file.clone(),
        ),
        (
            "push.credentials_key_file".to_owned(),
            config.push.credentials_key_file.clone(),
        ),
    ];
    for (at, app) in config.push.app.iter().enumerate() {
        let key = |name: &str| format!("[[push.app]] number {} ({:?}), {name}", at + 1, app.app);
        files.extend([
            (key("key_file"), app.key_file.clone()),
            (key("certificate_file"), app.certificate_file.clone()),
            (
                key("certificate_password_file"),
                app.certificate_password_file.clone(),
            ),
            (key("service_account"), app.service_account.clone()),
            (key("vapid_key_file"), app.vapid_key_file.clone()),
        ]);
    }
    files.retain(|(_, path)| !path.as_os_str().is_empty());
    files
}

/// What is missing is said by whoever needs it.
fn readable(key: &str, path: &Path) -> Option<String> {
    let mode = path.metadata().ok()?.permissions().mode();
    let path = path.display();
    (mode & 0o007 != 0).then(|| {
        format!(
            "{key}: {path}: every user of this host can read it (mode {:03o}): `chmod o= {path}`",
            mode & 0o777
        )
    })
}

/// What our certificate is: good now, and for the names that clients know us by.
pub(crate) fn certificate(config: &Config) -> Result<Certificate> {
    let chain = setup::certificate_chain(&config.tls)?;
    let path = config.tls.certificate.display();
    let certificate = Certificate::from_pem(&chain)
        .map_err(|error| anyhow::anyhow!("tls.certificate: {path}: {error}"))?;
    let now = Duration::from_millis(clock::now().0);
    let day = |at: Duration| domain::date::iso8601(domain::Timestamp::default().plus(at));
    if now > certificate.not_after {
        bail!(
            "tls.certificate: {path}: it expired on {}: renew it, and it is taken by itself",
            day(certificate.not_after)
        );
    }
    if now < certificate.not_before {
        bail!(
            "tls.certificate: {path}: it is not good before {}: see to the clock of this host, or take another",
            day(certificate.not_before)
        );
    }
    // Clients of XMPP ask for the domain (RFC 6120 §13.7.1.2), phones for the host that they were given.
    let mut names: Vec<(&str, &str)> = vec![("server.node", config.node())];
    if config.listen.serves_xmpp() {
        names.extend(
            config
                .server
                .domains
                .0
                .iter()
                .map(|domain| ("server.domains", domain.as_str())),
        );
    }
    if let Some((key, name)) = names
        .into_iter()
        .find(|(_, name)| !certificate.is_for(name))
    {
        bail!(
            "tls.certificate: {path}: it is not for {name} ({key}), and clients refuse it: take one that names it"
        );
    }
    Ok(certificate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Addresses, Words};

    fn with_certificate(names: &[&str], days: i64) -> (tempfile::TempDir, Config) {
        let folder = tempfile::tempdir().unwrap();
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = rcgen::CertificateParams::new(names).unwrap();
        let year = if days < 0 { 2020 } else { 2090 };
        params.not_before = rcgen::date_time_ymd(2010, 1, 1);
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let chain = params.self_signed(&key).unwrap().pem();
        let mut config = Config::default();
        config.server.domains = Words::of(&["example.org"]);
        config.server.node = "sip.example.org".to_owned();
        config.listen.xmpp_tls = Addresses::of(&["127.0.0.1:5223"]);
        config.tls.certificate = folder.path().join("chain.pem");
        config.tls.key = folder.path().join("key.pem");
        std::fs::write(&config.tls.certificate, chain).unwrap();
        std::fs::write(&config.tls.key, key.serialize_pem()).unwrap();
        mode(&config.tls.key, 0o640);
        (folder, config)
    }

    fn mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_certificate_is_good_now_and_for_our_names() {
        let both = ["example.org", "sip.example.org"];
        let (_folder, config) = with_certificate(&both, 1);
        assert_eq!(faults(&config), [""; 0]);
        for (names, days, says) in [
            (&both[..], -1, "expired on 2020-01-01"),
            (&both[..1], 1, "not for sip.example.org (server.node)"),
            (&both[1..], 1, "not for example.org (server.domains)"),
        ] {
            let (_folder, config) = with_certificate(names, days);
            let found = faults(&config);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(
                found[0].contains(says) && found[0].starts_with("tls.certificate: /"),
                "{found:?}"
            );
        }
    }

    #[test]
    fn what_others_can_read_and_reach_is_named() {
        let (_folder, mut config) = with_certificate(&["example.org", "sip.example.org"], 1);
        mode(&config.tls.key, 0o644);
        config.listen.admin = Addresses::of(&["0.0.0.0:8080", "[::1]:8080", "10.1.2.3:8080"]);
        config.listen.health = Addresses::of(&["192.0.2.1:9090"]);
        config.listen.push = Addresses::of(&["192.0.2.1:8088"]);
        let found = faults(&config);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(
            found[0].starts_with("listen.admin: 0.0.0.0:8080"),
            "{found:?}"
        );
        assert!(
            found[1].starts_with("listen.health: 192.0.2.1:9090"),
            "{found:?}"
        );
        assert!(found[2].contains("chmod o= "), "{found:?}");
        config.server.roles = Words::of(&["push"]);
        let found = faults(&config);
        assert!(found[2].starts_with("listen.push: 192.0.2.1"), "{found:?}");
    }
}
