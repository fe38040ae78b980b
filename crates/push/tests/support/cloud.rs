//! A cloud that answers whole requests, by a function from request to answer.

use super::{Tls, tls};
use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, Request, Response};
use rustls::RootCertStore;
use serde_json::Value;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

pub struct Cloud {
    pub port: u16,
    pub roots: RootCertStore,
    asked: Arc<Mutex<Vec<Asked>>>,
}

type Reply = Response<String>;

pub fn reply(status: u16, body: &Value) -> Reply {
    Response::builder()
        .status(status)
        .body(body.to_string())
        .unwrap()
}

/// APNs' answer to what it takes.
pub fn taken() -> Reply {
    Response::builder()
        .header("apns-id", "A-1")
        .body(String::new())
        .unwrap()
}

impl Cloud {
    pub async fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let Tls { roots, acceptor } = tls();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::default();
        let world = (Arc::clone(&asked), Arc::new(answer));
        tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let (acceptor, (asked, answer)) = (acceptor.clone(), world.clone());
                tokio::spawn(async move {
                    let tls = acceptor.accept(tcp).await.unwrap();
                    let mut connection = h2::server::handshake(tls).await.unwrap();
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        tokio::spawn(serve(
                            request,
                            respond,
                            Arc::clone(&asked),
                            Arc::clone(&answer),
                        ));
                    }
                });
            }
        });
        Self { port, roots, asked }
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn serve(
    request: Request<h2::RecvStream>,
    mut respond: SendResponse<Bytes>,
    asked: Arc<Mutex<Vec<Asked>>>,
    answer: Arc<impl Fn(&Asked) -> Reply>,
) {
    let (head, mut stream) = request.into_parts();
    let mut body = Vec::new();
    while let Some(part) = stream.data().await {
        let part = part.unwrap();
        stream.flow_control().release_capacity(part.len()).unwrap();
        body.extend(part);
    }
    let request = Asked {
        path: head.uri.path().to_owned(),
        headers: head.headers,
        body,
    };
    let (head, body) = answer(&request).into_parts();
    asked.lock().unwrap().push(request);
    // A client that has gone does not mind.
    if let Ok(mut stream) = respond.send_response(Response::from_parts(head, ()), body.is_empty())
        && !body.is_empty()
    {
        let _ = stream.send_data(Bytes::from(body), true);
    }
}
