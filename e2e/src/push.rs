//! A tenant of the push service.

use std::net::SocketAddr;
use std::process::Command;

use serde_json::Value;

/// An access token of the tenant of `--dev` (RFC 6749 §4.4).
pub fn push_token(service: SocketAddr) -> String {
    let grant = Command::new("curl")
        .args([
            "-s",
            "-u",
            "dev:wakeup",
            "-d",
            "grant_type=client_credentials",
        ])
        .arg(format!("http://{service}/oauth/token"))
        .output()
        .expect("curl: `cargo xtask test --only peers` installs it");
    let grant: Value = serde_json::from_slice(&grant.stdout).expect("a grant");
    grant["access_token"].as_str().expect("a token").to_owned()
}
