//! What the operator decided about XMPP, in the form in which the role needs it.

use domain::Address;
use std::{sync::Arc, time::Duration};
use xmpp::{
    jid::{Jid, JidError},
    management::{Answering, Policy},
    ns,
    stream::{BoundOffer, Domains},
    xml::Element,
};

/// Settings of the XMPP role.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Our domains, as streams name them.
    pub domains: Domains,
    /// The same, in lower case.
    pub names: Arc<[String]>,
    /// What a client is offered that has signed in.
    pub offer: Arc<BoundOffer>,
    /// Name and version of this program, for whoever asks (XEP-0092).
    pub software: (String, String),
    /// When a client is asked what it has got, when it is taken for gone, and how much is kept for it until it says so.
    pub policy: Policy,
    /// When a client is told what was handled of what it sent.
    pub answering: Answering,
    /// How long a client that has lost its connection may come back and go on where it was.
    pub hibernation: Duration,
    /// Messages that may be on their way to a client at once.
    pub window: u16,
    /// Clients of one user that are signed in at once; one more ends the one that signed in first.
    pub sessions_per_user: usize,
    /// What survives a restart; for made-up salts and what only we can have made.
    pub secret: [u8; 32],
}

impl Settings {
    /// What is usual, for these domains, the first of which speaks for all.
    ///
    /// # Errors
    /// One of them is no domain of XMPP.
    pub fn new(domains: &[String], secret: [u8; 32]) -> Result<Self, JidError> {
        let names: Arc<[String]> = domains.iter().map(|name| name.to_lowercase()).collect();
        let others: Vec<&str> = names.iter().skip(1).map(String::as_str).collect();
        let first = names.first().map_or("localhost", String::as_str);
        Ok(Self {
            domains: Domains::new(first, &others)?,
            names,
            offer: Arc::new(BoundOffer {
                stream_management: true,
                roster_versioning: true,
                pre_approval: true,
                others: vec![Element::new(ns::CSI, "csi")],
            }),
            software: ("Reveille".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
            policy: Policy {
                // With the stanza: its client is awake now, and the hub waits for the answer.
                ask_after: Duration::ZERO,
                dead_after: Duration::from_secs(15),
                max_items: 2_000,
                max_octets: 2 << 20,
                ..Policy::default()
            },
            answering: Answering {
                max_open: 4_096,
                ..Answering::default()
            },
            hibernation: Duration::from_mins(5),
            window: 32,
            sessions_per_user: 20,
            secret,
        })
    }

    /// Whether a domain is one of ours.
    pub fn is_ours(&self, domain: &str) -> bool {
        self.names.iter().any(|name| name == domain)
    }

    /// The account that an address is of, whether or not there is one; `None` for a domain itself, and for others'.
    pub fn account(&self, jid: &Jid) -> Option<Address> {
        let name = jid.local().filter(|_| self.is_ours(jid.domain()))?;
        Address::new(name, jid.domain()).ok()
    }
}
