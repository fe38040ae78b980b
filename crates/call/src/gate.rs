//! Who may ask: our users, by digest authentication or by a token (RFC 8898), servers that the operator trusts, and what each may claim to be.

use crate::{
    settings::{Settings, is_spiral},
    signed_in::{SignIns, SignedIn},
};
use domain::{Address, Now, User, guard::Verdict};
use hub::Accounts;
use sip::{
    Flow, HeaderName, Message, Uri, bearer,
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
    /// A user of ours who gave their password, or a token.
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

/// What the gates of all shards share: the nonces in use, and who has signed in over which connection.
#[derive(Clone, Debug)]
pub struct Shared {
    nonces: Arc<HashMap<String, Verifier>>,
    signed_in: SignedIn,
}

impl Shared {
    /// For these domains; the key is drawn anew at each start.
    pub fn new(key: [u8; 32], domains: &[String]) -> Self {
        let verifier = |domain: &String| {
            let verifier = Verifier::new(key, digest::Settings::new(domain));
            (domain.clone(), verifier)
        };
        Self {
            nonces: Arc::new(domains.iter().map(verifier).collect()),
            signed_in: SignedIn::default(),
        }
    }
}

/// Lets requests in.
#[derive(Debug)]
pub(crate) struct Gate {
    settings: Arc<Settings>,
    nonces: Arc<HashMap<String, Verifier>>,
    accounts: Accounts,
    /// Over connections of those who are not trusted.
    pub(crate) sign_ins: SignIns,
}

impl Gate {
    pub(crate) fn new(settings: Arc<Settings>, shared: Shared, accounts: Accounts) -> Self {
        Self {
            settings,
            nonces: shared.nonces,
            accounts,
            sign_ins: SignIns::new(shared.signed_in),
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
        &mut self,
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
        let guarded = !self.trusts(flow);
        if guarded && guards.is_banned(now.wall, source, account) {
            return Err(NotAdmitted::Banned);
        }
        let token = token(flow, request);
        // A token is no guess, and waits for nobody's guesses.
        if guarded
            && token.is_none()
            && request.has(realm.words().2)
            && let Verdict::Wait(wait) = guards.ask(now.wall, source, account)
        {
            return Err(NotAdmitted::Wait(wait));
        }
        let shown = match token {
            Some(token) => self.bearer(now, token),
            None => self.verify(now, &claimed, request, realm),
        };
        match shown {
            Ok(user) if user.address == claimed => {
                guards.right(source, account);
                if self.sign_ins.note(flow, &user) && !self.is_still(&user) {
                    return refused(403, "Signed Out");
                }
                // Whatever is kept of the user shares the account's memory.
                Ok(Sender::User(user.address.clone()))
            }
            Ok(user) => {
                let user = &user.address;
                tracing::debug!(%user, %claimed, from = %flow.remote, "a user claims to be another");
                refused(403, "From Is Not Yours")
            }
            Err(Why::Digest(Rejected::BadCredentials)) => {
                if guarded {
                    guards.wrong(now.wall, source, account);
                }
                Err(NotAdmitted::Wrong)
            }
            Err(Why::Digest(Rejected::Malformed)) => refused(400, "Malformed Credentials"),
            Err(why) => Err(self.challenge(now, flow, claimed.domain(), (realm, why), salt())),
        }
    }

    /// Asks for credentials: for a token first, where somebody gives them and nobody on the way reads along (RFC 8898 §2.2, §2.3).
    fn challenge(
        &self,
        now: Now,
        flow: Flow,
        domain: &str,
        (realm, why): (Realm, Why),
        salt: u64,
    ) -> NotAdmitted {
        let (status, header, _) = realm.words();
        let stale = matches!(why, Why::Digest(rejected) if rejected.is_stale());
        let bad_token = matches!(why, Why::Token).then_some(bearer::INVALID_TOKEN);
        let server = self.settings.authz_server.as_deref();
        let offers = server.is_some() && flow.transport.is_secure();
        let by_token =
            (offers || bad_token.is_some()).then(|| bearer::challenge(domain, server, bad_token));
        let verifier = self.nonces.get(domain);
        let seconds = now.wall.0 / 1000;
        let by_password = verifier.map(|it| it.challenge(seconds, stale, salt));
        let values = by_token
            .into_iter()
            .chain(by_password.into_iter().flatten());
        NotAdmitted::Challenge(status, header, values.collect())
    }

    /// Whether a user signs in by what they have just signed in by.
    fn is_still(&self, user: &User) -> bool {
        let now = self.accounts.get(&user.address);
        now.is_some_and(|now| now.secrets.mark == user.secrets.mark)
    }

    /// Whose a token is.
    fn bearer(&self, now: Now, token: &str) -> Result<Arc<User>, Why> {
        let bearers = self.settings.bearers.as_ref().ok_or(Why::Token)?;
        let user = bearers.user(token, &self.accounts, now.wall);
        user.ok_or(Why::Token)
    }

    fn verify(
        &self,
        now: Now,
        claimed: &Address,
        request: &Message,
        realm: Realm,
    ) -> Result<Arc<User>, Why> {
        let domain = claimed.domain();
        let verifier = self.nonces.get(domain).ok_or(Rejected::Missing)?;
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
            found = Some(user.clone());
            // SHA-512/256 is not offered, and no verifier is kept for it.
            (algorithm != Algorithm::Sha512_256).then_some(Ha1 { user, algorithm })
        };
        let (_, _, credentials) = realm.words();
        let credentials = request.headers(credentials);
        verifier.verify(now.wall.0 / 1000, method, credentials, ha1)?;
        Ok(found.ok_or(Rejected::BadCredentials)?)
    }
}

/// Why nobody is known by what was shown.
#[derive(Clone, Copy)]
enum Why {
    Digest(Rejected),
    /// It is no token, or not good any more.
    Token,
}

impl From<Rejected> for Why {
    fn from(rejected: Rejected) -> Self {
        Self::Digest(rejected)
    }
}

/// The token that a request shows. Where somebody on the way reads along it counts for nothing (RFC 8898 §2.1.2).
fn token(flow: Flow, request: &Message) -> Option<&str> {
    let fields = bearer::FIELDS
        .into_iter()
        .filter(|_| flow.transport.is_secure());
    let mut values = fields.flat_map(|field| request.headers(field));
    values.find_map(bearer::token)
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
