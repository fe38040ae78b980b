//! Which web pages may open a WebSocket. A browser says from which one it does, and lets any page try (RFC 6455 §10.2), so
//! it is for us to refuse. Who is no browser says nothing, or whatever it likes: this keeps pages out, not clients.

/// Origins that are let in (RFC 6454): all pages of certain hosts, some single ones, or all.
#[derive(Debug, Clone, Default)]
pub struct Origins {
    /// Names of hosts, in lower case: pages of these are let in by whatever scheme and port.
    hosts: Vec<String>,
    /// Origins as browsers write them.
    single: Vec<String>,
    /// All of them.
    all: bool,
}

/// An origin that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no origin: write it as \"https://chat.example.org\", without a path, or \"*\" for every page"
)]
pub struct OriginsError(String);

impl Origins {
    /// Pages of these hosts, and these origins; `*` stands for all.
    ///
    /// # Errors
    /// One of the origins is none.
    pub fn new(hosts: &[String], single: &[String]) -> Result<Self, OriginsError> {
        let lower = |text: &String| text.to_lowercase();
        let is_origin = |text: &&String| *text == "*" || host(text).is_some();
        if let Some(wrong) = single.iter().find(|text| !is_origin(text)) {
            return Err(OriginsError(wrong.clone()));
        }
        Ok(Self {
            hosts: hosts.iter().map(lower).collect(),
            single: single.iter().map(lower).collect(),
            all: single.iter().any(|text| text == "*"),
        })
    }

    /// Whether a page of this origin is let in.
    pub(crate) fn admit(&self, origin: &str) -> bool {
        let origin = origin.to_lowercase();
        let host = host(&origin);
        self.all
            || self.single.contains(&origin)
            || host.is_some_and(|host| self.hosts.iter().any(|it| it == host))
    }
}

/// The host of an origin that is one of the web's.
fn host(origin: &str) -> Option<&str> {
    let (scheme, rest) = origin.split_once("://")?;
    if !matches!(scheme, "http" | "https") || rest.contains(['/', '?', '#', '@', ' ', ',']) {
        return None;
    }
    let host = match rest.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|it| it.is_ascii_digit()) => {
            host
        }
        // The colons of an IPv6 address.
        Some(_) if rest.ends_with(']') => rest,
        Some(_) => return None,
        None => rest,
    };
    (!host.is_empty()).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(single: &[&str]) -> Origins {
        let single: Vec<String> = single.iter().map(|&it| it.to_owned()).collect();
        Origins::new(&["Example.com".to_owned()], &single).unwrap()
    }

    #[test]
    fn pages_of_our_hosts_and_those_that_are_named_are_let_in() {
        let known = origins(&["https://Chat.example.net", "app://local"][..1]);
        for (origin, expected) in [
            ("https://example.com", true),
            ("http://EXAMPLE.com:8080", true),
            ("https://chat.example.net", true),
            // Named with its scheme and port, so no other one is meant.
            ("http://chat.example.net", false),
            ("https://chat.example.net:8443", false),
            ("https://example.com.evil.net", false),
            ("https://evil.net/example.com", false),
            ("https://example.com@evil.net", false),
            ("https://evilexample.com", false),
            ("https://example.com:evil.net", false),
            ("file://example.com", false),
            // Of a sandboxed frame, or a file.
            ("null", false),
            ("", false),
        ] {
            assert_eq!(known.admit(origin), expected, "{origin}");
        }
        assert!(origins(&["*"]).admit("null"));
        let v6 = Origins::new(&["[::1]".to_owned()], &[]).unwrap();
        assert!(v6.admit("http://[::1]:80") && v6.admit("http://[::1]"));
    }

    #[test]
    fn what_is_no_origin_is_not_taken_for_one() {
        for wrong in [
            "example.com",
            "https://example.com/",
            "ftp://example.com",
            "https://",
        ] {
            assert!(Origins::new(&[], &[wrong.to_owned()]).is_err(), "{wrong}");
        }
    }
}
