//! What a push looks like on the wire to each provider, and how an expired provider token is replaced on the way.

use crate::{
    chance::entropy,
    exchange::{APNS_ID, now, urgency, verdict},
    outcome::Verdict,
    payload,
    pool::Pool,
    rest,
    token::{apns::ApnsToken, fcm::FcmToken},
    webpush::WebPush,
};
use bytes::Bytes;
use domain::{Channel, Generation, Notification, Outcome, Provider, Purpose};
use http::{
    HeaderName, HeaderValue, Method, Request, Uri, header,
    uri::{Authority, PathAndQuery, Scheme},
};
use ring::digest::{SHA256, digest};
use std::{fmt::Write as _, sync::Arc};

const APNS_TOPIC: HeaderName = HeaderName::from_static("apns-topic");
const APNS_PUSH_TYPE: HeaderName = HeaderName::from_static("apns-push-type");
const APNS_PRIORITY: HeaderName = HeaderName::from_static("apns-priority");
const APNS_EXPIRATION: HeaderName = HeaderName::from_static("apns-expiration");
const APNS_COLLAPSE_ID: HeaderName = HeaderName::from_static("apns-collapse-id");

/// Header fields of a push to APNs, at most.
const FIELDS: usize = 8;

/// The way to an app.
pub(crate) enum Client {
    Apns(Apns),
    Fcm(Fcm),
    WebPush(Box<WebPush>),
    /// Somebody else has the keys.
    Service(Arc<rest::Service>),
}

impl Client {
    /// Each way has a place of its own on the heap: else every push, which is a task, would be as large as the largest of them, and moved as that.
    pub(crate) async fn push(&self, push: &Notification) -> Outcome {
        match self {
            Self::Apns(client) => Box::pin(client.push(push)).await,
            Self::Fcm(client) => Box::pin(client.push(push)).await,
            Self::WebPush(client) => Box::pin(client.push(push)).await,
            Self::Service(client) => Box::pin(client.push(push)).await,
        }
    }

    /// Gets ahead of need what the first push would wait for, connections apart.
    pub(crate) async fn warm(&self) -> Result<(), Outcome> {
        match self {
            // Signed here, in no time.
            Self::Apns(_) | Self::WebPush(_) => Ok(()),
            Self::Fcm(client) => client.token.current(now(), entropy()).await.map(|_| ()),
            Self::Service(client) => client.warm().await,
        }
    }

    /// Closes the connections that are this app's alone, as [`Pool::shutdown`] does.
    pub(crate) async fn shutdown(&self) {
        if let Self::WebPush(client) = self {
            client.services.shutdown().await;
        }
    }
}

/// The way to an app through Apple's cloud.
pub(crate) struct Apns {
    pub(crate) generation: Generation,
    pub(crate) authority: Authority,
    /// The bundle id.
    pub(crate) topic: HeaderValue,
    /// The bundle id with `.voip`.
    pub(crate) voip_topic: HeaderValue,
    /// `None`: the connection itself proves who we are, by a certificate.
    pub(crate) token: Option<Arc<ApnsToken>>,
    pub(crate) pool: Arc<Pool>,
}

/// The way to an app through Google's cloud.
pub(crate) struct Fcm {
    /// `https://…/v1/projects/{project}/messages:send`.
    pub(crate) uri: Uri,
    pub(crate) token: Arc<FcmToken>,
    pub(crate) pool: Arc<Pool>,
}

impl Apns {
    pub(crate) async fn push(&self, push: &Notification) -> Outcome {
        let body = match payload::apns(push, self.generation) {
            Ok(body) => Bytes::from(body),
            Err(outcome) => return outcome,
        };
        let mut authorization = self.token.as_ref().map(|token| token.current(now()));
        let mut renewed = false;
        loop {
            let head = || self.head(push, authorization.as_ref(), body.len());
            let reply = self.pool.exchange(urgency(push), head, body.clone()).await;
            match verdict(Provider::Apns, reply) {
                Verdict::Final(outcome) => return outcome,
                Verdict::RenewToken(reason) if renewed => return Outcome::Unauthorized { reason },
                Verdict::RenewToken(reason) => match self.renew(authorization.as_ref()) {
                    Some(other) => authorization = Some(other),
                    None => {
                        return Outcome::Unauthorized {
                            reason: format!(
                                "{reason} for a new token; is this machine's clock right?"
                            ),
                        };
                    }
                },
            }
            renewed = true;
        }
    }

    fn renew(&self, refused: Option<&HeaderValue>) -> Option<HeaderValue> {
        self.token.as_ref()?.renew(refused?, now())
    }

    fn head(
        &self,
        push: &Notification,
        authorization: Option<&HeaderValue>,
        length: usize,
    ) -> http::Result<Request<()>> {
        // A single-channel app gets messages over its VoIP token too.
        let (topic, kind, priority) = match (push.channel, &push.purpose) {
            (Channel::Voip, _) => (&self.voip_topic, "voip", "10"),
            // What shows nothing must not be urgent (`behaviour.md` 12).
            (Channel::Message, Purpose::Refresh | Purpose::Read { .. }) => {
                (&self.topic, "background", "5")
            }
            (Channel::Message, Purpose::Event(event)) if !event.is_urgent => {
                (&self.topic, "alert", "5")
            }
            (Channel::Message, _) => (&self.topic, "alert", "10"),
        };
        let expiration = match payload::seconds_to_live(push) {
            0 => 0,
            ttl => now().saturating_add(ttl),
        };
        let path = PathAndQuery::try_from(format!("/3/device/{}", push.token))?;
        let uri = Uri::builder()
            .scheme(Scheme::HTTPS)
            .authority(self.authority.clone())
            .path_and_query(path);
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri.build()?;
        // Another one each time: in the table of HPACK it would push out what comes again.
        let mut id = HeaderValue::try_from(uuid(push.id.as_str()))?;
        id.set_sensitive(true);
        let headers = request.headers_mut();
        headers.reserve(FIELDS);
        headers.insert(header::CONTENT_LENGTH, length.into());
        headers.insert(APNS_ID, id);
        headers.insert(APNS_TOPIC, topic.clone());
        headers.insert(APNS_PUSH_TYPE, HeaderValue::from_static(kind));
        headers.insert(APNS_PRIORITY, HeaderValue::from_static(priority));
        headers.insert(APNS_EXPIRATION, expiration.into());
        if let Some(authorization) = authorization {
            headers.insert(header::AUTHORIZATION, authorization.clone());
        }
        if let Some(key) = &push.collapse {
            headers.insert(APNS_COLLAPSE_ID, HeaderValue::try_from(key)?);
        }
        Ok(request)
    }
}

impl Fcm {
    pub(crate) async fn push(&self, push: &Notification) -> Outcome {
        match payload::fcm(push) {
            Ok(body) => self.send(push, Bytes::from(body)).await,
            Err(outcome) => outcome,
        }
    }

    /// Has a push looked at and not sent.
    pub(crate) async fn validate(&self, push: &Notification) -> Outcome {
        let body = payload::fcm(push).map(|body| serde_json::from_slice(&body));
        let mut body: serde_json::Value = match body {
            Ok(body) => body.unwrap_or_default(),
            Err(outcome) => return outcome,
        };
        body["validate_only"] = true.into();
        self.send(push, Bytes::from(body.to_string())).await
    }

    async fn send(&self, push: &Notification, body: Bytes) -> Outcome {
        let mut renewed = false;
        loop {
            let authorization = match self.token.current(now(), entropy()).await {
                Ok(authorization) => authorization,
                Err(outcome) => return outcome,
            };
            let head = || self.head(&authorization, body.len());
            let reply = self.pool.exchange(urgency(push), head, body.clone()).await;
            match verdict(Provider::Fcm, reply) {
                Verdict::Final(outcome) => return outcome,
                Verdict::RenewToken(reason) if renewed => return Outcome::Unauthorized { reason },
                Verdict::RenewToken(_) => self.token.forget(&authorization),
            }
            renewed = true;
        }
    }

    fn head(&self, authorization: &HeaderValue, length: usize) -> http::Result<Request<()>> {
        Request::builder()
            .method(Method::POST)
            .uri(self.uri.clone())
            .header(header::AUTHORIZATION, authorization.clone())
            .header(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/json"),
            )
            .header(header::CONTENT_LENGTH, length)
            .body(())
    }
}

/// The push's id as APNs wants it: a UUID stays itself, so that both sides' logs can be joined; anything else becomes
/// the same UUID each time (RFC 9562 §5.8).
fn uuid(id: &str) -> String {
    let digits = id.bytes().filter(|byte| *byte != b'-').collect::<Vec<u8>>();
    let hyphens = id.len() == 36 && [8, 13, 18, 23].iter().all(|at| id.as_bytes()[*at] == b'-');
    if hyphens && digits.len() == 32 && digits.iter().all(u8::is_ascii_hexdigit) {
        return id.to_ascii_lowercase();
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest(&SHA256, id.as_bytes()).as_ref()[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_stays_itself_and_anything_else_becomes_the_same_uuid_each_time() {
        let given = "6F9619FF-8B86-D011-B42D-00CF4FC964FF";
        assert_eq!(uuid(given), given.to_ascii_lowercase());
        let made = uuid("call-17/device-3");
        assert_eq!(made, uuid("call-17/device-3"));
        assert_ne!(made, uuid("call-17/device-4"));
        assert_eq!((made.len(), &made[14..15]), (36, "8"));
        assert_eq!(uuid(&made), made);
    }

    #[test]
    fn what_only_looks_like_a_uuid_is_made_one() {
        for id in [
            "",
            "-",
            "6F9619FF-8B86-D011-B42D-00CF4FC964F",
            "6F9619FF-8B86-D011-B42D-00CF4FC964Fé",
            "6F9619FF08B86-D011-B42D-0-CF4FC964FF",
        ] {
            let made = uuid(id);
            assert_ne!(made, id.to_ascii_lowercase());
            assert_eq!(made.len(), 36, "{id}");
        }
    }
}
