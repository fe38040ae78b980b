//! The JSON client against a server made of canned bytes.

// By the name that it has everywhere else in the workspace.
extern crate reveille_net as net;

mod common;

use common::{loopback, read_until};
use http::{Method, StatusCode};
use net::http::{HttpError, request, request_in_tls};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

#[tokio::test]
async fn a_request_carries_method_path_token_and_json() {
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let url = format!("http://{}/tokens?x=1", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let request = read_until(&mut stream, "}").await;
        stream
            .write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok")
            .await
            .unwrap();
        request
    });
    let (status, body) = request(Method::POST, &url, Some("secret"), Some(&json!({"a": 1})))
        .await
        .unwrap();
    assert_eq!(
        (status, body.as_ref()),
        (StatusCode::CREATED, b"ok".as_slice())
    );
    let seen = server.await.unwrap();
    assert!(seen.starts_with("POST /tokens?x=1 HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains("authorization: Bearer secret\r\n"), "{seen}");
    assert!(
        seen.contains("content-type: application/json\r\n"),
        "{seen}"
    );
    assert!(seen.ends_with("\r\n\r\n{\"a\":1}"), "{seen}");
}

#[tokio::test]
async fn nobody_there_names_the_url() {
    let nobody = TcpListener::bind(loopback())
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let error = request(Method::GET, &format!("http://{nobody}/"), None, None)
        .await
        .unwrap_err();
    assert!(error.to_string().contains(&nobody.to_string()), "{error}");
    let error = request(Method::GET, "https://127.0.0.1/", None, None)
        .await
        .unwrap_err();
    assert!(matches!(error, HttpError::Url(_)));
}

#[tokio::test]
async fn what_is_meant_for_tls_is_not_said_in_the_clear() {
    let certificate = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let tls = net::client_config(certificate.cert.pem().as_bytes()).unwrap();
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap()
    });
    let ask = async |url: &str| request_in_tls(&tls, Method::GET, url, Some("secret"), None).await;
    let error = ask(&format!("https://{address}/")).await.unwrap_err();
    assert!(matches!(error, HttpError::Failed { .. }), "{error}");
    // A handshake of TLS, and not the letter of a method.
    assert_eq!(server.await.unwrap(), 22);
    let error = ask(&format!("http://{address}/")).await.unwrap_err();
    assert!(matches!(error, HttpError::Url(_)), "{error}");
}
