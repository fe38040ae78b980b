//! A user signs in by our page in Chromium for an app that is made with Authlib: inside, and through an edge.

use std::path::Path;
use std::process::Command;

use reveille_e2e::{Browser, Edge, PASSWORD, Process, Reveille, SOON, free_port, poll, python};
use serde_json::Value;

/// The app, as it is registered.
const CLIENTS: &str = r#"[{id = "org.example.phone", name = "Example <Phone>", redirect_uris = ["http://127.0.0.1/signed-in"]}]"#;

/// A server with the page, and where it is.
fn server() -> (Reveille, String) {
    let (at, issuer) = free_place();
    let mut server = Reveille::new()
        .with("listen", "device_tls", &at)
        .with("oauth", "issuer", &issuer)
        .with("oauth", "client", CLIENTS);
    server.start();
    (server, issuer)
}

/// Where nobody listens yet, and how clients are told of it.
fn free_place() -> (String, String) {
    let port = free_port();
    (
        format!("127.0.0.1:{port}"),
        format!("https://localhost:{port}"),
    )
}

/// The same with an edge, where the page is.
fn server_with_edge() -> (Reveille, Edge, String) {
    let (at, issuer) = free_place();
    let server = Reveille::new()
        .with("oauth", "issuer", &issuer)
        .with("oauth", "client", CLIENTS);
    let mut edge = Edge::of(&server)
        .with("listen", "device_tls", &at)
        .with("oauth", "issuer", &issuer)
        .with("oauth", "client", CLIENTS);
    edge.start();
    let mut server = server.with("edge", "edges", &edge.line());
    server.start();
    let is_up = || edge.status().contains(" up ").then_some(());
    assert!(poll(SOON, is_up).is_some(), "{}", edge.status());
    (server, edge, issuer)
}

/// The app waits for its user.
fn app(ca: &Path, issuer: &str) -> Process {
    let mut command = Command::new(python());
    command
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/peers/oauth_client.py"
        ))
        .arg(issuer)
        .arg(ca)
        .arg("org.example.phone");
    Process::spawn("an app with Authlib", &mut command)
}

/// What the app tells of this.
fn told(app: &mut Process, event: &str) -> Value {
    let line = app.expect(&format!("\"event\": \"{event}\""), SOON);
    serde_json::from_str(&line).expect("a line of JSON")
}

#[test]
fn a_user_signs_in_by_the_page_and_nobody_else_can_use_the_code() {
    let (server, issuer) = server();
    signs_in(&server.ca_file(), &issuer);
}

#[test]
fn a_user_outside_does_so_through_an_edge() {
    let (mut server, edge, issuer) = server_with_edge();
    signs_in(&edge.ca_file(), &issuer);
    server.assert_healthy();
}

/// Alice signs in by the page of this issuer, whose certificate this CA vouches for.
fn signs_in(ca: &Path, issuer: &str) {
    let mut app = app(ca, issuer);
    let mut browser = Browser::started();
    let url = told(&mut app, "go")["url"]
        .as_str()
        .expect("an address")
        .to_owned();
    browser.go(&url);
    assert!(browser.text("main").contains("Example <Phone> will call"));
    assert_eq!(browser.label("#username"), "User name");
    assert_eq!(browser.label("#password"), "Password");
    browser.fill("#username", "alice");
    browser.fill("#password", "not this one");
    browser.press("button");
    let wrong = browser.text("[role=alert]");
    assert!(wrong.contains("do not belong together"), "{wrong}");
    let picture = browser.picture("sign-in-page");
    println!("what it looked like: {}", picture.display());
    browser.fill("#password", PASSWORD);
    browser.press("button");
    let arrived = poll(SOON, || {
        let at = browser.url();
        at.starts_with("http://127.0.0.1:").then_some(at)
    });
    let arrived = arrived.expect("the browser comes to the app");
    assert!(!arrived.contains(PASSWORD), "{arrived}");
    assert_eq!(told(&mut app, "another_verifier")["error"], "invalid_grant");
    assert_eq!(told(&mut app, "tokens")["sub"], "alice@localhost");
    assert_eq!(told(&mut app, "refreshed")["sub"], "alice@localhost");
    assert_eq!(told(&mut app, "again")["error"], "invalid_grant");
    assert_eq!(told(&mut app, "ended")["error"], "invalid_grant");
}

#[test]
fn who_cancels_comes_back_to_the_app_with_nothing() {
    let (server, issuer) = server();
    let mut app = app(&server.ca_file(), &issuer);
    let mut browser = Browser::started();
    let url = told(&mut app, "go")["url"]
        .as_str()
        .expect("an address")
        .to_owned();
    browser.go(&url);
    browser.press("main a");
    let back = told(&mut app, "not_signed_in");
    assert_eq!(back["error"], "access_denied");
    assert_eq!(back["state"], true);
    assert!(browser.url().starts_with("http://127.0.0.1:"));
}
