//! The clients of OAuth: what may be written of them, above all where their users may be sent to.

use super::{Config, ConfigError, error::wrong};
use axum::http::Uri;

/// So many at most, and so many places of each.
const MOST: usize = 32;

/// Octets of the longest id, name or place.
const LONGEST: usize = 512;

/// Loopback, where an app listens at any port that is free (RFC 8252 §7.3).
const LOOPBACK: [&str; 2] = ["http://127.0.0.1", "http://[::1]"];

/// A place at loopback as its host and what stands behind the port; nothing, if it is none.
pub(crate) fn without_port(uri: &str) -> Option<(&str, &str)> {
    let (host, rest) = LOOPBACK
        .iter()
        .find_map(|host| Some((*host, uri.strip_prefix(host)?)))?;
    let Some(port) = rest.strip_prefix(':') else {
        return (rest.is_empty() || rest.starts_with(['/', '?'])).then_some((host, rest));
    };
    let digits = port.bytes().take_while(u8::is_ascii_digit).count();
    let (port, rest) = port.split_at(digits);
    let is_port = port.parse::<u16>().is_ok_and(|port| port > 0);
    (is_port && (rest.is_empty() || rest.starts_with(['/', '?']))).then_some((host, rest))
}

/// Finds what is wrong with the clients.
pub(super) fn check(config: &Config, found: &mut Vec<ConfigError>) {
    let oauth = &config.oauth;
    if oauth.client.len() > MOST {
        found.push(wrong("oauth.client", format!("{MOST} at most")));
    }
    if !oauth.client.is_empty() && oauth.issuer().is_none() {
        let what = "needed with [[oauth.client]]: the name by which browsers find the page";
        found.push(wrong("oauth.issuer", what));
    }
    for (at, client) in oauth.client.iter().enumerate() {
        let key = |name: &str| format!("[[oauth.client]] number {}, {name}", at + 1);
        let is_word = |it: &str| {
            !it.is_empty() && it.len() <= LONGEST && it.bytes().all(|it| it.is_ascii_graphic())
        };
        if !is_word(&client.id) {
            found.push(wrong(&key("id"), "needed, as \"org.example.phone\""));
        }
        if oauth.client[..at].iter().any(|it| it.id == client.id) {
            found.push(wrong(&key("id"), format!("{:?} is there twice", client.id)));
        }
        if client.name.len() > LONGEST || client.name.chars().any(char::is_control) {
            found.push(wrong(&key("name"), "a name for people, in one line"));
        }
        let uris = &client.redirect_uris.0;
        if uris.is_empty() || uris.len() > MOST {
            found.push(wrong(
                &key("redirect_uris"),
                format!("needed, {MOST} at most"),
            ));
        }
        for uri in uris {
            if let Err(why) = place(uri) {
                found.push(wrong(&key("redirect_uris"), format!("{uri:?} {why}")));
            }
        }
    }
}

/// Whether an app may be sent there.
fn place(uri: &str) -> Result<(), &'static str> {
    let plain = |it: u8| it.is_ascii_graphic() && !b"\"'<>\\^`{|};,#*".contains(&it);
    if uri.len() > LONGEST || !uri.bytes().all(plain) {
        return Err("has signs that an address may not have, or a fragment, or is too long");
    }
    let (scheme, rest) = uri.split_once(':').ok_or("has no scheme")?;
    match scheme {
        "https" => {
            let parsed = uri.parse::<Uri>().ok();
            let host = parsed.as_ref().and_then(|it| it.authority());
            let is_host = host.is_some_and(|it| !it.host().is_empty() && !it.as_str().contains('@'));
            (rest.starts_with("//") && is_host).then_some(())
                .ok_or("is no address of a host")
        }
        "http" => without_port(uri).map(drop).ok_or(
            "is neither in TLS nor at loopback, as \"http://127.0.0.1/signed-in\" (\"localhost\" may be another host)",
        ),
        // So no two apps take the same by chance (RFC 8252 §7.1), and nothing that browsers run is one.
        _ => {
            let letters = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || b".-+".contains(&it);
            let begins = scheme.bytes().next().is_some_and(|it| it.is_ascii_lowercase());
            (begins && scheme.contains('.') && scheme.bytes().all(letters) && !rest.is_empty())
                .then_some(())
                .ok_or("has a scheme that is not its app's own: take a domain backwards, as \"org.example.phone:/signed-in\"")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_may_be_sent_to_hosts_in_tls_to_loopback_and_by_a_scheme_of_its_own() {
        for good in [
            "https://app.example.org/in?a=b",
            "https://app.example.org:8443",
            "http://127.0.0.1/in",
            "http://[::1]:8080/",
            "org.example.phone:/in",
            "org.example.phone://in",
        ] {
            assert_eq!(place(good), Ok(()), "{good}");
        }
        for bad in [
            "https://app.example.org/in#fragment",
            "https://*.example.org/",
            "https:///in",
            "https://user@app.example.org/",
            "http://localhost/in",
            "http://app.example.org/in",
            "javascript:alert(1)",
            "data:text/html,x",
            "phone:/in",
            "Org.Example:/in",
            "org.example.phone:",
            "/in",
            "org.example.phone:/in;script-src",
            "https://app.example.org/\r\nx",
        ] {
            assert!(place(bad).is_err(), "{bad}");
        }
    }
}
