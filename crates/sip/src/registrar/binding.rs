//! One binding: a contact of an address, with what the registrar must remember of it.

use std::fmt;
use std::num::NonZeroU32;

use smallvec::SmallVec;

use super::{Contact, Registration};
use crate::Params;
use crate::lex::{is_token, split_list};
use crate::push::{PushParams, PushRequest};

/// A contact under which a user can be reached for some time. Its texts stand in one piece of memory, and what the
/// contact itself says is not said twice.
#[derive(Clone, PartialEq, Eq)]
pub struct Binding {
    pub(super) texts: Texts,
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
    UserAgent,
    Path,
}

/// How many there are.
pub(super) const FIELDS: usize = Field::Path as usize + 1;

/// Where a field stands in the text. A message is shorter than 64 KiB; were all of its texts together longer, its Path,
/// the last, would be cut.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) start: u16,
    pub(super) length: u16,
}

impl Part {
    fn of(start: usize, length: usize) -> Self {
        let number = |octets| u16::try_from(octets).unwrap_or(u16::MAX);
        Self {
            start: number(start),
            length: number(length),
        }
    }
}

impl Binding {
    /// What a contact of a REGISTER says. `reg_id` is the flow, if Outbound is agreed.
    pub fn new(
        contact: &Contact<'_>,
        registration: &Registration<'_>,
        reg_id: Option<NonZeroU32>,
        expires_at_ms: u64,
    ) -> Self {
        let path = &registration.path;
        let plain = [
            contact.uri.as_str(),
            registration.call_id,
            registration.user_agent,
        ];
        let room = plain
            .iter()
            .chain(path)
            .map(|text| text.len() + 2)
            .sum::<usize>();
        let mut texts = Writer::with_capacity(room + contact.params.raw().len());
        texts.copy(Field::Contact, contact.uri.as_str());
        texts.copy_kept(contact.params);
        let instance = contact.instance.unwrap_or_default();
        texts.refer(Field::Instance, instance);
        if let PushRequest::Wake(push) = &contact.push {
            texts.refer(Field::Provider, &push.provider);
            texts.refer(Field::PushParam, &push.param);
            texts.refer(Field::Prid, &push.prid);
        }
        texts.add(Field::CallId, registration.call_id);
        texts.add(Field::UserAgent, registration.user_agent);
        texts.add(Field::Path, &path.join(", "));
        Self {
            texts: texts.finish(),
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

    /// Whether the client has said that it takes what is of this media type (`type`, RFC 3840, RFC 2913): one of a list, as a string in
    /// brackets or without them. One that has said nothing may take it all the same.
    pub fn takes(&self, media: &str) -> bool {
        let mut params = Params::new(self.params().as_bytes()).iter();
        let said = params.find(|it| it.name.eq_ignore_ascii_case("type"));
        let list = said.and_then(|it| it.value).unwrap_or_default();
        let mut all = list.trim_matches('"').split(',').map(str::trim);
        all.any(|it| {
            let bare = it.strip_prefix('<').and_then(|it| it.strip_suffix('>'));
            bare.unwrap_or(it).eq_ignore_ascii_case(media)
        })
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
        self.texts.get(self.texts.parts[field as usize])
    }
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.contact_value(0))
    }
}

/// The fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Texts {
    pub(super) text: Box<str>,
    pub(super) parts: [Part; FIELDS],
}

impl Texts {
    /// What stands there.
    pub(super) fn get(&self, part: Part) -> &str {
        let start = usize::from(part.start);
        let text = self.text.get(start..start + usize::from(part.length));
        text.unwrap_or_default()
    }
}

/// Fields in the making.
struct Writer<'m> {
    text: String,
    parts: [Part; FIELDS],
    /// What was copied of the message, and to where.
    copied: SmallVec<[(&'m str, usize); 4]>,
}

impl<'m> Writer<'m> {
    fn with_capacity(octets: usize) -> Self {
        Self {
            text: String::with_capacity(octets),
            parts: [Part::default(); FIELDS],
            copied: SmallVec::new(),
        }
    }

    fn add(&mut self, field: Field, text: &str) {
        let start = self.text.len();
        self.text.push_str(text);
        self.set(field, start);
    }

    /// Adds what others may refer to.
    fn copy(&mut self, field: Field, text: &'m str) {
        self.copied.push((text, self.text.len()));
        self.add(field, text);
    }

    /// Adds the parameters of a contact that are kept.
    fn copy_kept(&mut self, params: Params<'m>) {
        let start = self.text.len();
        for param in params.iter() {
            let ours = ["expires", "q"]
                .iter()
                .any(|name| param.name.eq_ignore_ascii_case(name));
            if ours || !is_token(param.name.as_bytes()) {
                continue;
            }
            self.text.push(';');
            self.text.push_str(param.name);
            if let Some(value) = param.value {
                self.text.push('=');
                self.copied.push((value, self.text.len()));
                self.text.push_str(value);
            }
        }
        self.set(Field::Params, start);
    }

    /// A part of what was copied need not be written again.
    fn refer(&mut self, field: Field, text: &str) {
        let place = |(whole, start): &(&str, usize)| Some(start + place_of(text, whole)?);
        match self.copied.iter().find_map(place) {
            Some(start) => self.parts[field as usize] = Part::of(start, text.len()),
            None => self.add(field, text),
        }
    }

    /// The field goes from there to the end.
    fn set(&mut self, field: Field, start: usize) {
        self.parts[field as usize] = Part::of(start, self.text.len() - start);
    }

    fn finish(self) -> Texts {
        Texts {
            text: self.text.into(),
            parts: self.parts,
        }
    }
}

/// Where a text stands that is a part of another, in its very memory.
fn place_of(part: &str, whole: &str) -> Option<usize> {
    let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    (start + part.len() <= whole.len()).then_some(start)
}
