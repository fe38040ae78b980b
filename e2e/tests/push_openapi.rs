//! The push service against its own OpenAPI description, by Schemathesis, which tries what the description allows and what it forbids.

use std::net::SocketAddr;
use std::process::Command;

use reveille_e2e::{Reveille, free_port, http, push_token, python};

#[test]
fn the_service_does_what_its_description_says() {
    let at = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut server = Reveille::new().with("server", "roles", "call,push").with(
        "listen",
        "push",
        &at.to_string(),
    );
    server.start();
    let described = http(at, "GET", "/openapi.json", None).expect("its description");
    assert_eq!(described.status, 200);
    let token = push_token(at);
    let tried = Command::new(python())
        .args(["-m", "schemathesis.cli", "run"])
        .arg(format!("http://{at}/openapi.json"))
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args(["--checks", "all", "--max-examples", "40", "--seed", "7"])
        .args([
            "--workers",
            "1",
            "--suppress-health-check",
            "all",
            "--no-color",
        ])
        .current_dir(server.data())
        .output()
        .expect("python: `cargo xtask test --only peers` gets it");
    let said = String::from_utf8_lossy(&tried.stdout);
    assert!(tried.status.success(), "{said}");
    server.assert_healthy();
}
