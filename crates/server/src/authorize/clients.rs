//! The clients that may have their users sign in by our page, as the operator has registered them. All are apps that can keep no
//! secret: each is known by where it is sent to (RFC 8252).

use crate::config::{Client, Config, without_port};
use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// So rarely it is said that a form was sent from elsewhere.
const RARELY: Duration = Duration::from_mins(1);

/// Octets of what it says of where that is.
const TOLD: usize = 256;

/// See the module.
#[derive(Debug)]
pub(crate) struct Clients {
    /// Who we are for them.
    pub(super) issuer: Box<str>,
    /// The same as browsers write it (RFC 6454).
    pub(super) origin: Box<str>,
    all: Vec<Registered>,
    /// When it was said last that a form was sent from elsewhere.
    said: Mutex<Option<Instant>>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Registered {
    pub(super) id: Box<str>,
    /// For people.
    pub(super) name: Box<str>,
    redirects: Vec<String>,
}

impl Clients {
    /// Those of the configuration, if there are any.
    pub(crate) fn of(config: &Config) -> Option<Self> {
        let registered = |client: &Client| Registered {
            id: client.id.as_str().into(),
            name: if client.name.is_empty() {
                client.id.as_str().into()
            } else {
                client.name.as_str().into()
            },
            redirects: client.redirect_uris.0.clone(),
        };
        let all: Vec<_> = config.oauth.client.iter().map(registered).collect();
        let issuer = config.oauth.issuer().filter(|_| !all.is_empty())?;
        Some(Self {
            issuer: issuer.into(),
            origin: issuer.to_lowercase().trim_end_matches(":443").into(),
            all,
            said: Mutex::default(),
        })
    }

    /// A form was sent from elsewhere: by somebody who means ill, or because people reach the page by another name.
    pub(super) fn is_sent_from(&self, origin: &[u8]) {
        if !self.may_say(Instant::now()) {
            return;
        }
        let found = String::from_utf8_lossy(&origin[..origin.len().min(TOLD)]);
        let (expected, found) = (&self.origin, found.escape_debug());
        tracing::warn!(%expected, %found, "a form to sign in was sent by another page than ours");
    }

    /// Whether that was not said a moment ago.
    fn may_say(&self, now: Instant) -> bool {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let may = said.is_none_or(|at| now.duration_since(at) >= RARELY);
        if may {
            *said = Some(now);
        }
        may
    }

    pub(super) fn client(&self, id: &str) -> Option<&Registered> {
        self.all.iter().find(|client| *client.id == *id)
    }
}

impl Registered {
    /// Whether this is a place of its own: to the letter, but for the port of loopback.
    pub(super) fn has(&self, uri: &str) -> bool {
        let is_it = |registered: &String| match without_port(registered) {
            Some(registered) => without_port(uri) == Some(registered),
            None => registered == uri,
        };
        self.redirects.iter().any(is_it)
    }
}

/// What a page's form may lead to where the app is (CSP `form-action`): browsers look at where its answer sends them, too.
pub(super) fn source(redirect: &str) -> String {
    let scheme = redirect.split(':').next().unwrap_or_default();
    let authority = redirect.split('/').nth(2).unwrap_or_default();
    let authority = authority.split('?').next().unwrap_or_default();
    // A host in brackets cannot be written there.
    if matches!(scheme, "http" | "https") && !authority.starts_with('[') {
        return format!("{scheme}://{authority}");
    }
    format!("{scheme}:")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(uris: &[&str]) -> Registered {
        Registered {
            id: "app".into(),
            name: "App".into(),
            redirects: uris.iter().map(|it| (*it).to_owned()).collect(),
        }
    }

    #[test]
    fn a_place_is_its_own_to_the_letter_but_for_the_port_of_loopback() {
        let app = client(&[
            "https://app.example.org/in",
            "http://127.0.0.1/in",
            "http://[::1]:1/",
        ]);
        for own in [
            "https://app.example.org/in",
            "http://127.0.0.1/in",
            "http://127.0.0.1:40000/in",
            "http://[::1]:65535/",
        ] {
            assert!(app.has(own), "{own}");
        }
        for other in [
            "https://app.example.org/in/",
            "https://app.example.org/IN",
            "https://app.example.org:444/in",
            "https://app.example.org/in?x",
            "https://app.example.org.evil.example/in",
            "https://app.example.org@evil.example/in",
            "http://127.0.0.1:80@evil.example/in",
            "http://127.0.0.1.evil.example/in",
            "http://127.0.0.1:0/in",
            "http://127.0.0.1:99999/in",
            "http://127.0.0.1:8a/in",
            "http://127.0.0.1:/in",
            "http://127.0.0.1:40000/other",
            "https://127.0.0.1/in",
            "http://[::1]:2/in",
            "",
        ] {
            assert!(!app.has(other), "{other}");
        }
    }

    #[test]
    fn whoever_sends_forms_from_elsewhere_fills_no_log() {
        let clients = Clients {
            issuer: "https://sip.example.org".into(),
            origin: "https://sip.example.org".into(),
            all: Vec::new(),
            said: Mutex::default(),
        };
        let now = Instant::now();
        let before = RARELY.saturating_sub(Duration::from_nanos(1));
        let says = [Duration::ZERO, before, RARELY].map(|after| clients.may_say(now + after));
        assert_eq!(says, [true, false, true]);
    }

    #[test]
    fn a_form_may_lead_to_the_app_and_nowhere_else() {
        for (redirect, expected) in [
            (
                "https://app.example.org:8443/in?x",
                "https://app.example.org:8443",
            ),
            ("https://app.example.org?x", "https://app.example.org"),
            ("http://127.0.0.1:40000/in", "http://127.0.0.1:40000"),
            ("http://[::1]:40000/in", "http:"),
            ("org.example.phone:/in", "org.example.phone:"),
        ] {
            assert_eq!(source(redirect), expected);
        }
    }
}
