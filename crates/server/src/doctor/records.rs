//! The DNS records by which clients find the server: those that `reveille init` prints.

use super::{
    dns::{Resolver, Service},
    report::Report,
};
use crate::config::{Addresses, Config, Listen};
use std::net::IpAddr;

/// A service, and where it is listened for.
type Row = (&'static str, fn(&Listen) -> &Addresses);

/// All of them (RFC 3263 §4.1, RFC 6120 §3.2.1, XEP-0368), in the order in which clients prefer them.
const SERVICES: [Row; 5] = [
    ("_sips._tcp", |it| &it.sip_tls),
    ("_sip._tcp", |it| &it.sip_tcp),
    ("_sip._udp", |it| &it.sip_udp),
    ("_xmpps-client._tcp", |it| &it.xmpp_tls),
    ("_xmpp-client._tcp", |it| &it.xmpp_tcp),
];

pub(super) async fn look(config: &Config, resolver: &Resolver, report: &mut Report) {
    if !config.has_role("call") {
        return;
    }
    let node = config.node();
    address(node, report).await;
    for domain in &config.server.domains.0 {
        if domain.parse::<IpAddr>().is_ok() || domain == "localhost" {
            report.ok("dns", format!("{domain} needs no service records"));
            continue;
        }
        for (service, listened) in SERVICES {
            let ports: Vec<u16> = public(listened(&config.listen)).collect();
            if let Some(port) = ports.first() {
                let wanted = format!("{service}.{domain}. SRV 0 0 {port} {node}.");
                let found = resolver.services(&format!("{service}.{domain}")).await;
                judge((service, domain), (node, &ports), &wanted, found, report);
            }
        }
    }
}

/// The ports at which others than this host are listened to.
fn public(addresses: &Addresses) -> impl Iterator<Item = u16> {
    let there = addresses.0.iter().filter(|it| !it.ip().is_loopback());
    there.map(std::net::SocketAddr::port)
}

async fn address(node: &str, report: &mut Report) {
    match net::resolve(node, 0).await {
        Ok(found) => {
            let mut found: Vec<_> = found.iter().map(|it| it.ip().to_string()).collect();
            found.dedup();
            report.ok("dns", format!("{node} is {}", found.join(", ")));
        }
        Err(error) => report.fail(
            "dns",
            format!("{node} (server.node) has no address: {error}"),
            format!("add `{node}. A ADDRESS` (and AAAA) with the address of this host, or mend server.node"),
        ),
    }
}

fn judge(
    (service, domain): (&str, &str),
    (node, ports): (&str, &[u16]),
    wanted: &str,
    found: std::io::Result<Vec<Service>>,
    report: &mut Report,
) {
    let name = format!("{service}.{domain}");
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            let remedy = "see /etc/resolv.conf, and whether this host reaches its resolver";
            return report.warn("dns", format!("{name}: {error}"), remedy);
        }
    };
    let is_ours = |it: &Service| it.target.eq_ignore_ascii_case(node) && ports.contains(&it.port);
    if found.iter().any(is_ours) {
        return report.ok("dns", format!("{name} leads to {node}"));
    }
    let elsewhere: Vec<_> = found
        .iter()
        .map(|it| format!("{}:{}", it.target, it.port))
        .collect();
    if elsewhere.is_empty() {
        return report.warn(
            "dns",
            format!(
                "{name} is not there: clients that know only {domain} do not find the server by it"
            ),
            format!("add `{wanted}`"),
        );
    }
    report.warn(
        "dns",
        format!("{name} leads to {}, and not here", elsewhere.join(", ")),
        format!("if that is no proxy or balancer in front of this host, it should be `{wanted}`"),
    );
}
