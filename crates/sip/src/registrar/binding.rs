//! One binding: a contact of an address, with what the registrar must remember of it.

use std::fmt;
use std::num::NonZeroU32;

use super::{Contact, Registration};
use crate::Params;
use crate::lex::{is_token, split_list};
use crate::push::{PushParams, PushRequest};

/// A contact under which a user can be reached for some time. Its texts stand in one piece of memory.
#[derive(Clone, PartialEq, Eq)]
pub struct Binding {
    /// All fields, one behind the other.
    pub(super) text: Box<str>,
    /// Where each field ends.
    pub(super) ends: [u32; FIELDS],
    /// The flow, one of several of one device; only where Outbound was agreed (RFC 5626 §6).
    pub reg_id: Option<NonZeroU32>,
    /// Preference in thousandths, 0 to 1000.
    pub q: u16,
    /// Unix milliseconds.
    pub expires_at_ms: u64,
    /// CSeq number of the REGISTER that set it last.
    pub cseq: u32,
}

/// The texts of a binding, in the order in which they stand.
#[derive(Debug, Clone, Copy)]
enum Field {
    Contact,
    Params,
    Instance,
    Provider,
    PushParam,
    Prid,
    CallId,
    Path,
    UserAgent,
}

/// How many there are.
pub(super) const FIELDS: usize = Field::UserAgent as usize + 1;

impl Binding {
    /// What a contact of a REGISTER says. `reg_id` is the flow, if Outbound is agreed.
    pub fn new(
        contact: &Contact<'_>,
        registration: &Registration<'_>,
        reg_id: Option<NonZeroU32>,
        expires_at_ms: u64,
    ) -> Self {
        let (provider, param, prid) = match &contact.push {
            PushRequest::Wake(push) => (&*push.provider, &*push.param, &*push.prid),
            _ => ("", "", ""),
        };
        let instance = contact.instance.unwrap_or_default();
        let path = &registration.path;
        let plain = [
            contact.uri.as_str(),
            instance,
            provider,
            param,
            prid,
            registration.call_id,
        ];
        let room = plain
            .iter()
            .chain(path)
            .map(|text| text.len() + 2)
            .sum::<usize>()
            + contact.params.raw().len()
            + registration.user_agent.len();
        let mut texts = Texts::with_capacity(room);
        texts.push(contact.uri.as_str());
        push_kept(&mut texts.text, contact.params);
        texts.end();
        for text in &plain[1..] {
            texts.push(text);
        }
        for (place, value) in path.iter().enumerate() {
            texts.text.push_str(if place > 0 { ", " } else { "" });
            texts.text.push_str(value);
        }
        texts.end();
        texts.push(registration.user_agent);
        let Texts { text, ends, .. } = texts;
        Self {
            text: text.into(),
            ends,
            reg_id,
            q: contact.q,
            expires_at_ms,
            cseq: registration.cseq,
        }
    }

    /// The contact URI as the client gave it, `pn-` parameters included.
    pub fn contact(&self) -> &str {
        self.field(Field::Contact)
    }

    /// Other parameters of the contact as the client gave them, from the first `;` on, without `expires` and `q`.
    pub fn params(&self) -> &str {
        self.field(Field::Params)
    }

    /// `+sip.instance`, without quotes (RFC 5626 §4.1).
    pub fn instance(&self) -> Option<&str> {
        Some(self.field(Field::Instance)).filter(|instance| !instance.is_empty())
    }

    /// How to wake the device.
    pub fn push(&self) -> Option<PushParams<'_>> {
        let (provider, prid) = self.token()?;
        Some(PushParams {
            provider: provider.into(),
            param: self.field(Field::PushParam).into(),
            prid: prid.into(),
        })
    }

    /// Provider and `pn-prid`.
    pub(super) fn token(&self) -> Option<(&str, &str)> {
        let token = (self.field(Field::Provider), self.field(Field::Prid));
        Some(token).filter(|(_, prid)| !prid.is_empty())
    }

    /// Call-ID of the REGISTER that set it last.
    pub fn call_id(&self) -> &str {
        self.field(Field::CallId)
    }

    /// Route to the contact, next hop first, as values of Path (RFC 3327).
    pub fn path(&self) -> impl Iterator<Item = &str> {
        split_list(self.field(Field::Path).as_bytes())
            .filter_map(|value| std::str::from_utf8(value).ok())
            .filter(|value| !value.is_empty())
    }

    /// What the client calls itself.
    pub fn user_agent(&self) -> &str {
        self.field(Field::UserAgent)
    }

    /// The value of Contact that lists it in a response.
    pub fn contact_value(&self, now_ms: u64) -> String {
        use fmt::Write;
        let room = self.contact().len() + self.params().len() + 32;
        let mut out = String::with_capacity(room);
        out.push('<');
        out.push_str(self.contact());
        out.push('>');
        out.push_str(self.params());
        // Rounded up: a binding that is listed has not expired.
        let seconds = self.expires_at_ms.saturating_sub(now_ms).div_ceil(1000);
        // Writing to a String cannot fail.
        let _ = write!(out, ";expires={seconds}");
        if self.q < 1000 {
            let _ = write!(out, ";q=0.{:03}", self.q);
        }
        out
    }

    fn field(&self, field: Field) -> &str {
        let place = field as usize;
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        let part = start as usize..self.ends[place] as usize;
        self.text.get(part).unwrap_or_default()
    }
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.contact_value(0))
    }
}

/// Fields in the making.
pub(super) struct Texts {
    pub(super) text: String,
    pub(super) ends: [u32; FIELDS],
    filled: usize,
}

impl Texts {
    pub(super) fn with_capacity(octets: usize) -> Self {
        Self {
            text: String::with_capacity(octets),
            ends: [0; FIELDS],
            filled: 0,
        }
    }

    pub(super) fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.end();
    }

    /// The field is complete.
    fn end(&mut self) {
        // A message is far shorter than 4 GiB.
        self.ends[self.filled] = u32::try_from(self.text.len()).unwrap_or(u32::MAX);
        self.filled += 1;
    }
}

fn push_kept(kept: &mut String, params: Params<'_>) {
    for param in params.iter() {
        let ours = ["expires", "q"]
            .iter()
            .any(|name| param.name.eq_ignore_ascii_case(name));
        if ours || !is_token(param.name.as_bytes()) {
            continue;
        }
        kept.push(';');
        kept.push_str(param.name);
        if let Some(value) = param.value {
            kept.push('=');
            kept.push_str(value);
        }
    }
}
