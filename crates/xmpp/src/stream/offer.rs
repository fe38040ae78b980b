//! What a client is offered: the features of a stream (RFC 6120 §4.3.2).

use crate::ns;
use crate::xml::Element;

/// How a client may sign in, once the stream is secure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offer {
    /// Mechanisms of SASL in our order of preference (RFC 6120 §6.3.3).
    pub mechanisms: Vec<String>,
    /// Types of channel binding (XEP-0440); those depend on the TLS that is spoken.
    pub channel_bindings: Vec<String>,
    /// The same by SASL2, if it is offered.
    pub sasl2: Option<Sasl2Offer>,
    /// Who was invited may make an account (XEP-0445).
    pub invitations: bool,
    /// Further features, as they are to be shown.
    pub others: Vec<Element>,
}

/// How a client may sign in by SASL2 (XEP-0388).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sasl2Offer {
    /// Mechanisms in our order of preference.
    pub mechanisms: Vec<String>,
    /// What can be done within the sign-in (Bind 2, resumption, FAST), as it is to be shown.
    pub inline: Vec<Element>,
}

/// What a client is offered that has signed in by SASL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BoundOffer {
    /// Stream management (XEP-0198).
    pub stream_management: bool,
    /// Roster versions (RFC 6121 §2.6.1).
    pub roster_versioning: bool,
    /// Subscriptions approved beforehand (RFC 6121 §3.4).
    pub pre_approval: bool,
    /// Further features, as they are to be shown.
    pub others: Vec<Element>,
}

fn features() -> Element {
    Element::prefixed("stream", ns::STREAM, "features")
}

fn with_mechanisms(mut element: Element, mechanisms: &[String]) -> Element {
    let namespace = element.namespace().to_owned();
    for name in mechanisms {
        element.push(Element::new(&namespace, "mechanism").with_text(name));
    }
    element
}

/// Nothing but TLS, while there is none (RFC 6120 §5.3.1).
pub(super) fn of_tls() -> Element {
    let required = Element::new(ns::TLS, "required");
    features().with_child(Element::new(ns::TLS, "starttls").with_child(required))
}

impl Offer {
    pub(super) fn features(&self) -> Element {
        let mut features = features();
        if !self.mechanisms.is_empty() {
            let mechanisms = Element::new(ns::SASL, "mechanisms");
            features.push(with_mechanisms(mechanisms, &self.mechanisms));
        }
        if let Some(sasl2) = &self.sasl2 {
            let element = Element::new(ns::SASL2, "authentication");
            let mut authentication = with_mechanisms(element, &sasl2.mechanisms);
            if !sasl2.inline.is_empty() {
                let mut inline = Element::new(ns::SASL2, "inline");
                sasl2
                    .inline
                    .iter()
                    .cloned()
                    .for_each(|row| inline.push(row));
                authentication.push(inline);
            }
            features.push(authentication);
        }
        if !self.channel_bindings.is_empty() {
            let mut list = Element::new(ns::CHANNEL_BINDING, "sasl-channel-binding");
            for name in &self.channel_bindings {
                let row = Element::new(ns::CHANNEL_BINDING, "channel-binding");
                list.push(row.with_attr("type", name));
            }
            features.push(list);
        }
        if self.invitations {
            for namespace in [ns::IQ_REGISTER, ns::IBR_TOKEN, ns::INVITE] {
                features.push(Element::new(namespace, "register"));
            }
        }
        self.others
            .iter()
            .cloned()
            .for_each(|row| features.push(row));
        features
    }
}

impl BoundOffer {
    pub(super) fn features(&self) -> Element {
        let required = Element::new(ns::BIND, "required");
        let bind = Element::new(ns::BIND, "bind").with_child(required);
        // RFC 3921 had clients start a session; those that still do are told that they need not.
        let optional = Element::new(ns::SESSION, "optional");
        let session = Element::new(ns::SESSION, "session").with_child(optional);
        self.with_rest(features().with_child(bind).with_child(session), true)
    }

    /// The features of a client that has a session already, since it asked for one with its sign-in (XEP-0388 §2.6.1). What
    /// is counted already is not offered to be.
    pub fn of_session(&self, is_managed: bool) -> Element {
        self.with_rest(features(), !is_managed)
    }

    fn with_rest(&self, mut features: Element, may_manage: bool) -> Element {
        for (is_offered, namespace, local) in [
            (self.stream_management && may_manage, ns::SM, "sm"),
            (self.roster_versioning, ns::ROSTER_VERSIONING, "ver"),
            (self.pre_approval, ns::PRE_APPROVAL, "sub"),
        ] {
            if is_offered {
                features.push(Element::new(namespace, local));
            }
        }
        self.others
            .iter()
            .cloned()
            .for_each(|row| features.push(row));
        features
    }
}
