//! The parts of an address in the one form in which equal ones are the same octets.
//!
//! By PRECIS (RFC 8264, RFC 8265), as RFC 7622 asks, with the tables of the crate `precis-profiles`. The other way, still taken
//! by many, is the stringprep of RFC 6122: it makes `fussball` of `fußball`, which are two (RFC 7622 §3.5), and its tables
//! end with Unicode 3.2.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use precis_profiles::precis_core::profile::{PrecisFastInvocation, Rules};
use precis_profiles::precis_core::{DerivedPropertyValue, FreeformClass, StringClass};
use precis_profiles::{OpaqueString, UsernameCaseMapped};

use super::{JidError, LONGEST_PART, punycode};

/// What a localpart must not have though a user name may (RFC 7622 §3.3.1).
const EXCLUDED: &str = "\"&'/:<>@";

/// The longest label of a domain, in octets.
const LONGEST_LABEL: usize = 63;

/// RFC 7622 §3.3.
pub(super) fn local(text: &str) -> Result<Cow<'_, str>, JidError> {
    let prepared = if text.bytes().all(|octet| octet.is_ascii_graphic()) {
        lower_case(text)
    } else {
        stable(text, user_name).ok_or(JidError::Local)?
    };
    let excluded = prepared.contains(|c| EXCLUDED.contains(c));
    let fits = (1..=LONGEST_PART).contains(&prepared.len());
    (fits && !excluded)
        .then_some(prepared)
        .ok_or(JidError::Local)
}

/// RFC 7622 §3.4. That a space must not come first is said by an example only (RFC 7622 §3.5, 18).
pub(super) fn resource(text: &str) -> Result<Cow<'_, str>, JidError> {
    let prepared = if text.bytes().all(|octet| matches!(octet, b' '..=b'~')) {
        Cow::Borrowed(text)
    } else {
        stable(text, opaque).ok_or(JidError::Resource)?
    };
    let fits = (1..=LONGEST_PART).contains(&prepared.len());
    (fits && !prepared.starts_with(' '))
        .then_some(prepared)
        .ok_or(JidError::Resource)
}

/// What is not the same when it is mapped again has no one form, and is refused: letters whose small ones are younger than
/// the tables, characters that are allowed until they are normalized.
fn stable(text: &str, map: impl Fn(&str) -> Option<Cow<'_, str>>) -> Option<Cow<'_, str>> {
    let mapped = map(text)?;
    let is_stable = map(&mapped).is_some_and(|again| again == mapped);
    is_stable.then_some(mapped)
}

/// The profile of user names.
fn user_name(text: &str) -> Option<Cow<'_, str>> {
    UsernameCaseMapped::enforce(text).ok()
}

/// The profile of opaque strings, but for characters that are younger than the tables, which are those of Unicode 6.3 by
/// which PRECIS was registered. They pass: people have called themselves by newer emoji for years.
fn opaque(text: &str) -> Option<Cow<'_, str>> {
    let class = FreeformClass::default();
    let is_younger = |c: char| class.get_value_from_char(c) == DerivedPropertyValue::Unassigned;
    if text.contains(is_younger) {
        let known: String = text.chars().filter(|c| !is_younger(*c)).collect();
        if !known.is_empty() {
            OpaqueString::prepare(&*known).ok()?;
        }
        let profile = OpaqueString::new();
        let mapped = profile.additional_mapping_rule(text).ok()?;
        return profile.normalization_rule(mapped).ok();
    }
    OpaqueString::enforce(text).ok()
}

/// RFC 7622 §3.2.
pub(super) fn domain(text: &str) -> Result<Cow<'_, str>, JidError> {
    if let Some(literal) = text.strip_prefix('[') {
        let address = literal.strip_suffix(']').ok_or(JidError::Domain)?;
        let address: Ipv6Addr = address.parse().map_err(|_| JidError::Domain)?;
        return Ok(format!("[{address}]").into());
    }
    let text = text.strip_suffix('.').unwrap_or(text);
    let simple = text.is_ascii() && !text.split('.').any(is_encoded);
    let prepared = if simple {
        let labels = text.split('.').all(is_label);
        labels.then(|| lower_case(text)).ok_or(JidError::Domain)?
    } else {
        let labels: Result<Vec<_>, _> = text.split('.').map(label).collect();
        labels?.join(".").into()
    };
    let fits = prepared.len() <= LONGEST_PART;
    fits.then_some(prepared).ok_or(JidError::Domain)
}

/// Is it the encoded form of a label (RFC 5890: an A-label)?
fn is_encoded(label: &str) -> bool {
    let prefix = label.as_bytes().get(..4);
    prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case(b"xn--"))
}

/// Letters, digits and hyphens, those neither first nor last nor third and fourth (RFC 5890: an NR-LDH label).
fn is_label(label: &str) -> bool {
    let ldh = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-';
    (1..=LONGEST_LABEL).contains(&label.len())
        && label.bytes().all(ldh)
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.get(2..4) != Some("--")
}

/// One label, decoded and mapped: as a user name, which differs from a label in having more punctuation.
fn label(label: &str) -> Result<Cow<'_, str>, JidError> {
    if is_encoded(label) {
        let lower = label.to_ascii_lowercase();
        let fits = label.len() <= LONGEST_LABEL;
        let decoded = fits.then(|| punycode::decode(&lower[4..])).flatten();
        let decoded = decoded.ok_or(JidError::Domain)?;
        let mapped = international(&decoded)?;
        // Only what could not be in another form was encoded (RFC 5890).
        let same = !decoded.is_ascii() && mapped == decoded;
        return same.then_some(decoded.into()).ok_or(JidError::Domain);
    }
    if label.is_ascii() {
        let is_label = is_label(label);
        return is_label.then(|| lower_case(label)).ok_or(JidError::Domain);
    }
    international(label)
}

fn international(label: &str) -> Result<Cow<'_, str>, JidError> {
    let mapped = stable(label, user_name).ok_or(JidError::Domain)?;
    let allowed = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || c == '-';
    let hyphens = mapped.starts_with('-') || mapped.ends_with('-') || is_encoded(&mapped);
    (mapped.chars().all(allowed) && !hyphens)
        .then_some(mapped)
        .ok_or(JidError::Domain)
}

fn lower_case(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|octet| octet.is_ascii_uppercase()) {
        text.to_ascii_lowercase().into()
    } else {
        text.into()
    }
}
