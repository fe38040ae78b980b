//! Addresses (RFC 7622): `local@domain/resource`.

mod prepare;
mod punycode;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

/// The longest that a part may be, in octets (RFC 7622 §3.1).
pub const LONGEST_PART: usize = 1023;

/// An address in the one form in which equal addresses are the same octets. Cheap to clone.
#[derive(Clone)]
pub struct Jid {
    text: Arc<str>,
    /// Octets of the localpart with its `@`; 0 if there is none.
    domain_at: u16,
    /// Where the domainpart ends.
    domain_end: u16,
}

/// Why text is no address. Whoever sent it is told `jid-malformed` (RFC 7622 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JidError {
    /// RFC 7622 §3.3.
    #[error("malformed localpart")]
    Local,
    /// RFC 7622 §3.2.
    #[error("malformed domainpart")]
    Domain,
    /// RFC 7622 §3.4.
    #[error("malformed resourcepart")]
    Resource,
}

impl Jid {
    /// Reads an address and brings it into its one form (RFC 7622 §3.2 says in which order it is taken apart).
    ///
    /// # Errors
    /// A part is empty, too long, or has characters that it must not have.
    pub fn parse(text: &str) -> Result<Self, JidError> {
        let (bare, resource) = match text.split_once('/') {
            Some((bare, resource)) => (bare, Some(resource)),
            None => (text, None),
        };
        match bare.split_once('@') {
            Some((local, domain)) => Self::new(Some(local), domain, resource),
            None => Self::new(None, bare, resource),
        }
    }

    /// Puts an address together.
    ///
    /// # Errors
    /// As for [`parse`](Self::parse).
    pub fn new(
        local: Option<&str>,
        domain: &str,
        resource: Option<&str>,
    ) -> Result<Self, JidError> {
        let local = local.map(prepare::local).transpose()?;
        let domain = prepare::domain(domain)?;
        let resource = resource.map(prepare::resource).transpose()?;
        Ok(Self::of(local.as_deref(), &domain, resource.as_deref()))
    }

    /// Of parts that are prepared.
    fn of(local: Option<&str>, domain: &str, resource: Option<&str>) -> Self {
        let mut text = String::with_capacity(
            local.map_or(0, |local| local.len() + 1)
                + domain.len()
                + resource.map_or(0, |resource| resource.len() + 1),
        );
        if let Some(local) = local {
            text.push_str(local);
            text.push('@');
        }
        let domain_at = text.len();
        text.push_str(domain);
        let domain_end = text.len();
        if let Some(resource) = resource {
            text.push('/');
            text.push_str(resource);
        }
        // Parts of at most 1023 octets: both fit.
        let narrow = |at: usize| u16::try_from(at).unwrap_or(u16::MAX);
        Self {
            text: text.into(),
            domain_at: narrow(domain_at),
            domain_end: narrow(domain_end),
        }
    }

    /// The whole address.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The part before the `@`, if there is one.
    pub fn local(&self) -> Option<&str> {
        let end = usize::from(self.domain_at).checked_sub(1)?;
        Some(&self.text[..end])
    }

    /// The domain.
    pub fn domain(&self) -> &str {
        &self.text[usize::from(self.domain_at)..usize::from(self.domain_end)]
    }

    /// The part behind the first `/`, if there is one.
    pub fn resource(&self) -> Option<&str> {
        self.text.get(usize::from(self.domain_end) + 1..)
    }

    /// The address without the resource, as text.
    pub fn bare_str(&self) -> &str {
        &self.text[..usize::from(self.domain_end)]
    }

    /// Has it no resource?
    pub fn is_bare(&self) -> bool {
        self.text.len() == usize::from(self.domain_end)
    }

    /// The address without the resource.
    #[must_use]
    pub fn bare(&self) -> Self {
        if self.is_bare() {
            return self.clone();
        }
        Self {
            text: self.bare_str().into(),
            ..*self
        }
    }

    /// The same address with this resource.
    ///
    /// # Errors
    /// It is none.
    pub fn with_resource(&self, resource: &str) -> Result<Self, JidError> {
        let resource = prepare::resource(resource)?;
        Ok(Self::of(self.local(), self.domain(), Some(&resource)))
    }
}

impl FromStr for Jid {
    type Err = JidError;

    fn from_str(text: &str) -> Result<Self, JidError> {
        Self::parse(text)
    }
}

// Where the parts are follows from the text, so it alone is compared.

impl PartialEq for Jid {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Jid {}

impl Hash for Jid {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl Ord for Jid {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl PartialOrd for Jid {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.text)
    }
}
