//! The steps of RFC 3261 §10.3 that touch bindings, all or nothing.

use super::{Binding, Change, Outcome, Policy, Reject};
use crate::lex::number;
use crate::{Contacts, HeaderName, Message, NameAddr};

/// A malformed `expires` counts as so many seconds (RFC 3261 §20.10).
const MALFORMED_EXPIRES: u32 = 3600;

/// A wish of so many seconds or more is never too brief (RFC 3261 §10.3 step 7).
const NEVER_TOO_BRIEF: u32 = 3600;

const OUT_OF_ORDER: Reject = Reject::new(500, "REGISTER Out of Order");
const BAD_STAR: Reject = Reject::new(400, "Star Contact Needs Expires 0 Alone");

/// Applies a REGISTER to the bindings of its address. Bindings that have expired are forgotten first.
///
/// # Errors
/// The answer to give; then nothing has changed.
pub fn apply(
    existing: &[Binding],
    request: &Message,
    now_ms: u64,
    policy: &Policy,
) -> Result<Outcome, Reject> {
    // Step 5: an address-of-record is a SIP URI.
    if !request.to().is_ok_and(|to| to.uri.is_sip()) {
        return Err(Reject::new(400, "To Is No SIP Address"));
    }
    let live = existing
        .iter()
        .filter(|binding| binding.expires_at_ms > now_ms);
    let bindings = live.cloned().collect();
    let update = Update::new(bindings, request, now_ms, policy)?;
    match request.contacts() {
        Err(_) => Err(Reject::new(400, "Malformed Contact Header Field")),
        Ok(Contacts::Star) => update.remove_all(request),
        Ok(Contacts::List(contacts)) => update.contacts(&contacts),
    }
}

/// A REGISTER being applied.
struct Update<'a> {
    policy: &'a Policy,
    now_ms: u64,
    call_id: &'a str,
    cseq: u32,
    /// Seconds of the Expires header field, if there is one.
    expires: Option<u32>,
    path: Vec<String>,
    /// Bindings that this request has not touched.
    old: Vec<Binding>,
    /// Bindings that it has set.
    set: Vec<Binding>,
    changes: Vec<Change>,
}

impl<'a> Update<'a> {
    fn new(
        old: Vec<Binding>,
        request: &'a Message,
        now_ms: u64,
        policy: &'a Policy,
    ) -> Result<Self, Reject> {
        let malformed = |_| Reject::new(400, "Malformed REGISTER");
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        Ok(Self {
            policy,
            now_ms,
            call_id: request.call_id().map_err(malformed)?,
            cseq: request.cseq().map_err(malformed)?.number,
            expires: request.header(HeaderName::Expires).map(seconds),
            path: request.values(HeaderName::Path).map(text).collect(),
            old,
            set: Vec::new(),
            changes: Vec::new(),
        })
    }

    /// Step 6: `Contact: *`.
    fn remove_all(self, request: &Message) -> Result<Outcome, Reject> {
        if request.expires() != Ok(Some(0)) {
            return Err(BAD_STAR);
        }
        for binding in &self.old {
            self.check_order(binding)?;
        }
        Ok(Outcome {
            bindings: Vec::new(),
            changes: self.old.into_iter().map(Change::Removed).collect(),
        })
    }

    /// Step 7: each contact in turn.
    fn contacts(mut self, contacts: &[NameAddr<'_>]) -> Result<Outcome, Reject> {
        let too_many = Reject::new(403, "Too Many Contacts");
        if contacts.len() > self.policy.max_bindings {
            return Err(too_many);
        }
        for contact in contacts {
            self.contact(contact)?;
        }
        if !self.set.is_empty() && self.old.len() + self.set.len() > self.policy.max_bindings {
            return Err(too_many);
        }
        Ok(Outcome {
            bindings: [self.old, self.set].concat(),
            changes: self.changes,
        })
    }

    fn contact(&mut self, contact: &NameAddr<'_>) -> Result<(), Reject> {
        let granted = self.granted(contact)?;
        let new = Binding {
            expires_at_ms: self.now_ms + u64::from(granted) * 1000,
            call_id: self.call_id.to_owned(),
            cseq: self.cseq,
            path: self.path.clone(),
            ..Binding::of(contact)
        };
        // Only one of the two could be meant.
        if self.set.iter().any(|binding| binding.is_same_binding(&new)) {
            return Err(Reject::new(400, "Contact Given Twice"));
        }
        let old = self.take_old(&new)?;
        self.changes.extend(match (old, granted) {
            (None, 0) => None,
            (Some(old), 0) => Some(Change::Removed(old)),
            (None, _) => Some(Change::Added(new.clone())),
            (Some(old), _) if old.is_same_contact(&new) => Some(Change::Refreshed {
                old,
                new: new.clone(),
            }),
            (Some(old), _) => Some(Change::Replaced {
                old,
                new: new.clone(),
            }),
        });
        if granted > 0 {
            self.set.push(new);
        }
        Ok(())
    }

    /// Takes the binding that this contact is about out of those from before: the same one, else the same device
    /// under another URI.
    fn take_old(&mut self, new: &Binding) -> Result<Option<Binding>, Reject> {
        let find =
            |is: fn(&Binding, &Binding) -> bool| self.old.iter().position(|old| is(old, new));
        let Some(place) = find(Binding::is_same_binding).or_else(|| find(Binding::is_same_device))
        else {
            return Ok(None);
        };
        self.check_order(&self.old[place])?;
        Ok(Some(self.old.remove(place)))
    }

    /// Requests of one client (one Call-ID) count in order only.
    fn check_order(&self, binding: &Binding) -> Result<(), Reject> {
        if binding.call_id == self.call_id && self.cseq <= binding.cseq {
            return Err(OUT_OF_ORDER);
        }
        Ok(())
    }

    /// Seconds that this contact gets; zero removes it.
    fn granted(&self, contact: &NameAddr<'_>) -> Result<u32, Reject> {
        let parameter = contact
            .param("expires")
            .map(|text| seconds(text.as_bytes()));
        let wish = parameter
            .or(self.expires)
            .unwrap_or(self.policy.default_expires);
        let min = self.policy.min_expires;
        if wish > 0 && wish < NEVER_TOO_BRIEF && wish < min {
            return Err(Reject {
                min_expires: Some(min),
                ..Reject::new(423, "Interval Too Brief")
            });
        }
        Ok(wish.min(self.policy.max_expires))
    }
}

fn seconds(text: &[u8]) -> u32 {
    number(text).unwrap_or(MALFORMED_EXPIRES)
}
