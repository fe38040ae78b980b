//! A user signs in by our page in Chromium for an app that is made with Authlib: inside, and through an edge.

use std::process::Command;

use reveille_e2e::{Browser, PASSWORD, Process, Reveille, SOON, free_port, poll, python};
use serde_json::Value;

/// The app, as it is registered.
const CLIENTS: &str = r#"[{id = "org.example.phone", name = "Example <Phone>", redirect_uris = ["http://127.0.0.1/signed-in"]}]"#;

/// A server with the page, and where it is.
fn server() -> (Reveille, String) {
    let port = free_port();
    let issuer = format!("https://localhost:{port}");
    let mut server = Reveille::new()
        .with("listen", "device_tls", &format!("127.0.0.1:{port}"))
        .with("oauth", "issuer", &issuer)
        .with("oauth", "client", CLIENTS);
    server.start();
    (server, issuer)
}

/// The app waits for its user.
fn app(server: &Reveille, issuer: &str) -> Process {
    let mut command = Command::new(python());
    command
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/peers/oauth_client.py"
        ))
        .arg(issuer)
        .arg(server.ca_file())
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
    let mut app = app(&server, &issuer);
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
    assert!(
        !arrived.contains("alice") && !arrived.contains(PASSWORD),
        "{arrived}"
    );
    assert_eq!(told(&mut app, "another_verifier")["error"], "invalid_grant");
    assert_eq!(told(&mut app, "tokens")["sub"], "alice@localhost");
    assert_eq!(told(&mut app, "refreshed")["sub"], "alice@localhost");
    assert_eq!(told(&mut app, "again")["error"], "invalid_grant");
    assert_eq!(told(&mut app, "ended")["error"], "invalid_grant");
}

#[test]
fn who_cancels_comes_back_to_the_app_with_nothing() {
    let (server, issuer) = server();
    let mut app = app(&server, &issuer);
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
