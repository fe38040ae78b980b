//! XMPP for web pages: who may connect over WebSocket; and what tells clients where all is (RFC 7395 §4, XEP-0156).

use crate::{
    api::oauth,
    config::{Config, ConfigError},
    networks::networks,
};
use axum::{
    Router,
    http::{
        StatusCode,
        header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE},
    },
    routing::get,
};
use net::{Document, Origins, WebSocketConfig};
use serde_json::{Value, json};
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

/// Where they are, those that there are.
const PATHS: [&str; 4] = [ADDRESSES, HOST_META, HOST_META_JSON, oauth::METADATA];
const ADDRESSES: &str = "/.well-known/reveille.json";
const HOST_META: &str = "/.well-known/host-meta";
const HOST_META_JSON: &str = "/.well-known/host-meta.json";

/// What is really bound: sockets, and the device API in TLS.
type Bound<'a> = (&'a net::Addresses, &'a [SocketAddr]);

/// Tells whoever asks at a WebSocket where we are.
pub(crate) fn publish(config: &Config, net: &net::Net, device_tls: &[SocketAddr]) {
    net.publish(documents(config, (net.addresses(), device_tls)));
}

/// The same for whoever asks in HTTP.
pub(crate) fn router(net: &net::Net) -> Router {
    PATHS.into_iter().fold(Router::new(), |router, path| {
        let net = net.clone();
        let show = async move || {
            let Document {
                content_type, body, ..
            } = net.published(path).ok_or(StatusCode::NOT_FOUND)?;
            let fields = [
                (CONTENT_TYPE, content_type),
                (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
                (CACHE_CONTROL, "max-age=300"),
            ];
            Ok::<_, StatusCode>((fields, body))
        };
        router.route(path, get(show))
    })
}

/// What can be read by anybody.
fn documents(config: &Config, bound: Bound<'_>) -> Vec<Document> {
    let url = url(config, &bound.0.xmpp_wss);
    let mut all = vec![Document {
        path: ADDRESSES,
        content_type: "application/json",
        body: addresses(config, bound, url.as_deref()).to_string(),
    }];
    all.extend(url.iter().flat_map(|url| host_meta(url)));
    let passwords = config.edge.passwords || !config.has_role("edge");
    all.extend(config.oauth.issuer().map(|issuer| Document {
        path: oauth::METADATA,
        content_type: "application/json",
        body: oauth::metadata(issuer, (passwords, !config.oauth.client.is_empty())).to_string(),
    }));
    all
}

/// Where a client finds us, by the name that it knows: each protocol with its ports, in TLS alone.
fn addresses(config: &Config, (net, device_tls): Bound<'_>, websocket: Option<&str>) -> Value {
    let port = |all: &[SocketAddr]| all.first().map(SocketAddr::port);
    let node = config.node();
    let at = port(device_tls).map(|port| format!("https://{node}:{port}"));
    json!({
        "domains": config.server.domains.0,
        "host": node,
        "sip_tls": port(&net.tls),
        "xmpp_starttls": port(&net.xmpp_tcp),
        "xmpp_tls": port(&net.xmpp_tls),
        "xmpp_websocket": websocket,
        "device_api": at,
    })
}

/// Host metadata (RFC 6415): as XML, and as JSON.
fn host_meta(url: &str) -> [Document; 2] {
    [
        Document {
            path: HOST_META,
            content_type: "application/xrd+xml",
            body: format!(
                "<?xml version='1.0' encoding='utf-8'?>\n<XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>\n  \
                 <Link rel='{RELATION}' href='{url}'/>\n</XRD>\n"
            ),
        },
        Document {
            path: HOST_META_JSON,
            content_type: "application/json",
            body: json!({"links": [{"rel": RELATION, "href": url}]}).to_string(),
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

        let [xml, json] = host_meta(expected);
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
