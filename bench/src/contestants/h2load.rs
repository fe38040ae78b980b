//! `h2load`: what the cloud and HTTP/2 allow. It sends the same request again and again, and looks at nothing but its status.

use super::{APP, Order, Said, said};
use crate::debian::Packages;
use anyhow::{Context, Result};
use std::{path::Path, process::Command};

/// Debian's.
pub(crate) const PACKAGES: Packages = Packages {
    program: "h2load",
    names: &["nghttp2-client"],
    sign: "command -v h2load",
    service: "",
};

/// As many bytes as the others send.
const BODY: &str = "{\"aps\":{\"alert\":\"New message\"},\"kind\":\"message\"}";
/// Requests of a run, by how many are under way: it wants a number, where the others have a time.
const REQUESTS: [(u32, u32); 3] = [(1, 10_000), (20, 60_000), (u32::MAX, 100_000)];

/// Its part of an order.
pub(super) fn run(order: &Order) -> Result<Said> {
    let body = order.ca.with_file_name("body.json");
    std::fs::write(&body, BODY)?;
    let requests = REQUESTS.iter().find(|(most, _)| order.in_flight <= *most);
    let requests = requests.map_or(0, |(_, requests)| *requests);
    read(&said(&command(order, requests, &body))?).context("what h2load says")
}

fn command(order: &Order, requests: u32, body: &Path) -> Command {
    let Order {
        host,
        port,
        in_flight,
        ..
    } = order;
    let mut command = Command::new("h2load");
    command.args(["-c", "1", "-t", "1", "-m", &in_flight.to_string()]);
    command.args(["-n", &requests.to_string()]);
    command.arg("-d").arg(body);
    // Of the length that a signed one has.
    let token = "a".repeat(190);
    for header in [
        "content-type: application/json".to_owned(),
        "apns-id: 6f9619ff-8b86-d011-b42d-00cf4fc964ff".to_owned(),
        format!("apns-topic: {APP}"),
        "apns-push-type: alert".to_owned(),
        "apns-priority: 10".to_owned(),
        "apns-expiration: 1800000000".to_owned(),
        format!("authorization: bearer {token}"),
    ] {
        command.arg("-H").arg(header);
    }
    command.arg(format!("https://{host}:{port}/3/device/{:064x}", 0));
    command
}

/// From its report.
fn read(report: &str) -> Result<Said> {
    let line = |begin: &str| {
        let found = report.lines().find_map(|line| line.strip_prefix(begin));
        found.with_context(|| format!("no line {begin:?} in: {report}"))
    };
    let counts = line("requests: ")?;
    let count = |what: &str| -> Result<u32> {
        let count = counts
            .split(", ")
            .find_map(|part| part.strip_suffix(what)?.trim().parse().ok());
        count.with_context(|| format!("no number of {what} in: {counts}"))
    };
    let rate = line("finished in ")?
        .split(", ")
        .find_map(|part| part.strip_suffix(" req/s")?.parse::<f64>().ok());
    let rate = rate.context("no rate")?;
    let (taken, failed) = (count("succeeded")?, count("failed")?);
    Ok(Said {
        taken,
        failed,
        seconds: f64::from(taken) / rate,
        reason: String::new(),
        cpu: 0.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read() {
        let report = "\
starting benchmark...
finished in 2.50s, 40000.00 req/s, 3.20MB/s
requests: 100003 total, 100003 started, 100003 done, 100000 succeeded, 3 failed, 0 errored, 0 timeout
status codes: 100000 2xx, 0 3xx, 3 4xx, 0 5xx
";
        let said = read(report).unwrap();
        assert_eq!((said.taken, said.failed), (100_000, 3));
        assert!((said.seconds - 2.5).abs() < 1e-9);
        assert!(read("nothing").is_err());
    }
}
