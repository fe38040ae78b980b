//! What a Contact URI says of push notifications (RFC 8599 §4.1): the `pn-` parameters, and Linphone's way to name
//! two tokens in one of them.

use std::borrow::Cow;

use memchr::{memchr, memchr_iter};
use smallvec::{SmallVec, smallvec};

use crate::Uri;
use crate::uri::unescape;

/// Does RFC 8599 define URI parameters of such a name (`pn-`)? They do not tell one contact from another.
pub(crate) fn is_push_param(name: &str) -> bool {
    name.get(..3)
        .is_some_and(|start| start.eq_ignore_ascii_case("pn-"))
}

/// What a Contact URI asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushRequest<'a> {
    /// Nothing about push.
    None,
    /// Which services there are (RFC 8599 §4.1.5): of one kind, or all of them if there is no name.
    Query(Option<Cow<'a, str>>),
    /// Wake me through this service (RFC 8599 §4.1.1).
    Wake(PushParams<'a>),
    /// The parameters that Linphone used before RFC 8599 (`pn-type`, `pn-tok`, `app-id`): not supported.
    Outdated,
}

/// How a device is woken, with escapes resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushParams<'a> {
    /// `apns`, `fcm`, `webpush` ..., in small letters.
    pub provider: Cow<'a, str>,
    /// Provider-specific: `TEAM.bundle.voip` for APNs, project id for FCM; empty if there is none.
    pub param: Cow<'a, str>,
    /// The token, or several; see [`PushParams::tokens`].
    pub prid: Cow<'a, str>,
}

/// One token of a device and what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushToken<'a> {
    /// `voip`, `remote`, `message` ...; `None` if the client did not say.
    pub service: Option<&'a str>,
    /// As the provider gave it out.
    pub token: &'a str,
}

impl<'a> PushRequest<'a> {
    /// Reads the parameters of a Contact URI.
    pub fn of(uri: &Uri<'a>) -> Self {
        let (mut provider, mut param, mut prid, mut outdated) = (None, None, None, false);
        let raw = uri.params.raw();
        let escapes = memchr(b'%', raw).is_some();
        // A URI holds no quotes: each `;` ends a parameter.
        let ends = memchr_iter(b';', raw).skip(1).chain([raw.len()]);
        let mut start = 1;
        for end in ends {
            let text = raw.get(start..end).unwrap_or_default();
            start = end + 1;
            if !matches!(text.first(), Some(b'p' | b'P' | b'%')) {
                continue;
            }
            let equals = text.iter().position(|octet| *octet == b'=');
            let (name, value) = text.split_at(equals.unwrap_or(text.len()));
            let known = |known: &[u8]| {
                name == known
                    || name.eq_ignore_ascii_case(known)
                    || (escapes && unescape(name).eq_ignore_ascii_case(known))
            };
            let value = value.get(1..).unwrap_or_default();
            if known(b"pn-provider") {
                provider = provider.or(Some(value));
            } else if known(b"pn-param") {
                param = param.or(Some(value));
            } else if known(b"pn-prid") {
                prid = prid.or(Some(value));
            } else {
                outdated |= known(b"pn-tok") || known(b"pn-type");
            }
        }
        let prid = plain(prid.unwrap_or_default());
        match provider.map(|provider| small(plain(provider))) {
            Some(provider) if !provider.is_empty() && !prid.is_empty() => Self::Wake(PushParams {
                provider,
                param: plain(param.unwrap_or_default()),
                prid,
            }),
            Some(provider) => Self::Query((!provider.is_empty()).then_some(provider)),
            None if outdated => Self::Outdated,
            None => Self::None,
        }
    }
}

/// Escapes resolved (lossily, if they are not UTF-8).
fn plain(value: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(value) {
        Ok(text) if memchr(b'%', value).is_none() => return Cow::Borrowed(text),
        _ => {}
    }
    Cow::Owned(String::from_utf8_lossy(&unescape(value)).into_owned())
}

/// In small letters.
fn small(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.bytes().any(|octet| octet.is_ascii_uppercase()) {
        return Cow::Owned(text.to_ascii_lowercase());
    }
    text
}

impl PushParams<'_> {
    /// The services that the last part of `pn-param` names: `voip`, or `voip&remote`. (Of FCM, whose parameter has
    /// no dot, there are none.)
    pub fn services(&self) -> impl Iterator<Item = &str> {
        let last = self.param.rsplit_once('.').map_or("", |(_, last)| last);
        last.split('&').filter(|service| !service.is_empty())
    }

    /// `pn-param` without its services: `TEAM.bundle`.
    pub fn app(&self) -> &str {
        self.param
            .rsplit_once('.')
            .map_or(&*self.param, |(app, _)| app)
    }

    /// The tokens. `T1:voip&T2:remote` holds two; a token without a service is for the only service there is, if
    /// there is one. A colon that no service follows is part of the token, as FCM has it.
    pub fn tokens(&self) -> SmallVec<[PushToken<'_>; 2]> {
        let marked = |part: &'_ str| {
            let (token, service) = part.rsplit_once(':')?;
            self.services()
                .find(|known| *known == service)
                .map(|_| (token.len(), service.len()))
        };
        let parts = || self.prid.split('&');
        let colons = memchr(b':', self.prid.as_bytes()).is_some();
        if colons && parts().any(|part| marked(part).is_some()) {
            return parts()
                .map(|part| match marked(part) {
                    Some((end, _)) => PushToken {
                        service: Some(&part[end + 1..]),
                        token: &part[..end],
                    },
                    None => PushToken {
                        service: None,
                        token: part,
                    },
                })
                .collect();
        }
        let mut services = self.services();
        let only = services.next().filter(|_| services.next().is_none());
        smallvec![PushToken {
            service: only,
            token: &self.prid,
        }]
    }

    /// Do both wake the same device (registrar rule after RFC 8599 §5.3)?
    pub fn is_same_device(&self, other: &Self) -> bool {
        self.provider == other.provider && self.prid == other.prid
    }
}

/// The value of Feature-Caps by which we say that we wake devices through this provider (RFC 8599 §5.4, RFC 6809). A
/// device that can refresh its registration by itself is told how many seconds ahead to do so (RFC 8599 §8.4).
pub fn feature_caps(provider: &str, refresh_ahead: Option<u64>) -> String {
    let caps = ["*;+sip.pns=\"", provider, "\""].concat();
    match refresh_ahead {
        None => caps,
        Some(seconds) => format!("{caps};+sip.pnsreg=\"{seconds}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wake(uri: &str) -> PushParams<'_> {
        match PushRequest::of(&Uri::parse(uri).unwrap()) {
            PushRequest::Wake(params) => params,
            other => panic!("{other:?}"),
        }
    }

    fn tokens<'p>(params: &'p PushParams<'_>) -> Vec<(Option<&'p str>, &'p str)> {
        params
            .tokens()
            .iter()
            .map(|token| (token.service, token.token))
            .collect()
    }

    #[test]
    fn one_token_is_for_the_one_service() {
        let params =
            wake("sip:a@10.0.0.1;pn-provider=apns;pn-param=TEAM9.com.r.phone.voip;pn-prid=00fc");
        assert_eq!(params.app(), "TEAM9.com.r.phone");
        assert_eq!(tokens(&params), [(Some("voip"), "00fc")]);
    }

    #[test]
    fn two_tokens_come_with_their_services() {
        let params = wake(
            "sip:a@10.0.0.1;pn-prid=0a:voip&0b:remote;pn-param=TEAM9.com.r.phone.voip&remote;pn-provider=APNS",
        );
        assert_eq!(params.provider, "apns");
        assert_eq!(params.services().collect::<Vec<_>>(), ["voip", "remote"]);
        assert_eq!(
            tokens(&params),
            [(Some("voip"), "0a"), (Some("remote"), "0b")]
        );
    }

    #[test]
    fn escapes_are_resolved() {
        let params = wake(
            "sip:a@10.0.0.1;pn-prid=0a%3Avoip%260b%3Aremote;pn-param=T.b.voip%26remote;pn-provider=apns",
        );
        assert_eq!(
            tokens(&params),
            [(Some("voip"), "0a"), (Some("remote"), "0b")]
        );
    }

    #[test]
    fn a_colon_in_an_fcm_token_is_part_of_it() {
        let params = wake("sip:a@10.0.0.1;pn-provider=fcm;pn-param=91923;pn-prid=dX1:APA91b-c_d");
        assert_eq!(tokens(&params), [(None, "dX1:APA91b-c_d")]);
    }

    #[test]
    fn feature_caps_name_the_provider_and_when_to_refresh() {
        assert_eq!(feature_caps("apns", None), r#"*;+sip.pns="apns""#);
        assert_eq!(
            feature_caps("fcm", Some(240)),
            r#"*;+sip.pns="fcm";+sip.pnsreg="240""#
        );
    }

    #[test]
    fn without_a_token_it_is_a_query() {
        for (uri, expected) in [
            ("sip:a@10.0.0.1", PushRequest::None),
            ("sip:a@10.0.0.1;pn-provider", PushRequest::Query(None)),
            (
                "sip:a@10.0.0.1;pn-provider=fcm",
                PushRequest::Query(Some("fcm".into())),
            ),
            (
                "sip:a@10.0.0.1;pn-provider=fcm;pn-prid=",
                PushRequest::Query(Some("fcm".into())),
            ),
            (
                "sip:a@10.0.0.1;app-id=x;pn-type=apple;pn-tok=1",
                PushRequest::Outdated,
            ),
        ] {
            assert_eq!(
                PushRequest::of(&Uri::parse(uri).unwrap()),
                expected,
                "{uri}"
            );
        }
    }
}
