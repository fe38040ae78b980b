//! Pushes that leave through an HTTP proxy.

#![expect(clippy::unwrap_used, reason = "a test's helpers may panic")]

mod support;

use domain::Outcome;
use reveille_push::{Limits, Pusher, Route};
use std::sync::Arc;
use support::{Tls, call, frames::Listener, iphone, limits, play, tls};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

/// A proxy that says `answer`, and after one that begins with 200 carries bytes. Gives what it was asked.
async fn proxy(listener: TcpListener, answer: &'static str) -> String {
    let (mut client, _) = listener.accept().await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    client.write_all(answer.as_bytes()).await.unwrap();
    if answer.starts_with("HTTP/1.1 200") {
        let target = head.split(' ').nth(1).unwrap();
        let mut server = TcpStream::connect(target).await.unwrap();
        tokio::spawn(async move { copy_bidirectional(&mut client, &mut server).await });
    }
    head
}

async fn pusher_through(login: &str, port: u16, tls: Tls) -> (Pusher, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let route = Route {
        roots: tls.roots,
        proxy: Some(format!("http://{login}{at}").parse().unwrap()),
    };
    let one = Limits {
        connections: 1,
        ..limits()
    };
    let pusher = Pusher::new(vec![iphone(port)], route, one, Arc::new(())).unwrap();
    (pusher, listener)
}

#[tokio::test]
async fn a_push_goes_through_the_proxy_to_the_provider() {
    let tls = tls();
    let cloud = Listener::bind(tls.acceptor.clone()).await;
    let port = cloud.port();
    let (pusher, listener) = pusher_through("user:secret@", port, tls).await;
    let asked = tokio::spawn(proxy(
        listener,
        "HTTP/1.1 200 Connection established\r\nVia: 1.1 a\r\n\r\n",
    ));
    let apple = async {
        let mut connection = cloud.accept(10).await;
        let stream = connection.request().await.unwrap();
        connection.accept(stream).await;
        connection
    };
    let (outcome, _connection) = play(pusher.push(call(1)), apple).await;
    assert_eq!(outcome.name(), "accepted", "{outcome:?}");
    let asked = asked.await.unwrap();
    assert!(
        asked.starts_with(&format!(
            "CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        )),
        "{asked}"
    );
    assert!(
        asked.contains("Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=\r\n"),
        "{asked}"
    );
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_as_the_reason() {
    for (answer, reason) in [
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
            "push.proxy",
        ),
        ("HTTP/1.1 503 No\r\n\r\n", "HTTP/1.1 503 No"),
        ("SSH-2.0-x\r\n\r\n", "SSH-2.0-x"),
        ("", "the proxy closed the connection"),
    ] {
        let (pusher, listener) = pusher_through("", 1, tls()).await;
        // Each attempt is answered so.
        let proxy = tokio::spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                client.write_all(answer.as_bytes()).await.unwrap();
                client.shutdown().await.unwrap();
            }
        });
        let outcome = pusher.push(call(1)).await;
        proxy.abort();
        let Outcome::Unavailable { reason: told, .. } = &outcome else {
            panic!("{outcome:?}");
        };
        assert!(told.contains(reason), "{told}");
    }
}
