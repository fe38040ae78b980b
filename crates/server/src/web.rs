//! XMPP for web pages: who may connect over WebSocket, and what tells them where (RFC 7395 §4, XEP-0156).

use crate::{
    config::{Config, ConfigError},
    networks::networks,
};
use net::{Document, Origins, WebSocketConfig};
use std::{net::SocketAddr, sync::Arc};

/// Where a WebSocket begins.
const PATH: &str = "/xmpp-websocket";

/// What says that a link leads to one (XEP-0156).
const RELATION: &str = "urn:xmpp:alt-connections:websocket";

/// Where a WebSocket is served, and to whom.
pub(crate) fn config(config: &Config) -> Result<WebSocketConfig, ConfigError> {
    let (listen, im) = (&config.listen, &config.im);
    let origins = Origins::new(&config.server.domains.0, &im.websocket_origins.0);
    let proxies = networks(&im.websocket_proxies, "im.websocket_proxies")?;
    if !im.websocket_url.is_empty() && !is_url(&im.websocket_url) {
        return Err(ConfigError::Value {
            key: "im.websocket_url".to_owned(),
            message: format!(
                "{:?} is no address of a WebSocket: write it as \"wss://chat.example.org{PATH}\"",
                im.websocket_url
            ),
        });
    }
    Ok(WebSocketConfig {
        ws: listen.xmpp_ws.0.clone(),
        wss: listen.xmpp_wss.0.clone(),
        path: PATH.to_owned(),
        origins: origins.map_err(|error| ConfigError::Value {
            key: "im.websocket_origins".to_owned(),
            message: error.to_string(),
        })?,
        is_proxy: Arc::new(move |ip| proxies.iter().any(|network| network.contains(ip))),
    })
}

/// Whether it may stand in a document as it is. What browsers take from a page in TLS is in TLS itself.
fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("wss://");
    let plain = |it: char| it.is_ascii_graphic() && !"<>&'\"\\#".contains(it);
    rest.is_some_and(|rest| !rest.starts_with('/') && !rest.is_empty() && rest.chars().all(plain))
}

/// Where clients find the WebSocket, if they can be told.
pub(crate) fn url(config: &Config, wss: &[SocketAddr]) -> Option<String> {
    if !config.im.websocket_url.is_empty() {
        return Some(config.im.websocket_url.clone());
    }
    let port = wss.first()?.port();
    Some(format!("wss://{}:{port}{PATH}", config.node()))
}

/// Tells whoever asks where the WebSocket is.
pub(crate) fn publish(config: &Config, net: &net::Net) {
    if let Some(url) = url(config, &net.addresses().xmpp_wss) {
        net.publish(documents(&url));
    }
}

/// Host metadata (RFC 6415): as XML, and as JSON.
fn documents(url: &str) -> Vec<Document> {
    vec![
        Document {
            path: "/.well-known/host-meta",
            content_type: "application/xrd+xml",
            body: format!(
                "<?xml version='1.0' encoding='utf-8'?>\n<XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>\n  \
                 <Link rel='{RELATION}' href='{url}'/>\n</XRD>\n"
            ),
        },
        Document {
            path: "/.well-known/host-meta.json",
            content_type: "application/json",
            body: serde_json::json!({"links": [{"rel": RELATION, "href": url}]}).to_string(),
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Addresses, Words};

    #[test]
    fn clients_are_told_where_the_websocket_is() {
        let mut known = Config::default();
        known.server.domains = Words::of(&["example.org"]);
        assert_eq!(url(&known, &[]), None);
        let bound = Addresses::of(&["0.0.0.0:5281"]).0;
        let expected = "wss://example.org:5281/xmpp-websocket";
        assert_eq!(url(&known, &bound).as_deref(), Some(expected));
        known.im.websocket_url = "wss://chat.example.org/ws".to_owned();
        assert_eq!(
            url(&known, &bound).as_deref(),
            Some("wss://chat.example.org/ws")
        );

        let [xml, json] = &documents(expected)[..] else {
            panic!("two documents");
        };
        let link = format!("<Link rel='urn:xmpp:alt-connections:websocket' href='{expected}'/>");
        assert!(xml.body.contains(&link), "{}", xml.body);
        let read: serde_json::Value = serde_json::from_str(&json.body).unwrap();
        assert_eq!(read["links"][0]["href"], expected);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_key() {
        for (key, written) in [
            ("im.websocket_url", "ws://example.org/a"),
            ("im.websocket_url", "wss://"),
            ("im.websocket_url", "wss://example.org/'><a"),
            ("im.websocket_origins", "example.org"),
            ("im.websocket_proxies", "proxy.example.org"),
        ] {
            let mut wrong = Config::default();
            match key {
                "im.websocket_url" => wrong.im.websocket_url = written.to_owned(),
                "im.websocket_origins" => wrong.im.websocket_origins = Words::of(&[written]),
                _ => wrong.im.websocket_proxies = Words::of(&[written]),
            }
            match config(&wrong) {
                Err(ConfigError::Value { key: named, .. }) => assert_eq!(named, key),
                other => panic!("{written}: {}", other.is_ok()),
            }
        }
    }
}
