//! Who may ask: digest authentication of our users, servers that the operator trusts, and what each may claim to be.

use crate::settings::{Settings, is_spiral};
use domain::{Address, Now, User, guard::Verdict};
use hub::Accounts;
use sip::{
    Flow, HeaderName, Message, Uri,
    digest::{self, Algorithm, Rejected, Verifier},
};
use std::{collections::HashMap, sync::Arc, time::Duration};

/// Which of the two challenges (RFC 3261 §22.2, §22.3).
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum Realm {
    /// We answer the request ourselves: 401.
    Server,
    /// We pass it on: 407.
    Proxy,
}

impl Realm {
    /// Status, challenge and credentials.
    fn words(self) -> (u16, HeaderName<'static>, HeaderName<'static>) {
        match self {
            Self::Server => (401, HeaderName::WwwAuthenticate, HeaderName::Authorization),
            Self::Proxy => (
                407,
                HeaderName::ProxyAuthenticate,
                HeaderName::ProxyAuthorization,
            ),
        }
    }
}

/// Whom a request comes from, once that is known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Sender {
    /// A user of ours who gave their password.
    User(Address),
    /// A server that the operator trusts, or a stranger where strangers are let in: who they say they are.
    Outside(String),
}

impl Sender {
    /// In words, for traces and messages.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::User(address) => address.as_str(),
            Self::Outside(name) => name,
        }
    }

    /// The user, if it is one of ours.
    pub(crate) fn user(&self) -> Option<&Address> {
        match self {
            Self::User(address) => Some(address),
            Self::Outside(_) => None,
        }
    }
}

/// Why a request is not let in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum NotAdmitted {
    /// Answer so.
    Refused(u16, &'static str),
    /// Wrong user or password.
    Wrong,
    /// Not so soon after wrong passwords.
    Wait(Duration),
    /// Nobody there is spoken to.
    Banned,
    /// Ask for credentials: status, header field, values.
    Challenge(u16, HeaderName<'static>, Vec<String>),
}

/// What is needed to know who asks. The nonces in use are shared by all shards.
#[derive(Clone, Debug)]
pub struct Nonces(Arc<HashMap<String, Verifier>>);

impl Nonces {
    /// For these domains; the key is drawn anew at each start.
    pub fn new(key: [u8; 32], domains: &[String]) -> Self {
        let verifier = |domain: &String| {
            let verifier = Verifier::new(key, digest::Settings::new(domain));
            (domain.clone(), verifier)
        };
        Self(Arc::new(domains.iter().map(verifier).collect()))
    }
}

/// Lets requests in.
#[derive(Debug)]
pub(crate) struct Gate {
    settings: Arc<Settings>,
    nonces: Nonces,
    accounts: Accounts,
}

impl Gate {
    pub(crate) fn new(settings: Arc<Settings>, nonces: Nonces, accounts: Accounts) -> Self {
        Self {
            settings,
            nonces,
            accounts,
        }
    }

    pub(crate) fn reconfigure(&mut self, settings: Arc<Settings>) {
        self.settings = settings;
    }

    /// Whether whoever sends over this flow may say who somebody is (RFC 3325 §5).
    pub(crate) fn trusts(&self, flow: Flow) -> bool {
        is_spiral(flow) || self.settings.trusts(flow)
    }

    /// Lets a request in, or says how to answer it. `salt` makes the challenge unlike any other.
    pub(crate) fn admit(
        &self,
        now: Now,
        flow: Flow,
        request: &Message,
        realm: Realm,
        salt: impl FnOnce() -> u64,
    ) -> Result<Sender, NotAdmitted> {
        let refused = |status, reason| Err(NotAdmitted::Refused(status, reason));
        let Ok(from) = request.from() else {
            return refused(400, "Bad From");
        };
        let claimed = self.settings.local_address(&from.uri);
        // A trusted server calls and writes without a password; nobody registers without one.
        if realm == Realm::Proxy && self.trusts(flow) {
            return Ok(claimed.map_or_else(|| Sender::Outside(bare(&from.uri)), Sender::User));
        }
        let Some(claimed) = claimed else {
            if self.settings.strangers && realm == Realm::Proxy {
                return Ok(Sender::Outside(bare(&from.uri)));
            }
            return refused(403, "Strangers Are Not Served");
        };
        let guards = self.accounts.guards();
        let (source, account) = (flow.remote.ip(), claimed.as_str());
        let (_, _, credentials) = realm.words();
        let guarded = !self.trusts(flow);
        if guarded && guards.is_banned(now.wall, source, account) {
            return Err(NotAdmitted::Banned);
        }
        if guarded
            && request.has(credentials)
            && let Verdict::Wait(wait) = guards.ask(now.wall, source, account)
        {
            return Err(NotAdmitted::Wait(wait));
        }
        match self.verify(now, &claimed, request, realm) {
            Ok(user) if user == claimed => {
                guards.right(source, account);
                Ok(Sender::User(user))
            }
            Ok(user) => {
                tracing::debug!(%user, %claimed, from = %flow.remote, "a user claims to be another");
                refused(403, "From Is Not Yours")
            }
            Err(Rejected::BadCredentials) => {
                if guarded {
                    guards.wrong(now.wall, source, account);
                }
                Err(NotAdmitted::Wrong)
            }
            Err(Rejected::Malformed) => refused(400, "Malformed Credentials"),
            Err(rejected) => {
                let verifier = self.nonces.0.get(claimed.domain());
                let seconds = now.wall.0 / 1000;
                let values = verifier
                    .map(|it| it.challenge(seconds, rejected.is_stale(), salt()))
                    .unwrap_or_default();
                let (status, header, _) = realm.words();
                Err(NotAdmitted::Challenge(status, header, values))
            }
        }
    }

    fn verify(
        &self,
        now: Now,
        claimed: &Address,
        request: &Message,
        realm: Realm,
    ) -> Result<Address, Rejected> {
        let domain = claimed.domain();
        let verifier = self.nonces.0.get(domain).ok_or(Rejected::Missing)?;
        let method = request.method().ok_or(Rejected::Malformed)?;
        let address = |name: &str| {
            let name = name
                .strip_suffix(domain)
                .and_then(|name| name.strip_suffix('@'))
                .unwrap_or(name);
            if name == claimed.name() {
                return Some(claimed.clone());
            }
            Address::given(name, domain).ok()
        };
        let mut found = None;
        let ha1 = |name: &str, algorithm: Algorithm| {
            let user = self.accounts.get(&address(name)?)?;
            // Whatever is kept of the user shares the account's memory.
            found = Some(user.address.clone());
            // SHA-512/256 is not offered, and no verifier is kept for it.
            (algorithm != Algorithm::Sha512_256).then_some(Ha1 { user, algorithm })
        };
        let (_, _, credentials) = realm.words();
        let credentials = request.headers(credentials);
        verifier.verify(now.wall.0 / 1000, method, credentials, ha1)?;
        found.ok_or(Rejected::BadCredentials)
    }
}

/// What a user's password is checked against.
struct Ha1 {
    user: Arc<User>,
    algorithm: Algorithm,
}

impl AsRef<[u8]> for Ha1 {
    fn as_ref(&self) -> &[u8] {
        let secrets = &self.user.secrets;
        match self.algorithm {
            Algorithm::Md5 => secrets.md5.as_bytes(),
            _ => secrets.sha256.as_bytes(),
        }
    }
}

/// Who a URI names, without its parameters: as an address, if it can be one for everybody (XEP-0106).
pub(crate) fn bare(uri: &Uri<'_>) -> String {
    let user = uri.user_decoded().unwrap_or_default();
    match Address::of_name(&user, uri.host) {
        Ok(address) => address.to_string(),
        Err(_) => format!("{user}@{}", uri.host),
    }
}
