//! The rules for the header of a client, the same before and behind its authentication.

use std::sync::Arc;

use super::Framing;
use crate::jid::{Jid, JidError};
use crate::ns;
use crate::xml::{Header, StreamCondition, StreamError};

/// The domains that are served. At least one, the first of which speaks for all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domains(Arc<[Jid]>);

impl Domains {
    /// `first` speaks where a client has named none that is served (RFC 6120 §4.9.1.3).
    ///
    /// # Errors
    /// One of them is no domain.
    pub fn new(first: &str, others: &[&str]) -> Result<Self, JidError> {
        let all = std::iter::once(&first).chain(others);
        let all: Result<Arc<[Jid]>, _> = all.map(|name| Jid::new(None, name, None)).collect();
        all.map(Self)
    }

    pub(super) fn first(&self) -> &Jid {
        &self.0[0]
    }

    /// The domain that a header names. One that names none means the only one there is (RFC 6120 §4.7.2 wants such
    /// headers borne).
    pub(super) fn served(&self, to: Option<&str>) -> Option<Jid> {
        let Some(to) = to else {
            return (self.0.len() == 1).then(|| self.0[0].clone());
        };
        let to = Jid::parse(to).ok()?;
        self.0.iter().find(|domain| **domain == to).cloned()
    }
}

/// A header that is as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The domain that is wanted, one of ours.
    pub to: Jid,
    /// Who the client says it is (RFC 6120 §4.7.1): without a resource, and not to be believed.
    pub from: Option<Jid>,
    /// The language of stanzas that state none (RFC 6120 §4.7.4).
    pub lang: Option<String>,
}

/// Reads a header.
pub(super) fn read(
    header: &Header,
    framing: Framing,
    domains: &Domains,
) -> Result<Opened, StreamError> {
    let refused = |condition, text| Err(StreamError::new(condition, text));
    let element = header.element();
    if framing == Framing::Tcp {
        // RFC 6120 §4.8.1. Of WebSocket's it is known already.
        if element.namespace() != ns::STREAM {
            return refused(StreamCondition::InvalidNamespace, "not a stream");
        }
        if element.local() != "stream" {
            return refused(StreamCondition::BadFormat, "not a stream");
        }
        // RFC 6120 §4.8.2: the content namespace, or none if each element states its own.
        let content = header.default_namespace().unwrap_or(ns::CLIENT);
        if content != ns::CLIENT && !(content == ns::STREAM && element.prefix().is_none()) {
            let text = "only streams of clients are served here";
            return refused(StreamCondition::InvalidNamespace, text);
        }
    }
    // RFC 6120 §4.7.5: nothing that we speak is older than 1.0, and a newer peer speaks 1.0 with us.
    if header.version().is_none_or(|(major, _)| major < 1) {
        return refused(
            StreamCondition::UnsupportedVersion,
            "version 1.0 is spoken here",
        );
    }
    let Some(to) = domains.served(header.to()) else {
        return refused(StreamCondition::HostUnknown, "");
    };
    Ok(Opened {
        to,
        from: sender(header),
        lang: header.lang().map(str::to_owned),
    })
}

/// Who a client says it is. What is no address counts as nothing: it is not believed anyway.
pub(super) fn sender(header: &Header) -> Option<Jid> {
    let from = Jid::parse(header.from()?).ok()?;
    Some(from.bare())
}
