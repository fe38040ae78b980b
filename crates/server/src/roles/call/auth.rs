//! Who may ask: digest authentication of our users, servers that the operator trusts, and what each may claim to be.

use super::{CallRole, network::Network};
use domain::Address;
use sip::{
    Flow, HeaderName, Message, Uri,
    digest::{Algorithm, Rejected, Settings, Verifier},
    endpoint::ServerTxn,
};
use std::{collections::HashMap, net::IpAddr};

/// Which of the two challenges (RFC 3261 §22.2, §22.3).
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(super) enum Realm {
    /// We answer the request ourselves: 401.
    Server,
    /// We pass it on: 407.
    Proxy,
}

impl Realm {
    fn status(self) -> u16 {
        match self {
            Self::Server => 401,
            Self::Proxy => 407,
        }
    }

    fn challenge(self) -> HeaderName<'static> {
        match self {
            Self::Server => HeaderName::WwwAuthenticate,
            Self::Proxy => HeaderName::ProxyAuthenticate,
        }
    }

    fn credentials(self) -> HeaderName<'static> {
        match self {
            Self::Server => HeaderName::Authorization,
            Self::Proxy => HeaderName::ProxyAuthorization,
        }
    }
}

/// Whom a request comes from, once that is known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Sender {
    /// A user of ours who gave their password.
    User(Address),
    /// A server that the operator trusts, or a stranger where strangers are let in: who they say they are.
    Outside(String),
}

impl Sender {
    /// In words, for traces and messages.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::User(address) => address.as_str(),
            Self::Outside(name) => name,
        }
    }
}

/// What is needed to know who asks.
#[derive(Debug)]
pub(super) struct Gate {
    verifiers: HashMap<String, Verifier>,
    trusted: Vec<Network>,
    strangers: bool,
}

impl Gate {
    /// A gate for these domains.
    pub(super) fn new(
        key: [u8; 32],
        domains: &[String],
        trusted: Vec<Network>,
        strangers: bool,
    ) -> Self {
        let verifier =
            |domain: &String| (domain.clone(), Verifier::new(key, Settings::new(domain)));
        Self {
            verifiers: domains.iter().map(verifier).collect(),
            trusted,
            strangers,
        }
    }

    pub(super) fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }
}

impl CallRole {
    /// Lets a request in, or answers it: with a challenge, or why not.
    pub(super) fn admit(
        &mut self,
        txn: ServerTxn,
        flow: Flow,
        request: &Message,
        realm: Realm,
    ) -> Option<Sender> {
        let Ok(from) = request.from() else {
            self.answer(txn, 400, "Bad From");
            return None;
        };
        let claimed = self.local_address(&from.uri);
        // A trusted server calls and writes without a password; nobody registers without one.
        if realm == Realm::Proxy && self.gate.trusts(flow.remote.ip()) {
            return Some(claimed.map_or_else(|| Sender::Outside(bare(&from.uri)), Sender::User));
        }
        let Some(claimed) = claimed else {
            if self.gate.strangers && realm == Realm::Proxy {
                return Some(Sender::Outside(bare(&from.uri)));
            }
            self.answer(txn, 403, "Strangers Are Not Served");
            return None;
        };
        let domain = claimed.domain().to_owned();
        match self.verify(&domain, request, realm) {
            Ok(user) if user == claimed => Some(Sender::User(user)),
            Ok(user) => {
                tracing::warn!(%user, %claimed, from = %flow.remote, "a user claims to be another");
                self.answer(txn, 403, "From Is Not Yours");
                None
            }
            Err(Rejected::BadCredentials) => {
                tracing::warn!(%claimed, from = %flow.remote, "wrong user or password");
                self.answer(txn, 403, "Wrong User Or Password");
                None
            }
            Err(Rejected::Malformed) => {
                self.answer(txn, 400, "Malformed Credentials");
                None
            }
            Err(rejected) => {
                self.challenge(
                    txn,
                    &domain,
                    realm,
                    matches!(rejected, Rejected::Stale | Rejected::Replayed),
                );
                None
            }
        }
    }

    fn verify(
        &mut self,
        domain: &str,
        request: &Message,
        realm: Realm,
    ) -> Result<Address, Rejected> {
        let Some(verifier) = self.gate.verifiers.get_mut(domain) else {
            return Err(Rejected::Missing);
        };
        let location = &self.location;
        let address = |name: &str| {
            let name = name
                .strip_suffix(domain)
                .and_then(|name| name.strip_suffix('@'))
                .unwrap_or(name);
            Address::new(name, domain).ok()
        };
        let ha1 = |name: &str, algorithm: Algorithm| {
            let secrets = &location.user(&address(name)?)?.secrets;
            match algorithm {
                Algorithm::Md5 => Some(secrets.md5.clone()),
                Algorithm::Sha256 => Some(secrets.sha256.clone()),
                // Not offered, and no verifier is kept for it.
                Algorithm::Sha512_256 => None,
            }
        };
        let credentials = request.headers(realm.credentials());
        let Some(method) = request.method() else {
            return Err(Rejected::Malformed);
        };
        let now = self.now.wall.0 / 1000;
        let user = verifier.verify(now, method, credentials, ha1)?.user;
        address(&user).ok_or(Rejected::BadCredentials)
    }

    fn challenge(&mut self, txn: ServerTxn, domain: &str, realm: Realm, stale: bool) {
        let salt = u64::from_be_bytes(super::ids::random());
        let Some(verifier) = self.gate.verifiers.get(domain) else {
            return;
        };
        let challenges = verifier.challenge(self.now.wall.0 / 1000, stale, salt);
        let Some(mut response) = self.endpoint.response_to(txn, realm.status(), "") else {
            return;
        };
        for challenge in challenges {
            response = response.header(realm.challenge(), challenge);
        }
        self.endpoint
            .respond(self.now.instant, txn, &response.build());
    }

    /// The user of ours that a URI names, whether or not there is one.
    pub(super) fn local_address(&self, uri: &Uri<'_>) -> Option<Address> {
        if !uri.is_sip() || !self.settings.is_ours(uri.host, uri.port) {
            return None;
        }
        let domain = self.settings.domain_of(uri.host);
        Address::new(&uri.user_decoded()?, domain).ok()
    }
}

/// A URI without its parameters.
pub(super) fn bare(uri: &Uri<'_>) -> String {
    format!("{}@{}", uri.user_decoded().unwrap_or_default(), uri.host)
}
