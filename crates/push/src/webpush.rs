//! Web Push (RFC 8030): the token of a device is the address of its subscription, at whichever push service its client
//! chose. Since clients choose it, only hosts that the operator allows are called; anybody could otherwise make us call
//! into our own network. The body is sealed as a whole for the subscription's keys (RFC 8291), which stand in the
//! address's fragment, where no server ever sees them: `https://push.example/abc#p256dh=…&auth=…`. Without keys the push
//! has no body, as RFC 8599 §12 has it, and wakes all the same.

use crate::{
    Limits, Problem,
    chance::entropy,
    endpoint::Endpoint,
    exchange::{now, urgency, verdict},
    observe::Observer,
    outcome::{Verdict, unavailable},
    payload,
    pool::{Pool, Start, Way},
    seal,
    token::vapid::VapidTokens,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use domain::{Notification, Outcome, Provider, Purpose, device::SealingKey};
use http::{HeaderName, HeaderValue, Method, Request, Uri, header};
use ring::digest::{SHA256, digest};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::task::JoinSet;

/// The push services that browsers use today: Google's, Mozilla's, Apple's, Microsoft's.
pub const KNOWN_HOSTS: [&str; 4] = [
    "fcm.googleapis.com",
    "updates.push.services.mozilla.com",
    "web.push.apple.com",
    "*.notify.windows.com",
];

const TTL: HeaderName = HeaderName::from_static("ttl");
const URGENCY: HeaderName = HeaderName::from_static("urgency");
const TOPIC: HeaderName = HeaderName::from_static("topic");

/// Push services with connections open, an app; for one more the one that was used longest ago is let go when what is
/// under way there has ended.
const SERVICES: usize = 64;
/// Longest `Topic` (RFC 8030 §5.4).
const TOPIC_CHARS: usize = 32;

/// Where a device has subscribed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Subscription {
    /// Its push service.
    pub endpoint: Endpoint,
    /// The push resource there: `https`, without a fragment.
    pub uri: Uri,
    /// What its messages are sealed with, if the client handed it over.
    pub key: Option<SealingKey>,
}

impl Subscription {
    /// Reads a token. `None` if it is no `https` address, or has something in it that no push service makes: a user, or
    /// keys that are none.
    pub fn read(token: &str) -> Option<Self> {
        let (address, fragment) = match token.split_once('#') {
            Some((address, fragment)) => (address, Some(fragment)),
            None => (token, None),
        };
        let uri: Uri = address.parse().ok()?;
        if uri.scheme_str() != Some("https") {
            return None;
        }
        let endpoint = uri.authority()?.as_str().parse().ok()?;
        let key = fragment.map(read_key);
        if key == Some(None) {
            return None;
        }
        Some(Self {
            endpoint,
            uri,
            key: key.flatten(),
        })
    }

    /// What its push service is called in tokens (RFC 8292 §2): scheme, host and port if it is not the usual one.
    fn origin(&self) -> String {
        let name = self.endpoint.to_string();
        format!("https://{}", name.strip_suffix(":443").unwrap_or(&name))
    }
}

fn read_key(fragment: &str) -> Option<SealingKey> {
    let field = |name: &str| {
        let mut fields = fragment
            .split('&')
            .filter_map(|field| field.split_once('='));
        fields.find_map(|(key, value)| (key == name).then(|| value.to_owned()))
    };
    let key = SealingKey {
        p256dh: field("p256dh")?,
        auth: field("auth")?,
    };
    seal::check_key(&key).ok()?;
    Some(key)
}

/// The same token with these keys, if it is a subscription that has none: the client handed them over apart from it.
#[must_use]
pub fn with_key(token: &str, key: &SealingKey) -> Option<String> {
    // No other provider's token is an address.
    let subscription = Subscription::read(token).filter(|subscription| subscription.key.is_none());
    let SealingKey { p256dh, auth } = key;
    subscription.map(|_| format!("{token}#p256dh={p256dh}&auth={auth}"))
}

/// Which push services may be called.
#[derive(Clone, Debug)]
pub(crate) struct Hosts(Vec<Allowed>);

#[derive(Clone, Debug)]
enum Allowed {
    /// This host and port.
    One(Endpoint),
    /// Every name under this domain (with its leading dot), at the usual port.
    Under(String),
}

impl Hosts {
    pub(crate) fn read(hosts: &[String]) -> Result<Self, Problem> {
        let one = |host: &String| {
            let bad = |_| Problem::Host(host.clone());
            let small = host.to_ascii_lowercase();
            match small.strip_prefix("*.") {
                Some(domain) if !domain.contains([':', '*']) && domain.contains('.') => domain
                    .parse::<Endpoint>()
                    .map(|endpoint| Allowed::Under(format!(".{}", endpoint.host)))
                    .map_err(bad),
                Some(_) => Err(Problem::Host(host.clone())),
                None => small.parse().map(Allowed::One).map_err(bad),
            }
        };
        hosts.iter().map(one).collect::<Result<_, _>>().map(Self)
    }

    /// An address instead of a name is never under a domain.
    pub(crate) fn allow(&self, endpoint: &Endpoint) -> bool {
        let host = endpoint.host.to_ascii_lowercase();
        self.0.iter().any(|allowed| match allowed {
            Allowed::One(one) => one.host == host && one.port == endpoint.port,
            Allowed::Under(domain) => {
                endpoint.port == 443 && host.ends_with(domain) && host.parse::<IpAddr>().is_err()
            }
        })
    }
}

/// The way to an app's devices, wherever they have subscribed.
pub(crate) struct WebPush {
    pub(crate) hosts: Hosts,
    pub(crate) tokens: VapidTokens,
    pub(crate) services: Services,
}

impl WebPush {
    pub(crate) async fn push(&self, push: &Notification) -> Outcome {
        let dead = |reason: &str| Outcome::TokenDead {
            since: None,
            reason: reason.to_owned(),
        };
        let Some(subscription) = Subscription::read(&push.token) else {
            return dead("not a token of this provider");
        };
        if !self.hosts.allow(&subscription.endpoint) {
            return dead("its push service is none of those that `hosts` of its app allows");
        }
        let body = match sealed_body(push, subscription.key.as_ref()) {
            Ok(body) => body,
            Err(outcome) => return outcome,
        };
        let Some(pool) = self.services.pool(&subscription.endpoint) else {
            return unavailable("shutting down", entropy());
        };
        let authorization = self.tokens.current(&subscription.origin(), now());
        let head = || head(push, &subscription, &authorization, body.len());
        let reply = pool.exchange(urgency(push), head, body.clone()).await;
        match verdict(Provider::WebPush, reply) {
            Verdict::Final(outcome) => outcome,
            Verdict::RenewToken(reason) => Outcome::Unauthorized { reason },
        }
    }
}

/// The message for the subscription's keys; nothing without keys, since nothing goes in the clear.
fn sealed_body(push: &Notification, key: Option<&SealingKey>) -> Result<Bytes, Outcome> {
    let Some(key) = key else {
        return Ok(Bytes::new());
    };
    let plain = payload::web(push)?;
    seal::seal_message(key, &plain, &seal::Entropy::random())
        .map(Bytes::from)
        .map_err(|error| Outcome::Refused {
            reason: error.to_string(),
        })
}

fn head(
    push: &Notification,
    subscription: &Subscription,
    authorization: &HeaderValue,
    length: usize,
) -> http::Result<Request<()>> {
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(subscription.uri.clone())
        .header(header::AUTHORIZATION, authorization.clone())
        .header(header::CONTENT_LENGTH, length)
        .header(TTL, payload::seconds_to_live(push))
        .header(URGENCY, HeaderValue::from_static(urgency_word(push)));
    if length > 0 {
        // RFC 8291 §4.
        let coding = HeaderValue::from_static("aes128gcm");
        request = request.header(header::CONTENT_ENCODING, coding).header(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        );
    }
    if let Some(collapse) = &push.collapse {
        request = request.header(TOPIC, topic(collapse));
    }
    request.body(())
}

/// RFC 8030 §5.3: a call is what `high` is for, a message what `normal` is for.
fn urgency_word(push: &Notification) -> &'static str {
    match push.purpose {
        Purpose::Call { .. } | Purpose::CallCancelled { .. } => "high",
        Purpose::MissedCall { .. }
        | Purpose::Message { .. }
        | Purpose::Read { .. }
        | Purpose::Event(_)
        | Purpose::Refresh => "normal",
    }
}

/// A collapse key as RFC 8030 §5.4 has it: itself if it fits, else the same 32 characters each time.
fn topic(collapse: &str) -> String {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if collapse.len() <= TOPIC_CHARS && collapse.bytes().all(fits) {
        return collapse.to_owned();
    }
    URL_SAFE_NO_PAD.encode(&digest(&SHA256, collapse.as_bytes()).as_ref()[..TOPIC_CHARS * 3 / 4])
}

/// The push services with which there are connections.
pub(crate) struct Services {
    way: Way,
    limits: Limits,
    observer: Arc<dyn Observer>,
    state: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    /// With when it was used last, in uses.
    pools: HashMap<Endpoint, (u64, Arc<Pool>)>,
    uses: u64,
    closed: bool,
}

impl Services {
    pub(crate) fn new(way: Way, limits: &Limits, observer: &Arc<dyn Observer>) -> Self {
        Self {
            way,
            limits: limits.clone(),
            observer: Arc::clone(observer),
            state: Mutex::default(),
        }
    }

    /// The connections to a push service. `None` once it was shut down.
    fn pool(&self, endpoint: &Endpoint) -> Option<Arc<Pool>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return None;
        }
        state.uses += 1;
        let uses = state.uses;
        if let Some((last, pool)) = state.pools.get_mut(endpoint) {
            *last = uses;
            return Some(Arc::clone(pool));
        }
        if state.pools.len() >= SERVICES {
            let oldest = state.pools.iter().min_by_key(|(_, (last, _))| *last);
            let oldest = oldest.map(|(endpoint, _)| endpoint.clone());
            oldest.and_then(|endpoint| state.pools.remove(&endpoint));
        }
        let pool = Arc::new(Pool::new(
            endpoint,
            &self.way,
            Start::Open,
            &self.limits,
            &self.observer,
        ));
        let kept = (uses, Arc::clone(&pool));
        state.pools.insert(endpoint.clone(), kept);
        Some(pool)
    }

    /// As [`Pool::shutdown`].
    pub(crate) async fn shutdown(&self) {
        let pools = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.closed = true;
            std::mem::take(&mut state.pools)
        };
        let mut all = JoinSet::new();
        for (_, pool) in pools.into_values() {
            all.spawn(async move { pool.shutdown().await });
        }
        all.join_all().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::KeyPair;

    fn allows(hosts: &[&str], address: &str) -> bool {
        let hosts: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
        let subscription = Subscription::read(address).unwrap();
        Hosts::read(&hosts).unwrap().allow(&subscription.endpoint)
    }

    #[test]
    fn a_subscription_is_an_https_address_with_its_keys_in_the_fragment() {
        let key = KeyPair::generate().public();
        let bare = Subscription::read("https://push.example/send/abc?x=1").unwrap();
        assert_eq!(bare.key, None);
        assert_eq!(bare.origin(), "https://push.example");
        let token = with_key("https://push.example:8443/abc", &key).unwrap();
        let keyed = Subscription::read(&token).unwrap();
        assert_eq!(keyed.key, Some(key.clone()));
        assert_eq!(keyed.origin(), "https://push.example:8443");
        assert_eq!(keyed.uri, "https://push.example:8443/abc");
        assert_eq!(with_key(&token, &key), None, "it has keys");
        assert_eq!(with_key("00fc13adff785122", &key), None, "an APNs token");
        for bad in [
            "",
            "http://push.example/abc",
            "/abc",
            "push.example/abc",
            "https://user@push.example/abc",
            "https://push.example/abc#p256dh=AAAA&auth=AAAA",
            "https://push.example/abc#",
            "https://push.example/a b",
        ] {
            assert_eq!(Subscription::read(bad), None, "{bad}");
        }
    }

    #[test]
    fn nobody_makes_us_call_a_host_that_is_not_allowed() {
        for address in [
            "https://fcm.googleapis.com/fcm/send/x",
            "https://FCM.googleapis.com/fcm/send/x",
            "https://wns2-by3p.notify.windows.com/w/?token=x",
        ] {
            assert!(allows(&KNOWN_HOSTS, address), "{address}");
        }
        for address in [
            "https://127.0.0.1/x",
            "https://[::1]/x",
            "https://169.254.169.254/latest/meta-data",
            "https://localhost/x",
            "https://fcm.googleapis.com:8443/x",
            "https://fcm.googleapis.com.evil.example/x",
            "https://evil-notify.windows.com.example/x",
            "https://notify.windows.com/x",
            "https://a.notify.windows.com:22/x",
        ] {
            assert!(!allows(&KNOWN_HOSTS, address), "{address}");
        }
        assert!(allows(&["localhost:2199"], "https://localhost:2199/push/x"));
        assert!(!allows(&["localhost:2199"], "https://localhost/push/x"));
    }

    #[test]
    fn a_host_that_is_none_is_refused_at_start() {
        for host in [
            "",
            "*",
            "*.",
            "*.com",
            "*.a.*.b",
            "*.example.net:443",
            "a b",
            "http://a",
        ] {
            assert!(Hosts::read(&[host.to_owned()]).is_err(), "{host:?}");
        }
    }

    #[test]
    fn a_topic_is_the_collapse_key_or_the_same_32_characters_each_time() {
        assert_eq!(topic("chat-1"), "chat-1");
        let long = topic("a key that has more than 32 characters, or others");
        assert_eq!(long.len(), TOPIC_CHARS);
        assert_eq!(topic(&long), long);
        assert_ne!(topic("alice@example.org"), topic("bob@example.org"));
    }
}
