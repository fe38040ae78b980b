//! A REGISTER as what it asks for, read once.

use std::num::NonZeroU32;

use super::Reject;
use crate::lex::number;
use crate::push::PushRequest;
use crate::{HeaderName, Message, NameAddr, Params, Uri};

/// A malformed `expires` counts as so many seconds (RFC 3261 §20.10).
const MALFORMED_EXPIRES: u32 = 3600;

/// So many characters of User-Agent are kept.
const USER_AGENT_CHARS: usize = 128;

const MALFORMED: Reject = Reject::new(400, "Malformed REGISTER");
const BAD_CONTACT: Reject = Reject::new(400, "Malformed Contact Header Field");
const BAD_STAR: Reject = Reject::new(400, "Star Contact Needs Expires 0 Alone");

/// A REGISTER: all that a registrar needs of it, once it is known whose it is (RFC 3261 §10.3 step 5).
#[derive(Debug, Clone)]
pub struct Registration<'m> {
    /// Names the client, together with the next: its requests count in order only (RFC 3261 §10.2).
    pub call_id: &'m str,
    /// Its sequence number.
    pub cseq: u32,
    /// What is to be bound or taken back.
    pub contacts: Contacts<'m>,
    /// Seconds of the Expires header field, if there is one.
    pub expires: Option<u32>,
    /// Route to the contacts, next hop first (RFC 3327).
    pub path: Vec<&'m str>,
    /// The client's name for itself, cut to 128 characters; empty if there is none.
    pub user_agent: &'m str,
    /// Can the client read Path in the answer (RFC 3327 §5.3)?
    pub supports_path: bool,
    /// Can the client have several flows (RFC 5626 §4.2)?
    pub supports_outbound: bool,
    /// A proxy on the way has said that it wakes the device: then we do not (RFC 8599 §5.6.1).
    pub woken_upstream: bool,
}

/// The contacts of a REGISTER.
#[derive(Debug, Clone)]
pub enum Contacts<'m> {
    /// The client only asks what is bound.
    None,
    /// Everything is to be taken back; Expires is 0.
    Star,
    /// These are to be bound, or taken back.
    List(Vec<Contact<'m>>),
}

/// One contact of a REGISTER.
#[derive(Debug, Clone)]
pub struct Contact<'m> {
    /// Its address, `pn-` parameters included.
    pub uri: Uri<'m>,
    /// Its other parameters, as they came.
    pub params: Params<'m>,
    /// `+sip.instance`, without quotes (RFC 5626 §4.1).
    pub instance: Option<&'m str>,
    /// `reg-id` (RFC 5626 §4.2). It means nothing unless Outbound is agreed.
    pub reg_id: Option<NonZeroU32>,
    /// What it asks for about push.
    pub push: PushRequest<'m>,
    /// Preference in thousandths, 0 to 1000.
    pub q: u16,
    /// Seconds that its own `expires` asks for.
    pub expires: Option<u32>,
    /// `+sip.pnsreg`: it can refresh its binding without being woken (RFC 8599 §8.5).
    pub refreshes_itself: bool,
}

impl<'m> Registration<'m> {
    /// Reads a REGISTER.
    ///
    /// # Errors
    /// The answer to give.
    pub fn parse(request: &'m Message) -> Result<Self, Reject> {
        let expires = request.header(HeaderName::Expires).map(seconds);
        let contacts = Contacts::read(request)?;
        if matches!(contacts, Contacts::Star) && expires != Some(0) {
            return Err(BAD_STAR);
        }
        let path = request.values(HeaderName::Path).map(std::str::from_utf8);
        let (mut supports_path, mut supports_outbound) = (false, false);
        for tag in request.values(HeaderName::Supported) {
            supports_path |= tag.eq_ignore_ascii_case(b"path");
            supports_outbound |= tag.eq_ignore_ascii_case(b"outbound");
        }
        let mut caps = request.headers(HeaderName::FeatureCaps);
        Ok(Self {
            call_id: request.call_id().map_err(|_| MALFORMED)?,
            cseq: request.cseq().map_err(|_| MALFORMED)?.number,
            contacts,
            expires,
            path: path.collect::<Result<_, _>>().map_err(|_| MALFORMED)?,
            user_agent: cut(request
                .header_text(HeaderName::UserAgent)
                .unwrap_or_default()),
            supports_path,
            supports_outbound,
            woken_upstream: caps.any(|caps| memchr::memmem::find(caps, b"+sip.pns=").is_some()),
        })
    }

    /// The contacts, one by one; none if the client asks only, or takes everything back.
    pub fn contacts(&self) -> &[Contact<'m>] {
        match &self.contacts {
            Contacts::List(contacts) => contacts,
            Contacts::None | Contacts::Star => &[],
        }
    }

    /// The contact that has this address, octet for octet.
    pub fn contact_at(&self, address: &str) -> Option<&Contact<'m>> {
        let mut contacts = self.contacts().iter();
        contacts.find(|contact| contact.uri.as_str() == address)
    }

    /// Seconds for which a contact wants to be bound, if it says so (RFC 3261 §10.3 step 7). Zero takes it back.
    pub fn wish(&self, contact: &Contact<'_>) -> Option<u32> {
        contact.expires.or(self.expires)
    }
}

impl<'m> Contacts<'m> {
    fn read(request: &'m Message) -> Result<Self, Reject> {
        let mut contacts = Vec::new();
        for value in request.values(HeaderName::Contact) {
            if value == b"*" {
                // It may not stand beside others.
                let alone = request.values(HeaderName::Contact).count() == 1;
                return alone.then_some(Self::Star).ok_or(BAD_CONTACT);
            }
            let contact = NameAddr::parse(value).ok_or(BAD_CONTACT)?;
            contacts.push(Contact::of(&contact));
        }
        Ok(if contacts.is_empty() {
            Self::None
        } else {
            Self::List(contacts)
        })
    }
}

impl<'m> Contact<'m> {
    /// What one value of Contact says.
    pub fn of(contact: &NameAddr<'m>) -> Self {
        let mut read = Self {
            uri: contact.uri,
            params: contact.params,
            instance: None,
            reg_id: None,
            push: PushRequest::of(&contact.uri),
            q: 1000,
            expires: None,
            refreshes_itself: false,
        };
        for param in contact.params.iter() {
            let value = param.unquoted();
            let is = |name: &str| param.name.eq_ignore_ascii_case(name);
            if is("expires") {
                read.expires = read.expires.or(Some(seconds(value.as_bytes())));
            } else if is("q") {
                read.q = thousandths(value.as_bytes()).unwrap_or(1000);
            } else if is("+sip.instance") {
                read.instance = read.instance.or(Some(value)).filter(|id| !id.is_empty());
            } else if is("reg-id") {
                read.reg_id = read.reg_id.or(value.parse().ok());
            } else if is("+sip.pnsreg") {
                read.refreshes_itself = true;
            }
        }
        read
    }
}

fn seconds(text: &[u8]) -> u32 {
    number(text).unwrap_or(MALFORMED_EXPIRES)
}

fn cut(text: &str) -> &str {
    if text.len() <= USER_AGENT_CHARS {
        return text;
    }
    let end = text.char_indices().nth(USER_AGENT_CHARS);
    end.map_or(text, |(end, _)| &text[..end])
}

/// `0`, `0.5`, `1.000` in thousandths (RFC 3261 §25.1 `qvalue`).
fn thousandths(text: &[u8]) -> Option<u16> {
    let (whole, part) = match text {
        [whole @ (b'0' | b'1')] => (whole, &[][..]),
        [whole @ (b'0' | b'1'), b'.', part @ ..] if part.len() <= 3 => (whole, part),
        _ => return None,
    };
    let mut sum = u16::from(whole - b'0');
    for place in 0..3 {
        let digit = part.get(place).copied().unwrap_or(b'0');
        sum = sum * 10 + u16::from(digit.is_ascii_digit().then(|| digit - b'0')?);
    }
    (sum <= 1000).then_some(sum)
}
