//! What the operator decided about XMPP, in the form in which the role needs it.

use crate::turn::Turn;
use domain::{Address, CallKind, device::SealingKey};
use hub::Bearers;
use std::{sync::Arc, time::Duration};
use xmpp::{
    jid::{Jid, JidError},
    management::{Answering, Policy},
    ns,
    sasl::fast,
    stream::{BoundOffer, Domains},
    xml::Element,
};

/// The calls that clients of this role take.
pub const CALLS: CallKind = CallKind(1);
/// How the address of our push service begins; our domain follows.
const PUSH: &str = "push.";

/// The address of our push service (XEP-0357), as the users of a domain of ours know it.
pub fn push_service(domain: &str) -> String {
    format!("{PUSH}{domain}")
}

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
    /// The same of one that can be woken by a push.
    pub hibernation_with_push: Duration,
    /// Says what is wrong with a key to seal pushes with, if it is none.
    pub check_key: fn(&SealingKey) -> Result<(), String>,
    /// For how long after its proposal a call is known by its id: longer than any rings (XEP-0353).
    pub calls_known: Duration,
    /// Messages that may be on their way to a client at once.
    pub window: u16,
    /// Clients of one user that are signed in at once; one more ends the one that signed in first.
    pub sessions_per_user: usize,
    /// How long clients may sign in with their tokens, and when they get others (XEP-0484).
    pub tokens: fast::Settings,
    /// The domains of the components that may connect (XEP-0114), in lower case.
    pub components: Arc<[Box<str>]>,
    /// How many stanzas a component may begin a minute; one more is answered `resource-constraint`.
    pub component_stanzas: u32,
    /// How many stanzas for others a user's clients may begin a minute; one more is answered `resource-constraint`.
    pub user_stanzas: u32,
    /// By whom tokens of OAuth are known; nobody: they are not offered.
    pub bearers: Option<Bearers>,
    /// Relays of audio and video that clients ask themselves, if there are any.
    pub turn: Option<Turn>,
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
            hibernation_with_push: Duration::from_hours(72),
            calls_known: Duration::from_mins(3),
            check_key: |_| Ok(()),
            window: 32,
            sessions_per_user: 20,
            tokens: fast::Settings::default(),
            components: Arc::default(),
            component_stanzas: 6_000,
            user_stanzas: 6_000,
            bearers: None,
            turn: None,
            secret,
        })
    }

    /// Whether a domain is one of ours.
    pub fn is_ours(&self, domain: &str) -> bool {
        self.names.iter().any(|name| name == domain)
    }

    /// The address of our push service (XEP-0357), as the users of a domain of ours know it.
    pub fn push_service(&self, domain: &str) -> String {
        push_service(domain)
    }

    /// Whether that is the address of our push service.
    pub fn is_push_service(&self, domain: &str) -> bool {
        let of = domain.strip_prefix(PUSH);
        of.is_some_and(|domain| self.is_ours(domain))
    }

    /// The component that has a domain, whether or not it is connected.
    pub fn component(&self, domain: &str) -> Option<&str> {
        let mut all = self.components.iter().map(|it| &**it);
        all.find(|name| *name == domain)
    }

    /// The account that an address is of, whether or not there is one; `None` for a domain itself, and for others'.
    pub fn account(&self, jid: &Jid) -> Option<Address> {
        let name = jid.local().filter(|_| self.is_ours(jid.domain()))?;
        Address::new(name, jid.domain()).ok()
    }
}
