//! One binding: a contact of an address, with what the registrar must remember of it.

use crate::lex::is_token;
use crate::push::{PushParams, PushRequest, is_push_param};
use crate::{NameAddr, Uri};

/// A contact under which a user can be reached for some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The contact URI as the client gave it, `pn-` parameters included.
    pub contact: String,
    /// Other parameters of the contact as the client gave them, from the first `;` on, without `expires` and `q`.
    pub params: String,
    /// `+sip.instance`, without quotes (RFC 5626 §4.1).
    pub instance: Option<String>,
    /// `reg-id`, which tells several flows of one instance apart (RFC 5626 §4.2).
    pub reg_id: Option<u32>,
    /// How to wake the device.
    pub push: Option<PushParams>,
    /// Preference in thousandths, 0 to 1000.
    pub q: u16,
    /// Unix milliseconds.
    pub expires_at_ms: u64,
    /// Call-ID of the REGISTER that set it last.
    pub call_id: String,
    /// CSeq number of that REGISTER.
    pub cseq: u32,
    /// Route to the contact, next hop first, as values of Path (RFC 3327).
    pub path: Vec<String>,
}

impl Binding {
    /// What a contact of a REGISTER says; time, order and path are set by the caller.
    pub fn of(contact: &NameAddr<'_>) -> Self {
        let push = match PushRequest::of(&contact.uri) {
            PushRequest::Wake(params) => Some(params),
            _ => None,
        };
        Self {
            contact: contact.uri.as_str().to_owned(),
            params: kept_params(contact),
            instance: contact.param("+sip.instance").map(str::to_owned),
            reg_id: contact.param("reg-id").and_then(|id| id.parse().ok()),
            push,
            q: contact.param("q").and_then(thousandths).unwrap_or(1000),
            expires_at_ms: 0,
            call_id: String::new(),
            cseq: 0,
            path: Vec::new(),
        }
    }

    /// What no two bindings of one address share: the instance with its flow number or contact, else the contact.
    pub fn key(&self) -> String {
        match (&self.instance, self.reg_id) {
            (Some(instance), Some(flow)) => format!("{instance};reg-id={flow}"),
            (Some(instance), None) => format!("{instance};{}", self.contact),
            (None, _) => self.contact.clone(),
        }
    }

    /// The same binding: if both name their instance, by that (two phones behind two routers may well have one
    /// private address), else by the contact URI.
    pub(super) fn is_same_binding(&self, other: &Self) -> bool {
        if self.instance.is_some() && other.instance.is_some() {
            return self.instance == other.instance
                && self.reg_id == other.reg_id
                && (self.reg_id.is_some() || self.is_same_contact(other));
        }
        self.is_same_contact(other)
    }

    /// The same contact URI (RFC 3261 §19.1.4)? Push parameters do not count: a phone that got a new token from its
    /// provider refreshes its binding (RFC 8599 §4.1.3).
    pub(super) fn is_same_contact(&self, other: &Self) -> bool {
        match (Uri::parse(&self.contact), Uri::parse(&other.contact)) {
            (Some(one), Some(other)) => one.is_equivalent_but_for(&other, is_push_param),
            _ => self.contact == other.contact,
        }
    }

    /// The same device, even under another URI: same instance and flow number, or same push token, which is given
    /// out to one installation of an app only. Two bindings that share a token would mean two pushes for one call.
    pub(super) fn is_same_device(&self, other: &Self) -> bool {
        let one_instance = self.instance.is_some() && self.instance == other.instance;
        let one_token = match (&self.push, &other.push) {
            (Some(one), Some(other)) => one.is_same_device(other),
            _ => false,
        };
        self.reg_id == other.reg_id && (one_instance || one_token)
    }

    /// The value of Contact that lists it in a response.
    pub(super) fn contact_value(&self, now_ms: u64) -> String {
        // Rounded up: a binding that is listed has not expired.
        let seconds = self.expires_at_ms.saturating_sub(now_ms).div_ceil(1000);
        let q = match self.q {
            1000.. => String::new(),
            q => format!(";q=0.{q:03}"),
        };
        format!("<{}>{};expires={seconds}{q}", self.contact, self.params)
    }
}

fn kept_params(contact: &NameAddr<'_>) -> String {
    let mut kept = String::new();
    for param in contact.params.iter() {
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
    kept
}

/// `0`, `0.5`, `1.000` in thousandths (RFC 3261 §25.1 `qvalue`).
fn thousandths(text: &str) -> Option<u16> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = part.len() <= 3 && part.bytes().all(|octet| octet.is_ascii_digit());
    let part = format!("{part:0<3}")
        .parse::<u16>()
        .ok()
        .filter(|_| digits)?;
    match (whole, part) {
        ("0", part) => Some(part),
        ("1", 0) => Some(1000),
        _ => None,
    }
}
