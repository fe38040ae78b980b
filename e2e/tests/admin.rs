//! The admin API: over its Unix socket for whoever may open that file, over TCP for whoever has the token.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use reveille_e2e::{Reveille, http, http_as};

/// The status of an answer over the socket, to a request without a token.
fn status(socket: &Path, path: &str) -> String {
    let mut stream = UnixStream::connect(socket).expect("the socket");
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    .expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[test]
fn who_may_open_the_socket_is_an_operator_and_the_command_line_goes_there() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let socket = folder.path().join("admin.sock");
    let mut server = Reveille::new()
        .with("listen", "admin_socket", socket.to_str().expect("its path"))
        .with("listen", "admin_socket_mode", "0660");
    server.start();
    let mode = std::fs::metadata(&socket)
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o660);
    assert_eq!(status(&socket, "/api/v1/users"), "200");
    assert_eq!(
        status(&socket, "/api/v1/me/devices/x"),
        "404",
        "the device API is not there"
    );
    let admin = server.address("admin");
    let over_tcp =
        |token: &str| http_as(admin, "GET", "/api/v1/users", token, None).expect("an answer");
    assert_eq!(over_tcp("").status, 401);
    assert_eq!(over_tcp("wrong").status, 401);
    assert_eq!(over_tcp("wakeup").status, 200);
    let metrics = http(server.health(), "GET", "/metrics", None).expect("metrics");
    assert!(
        metrics
            .body
            .contains("reveille_refused_total{reason=\"password\"} 2")
    );
    // Nothing listens at the address that it would go to otherwise.
    let mut command = server.command();
    command
        .env("REVEILLE_LISTEN__ADMIN", "127.0.0.1:9")
        .args(["user", "list"]);
    let listed = command.output().expect("the reveille binary");
    assert!(
        listed.status.success(),
        "{}",
        String::from_utf8_lossy(&listed.stderr)
    );
    assert!(String::from_utf8_lossy(&listed.stdout).contains("alice"));
    // What is left behind by a server that was killed is taken over, and goes with one that ends.
    server.kill();
    assert!(socket.exists());
    server.start();
    assert_eq!(status(&socket, "/api/v1/users"), "200");
    server.stop();
    assert!(!socket.exists());
}
