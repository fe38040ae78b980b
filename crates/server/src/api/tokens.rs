//! Access and refresh tokens: who, until when, signed by us (RFC 7519, with Ed25519, RFC 8037). What is kept is which refresh token
//! of a client counts ([`super::grants`]). Whoever has the public half of our key can tell that we have made one; whether its user still has the same password only we can.

use crate::{
    authorize::Bound,
    secret,
    token_keys::{self, Kept, LEEWAY, OCTETS},
};
use anyhow::Result;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{Address, Timestamp, User};
use ring::{
    hmac,
    signature::{ED25519, UnparsedPublicKey},
};
use serde::{Deserialize, Serialize};
use std::{path::Path, sync::Arc, time::Duration};

/// How long tokens are good (`behaviour.md` 7).
#[derive(Clone, Copy, Debug)]
pub struct Lives {
    /// One to sign in with.
    pub access: Duration,
    /// One to get new ones by.
    pub refresh: Duration,
}

impl Default for Lives {
    fn default() -> Self {
        Self {
            access: Duration::from_hours(1),
            refresh: Duration::from_hours(60 * 24),
        }
    }
}

/// A code is used at once: its client waits for it.
const CODE: Duration = Duration::from_mins(1);

/// Octets of the longest that is looked at. One for the longest address has two thousand.
const LONGEST: usize = 8_192;

/// How a token is signed; what says anything else of that is none.
#[derive(Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct Head {
    alg: String,
    typ: String,
    /// By which key (RFC 7515). None of the release before this one says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
}

impl Head {
    /// By this key.
    fn by(kid: Option<String>) -> Self {
        let [alg, typ] = ["EdDSA", "JWT"].map(str::to_owned);
        Self { alg, typ, kid }
    }
}

/// What a token is good for.
#[derive(Copy, Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// Calling the API, and signing in.
    Access,
    /// Getting new tokens.
    Refresh,
    /// Getting the first, by whoever had somebody sign in by our page.
    Code,
}

/// Which token of a grant it is.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Turn {
    /// The grant.
    pub(super) id: String,
    /// So many came before.
    pub(super) number: u32,
}

/// What a token says.
#[derive(Deserialize, Serialize)]
pub(crate) struct Claims {
    /// Whose it is.
    pub(crate) sub: Address,
    /// Until when it is good, in seconds.
    exp: u64,
    /// When it was made, in seconds; of one of the release before this one in 1970.
    #[serde(default)]
    iat: u64,
    /// For what.
    r#use: Kind,
    /// With which password.
    pub(crate) pw: String,
    /// Of one to get new ones by: which it is. None of the release before this one says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) turn: Option<Turn>,
    /// Of a code: for whom it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) bound: Option<Bound>,
}

/// Makes tokens and checks them.
#[derive(Debug)]
pub struct AccessTokens {
    /// By which they are signed.
    pub(crate) keys: Arc<Kept>,
    passwords: hmac::Key,
    /// Of those that are made.
    pub(super) lives: Lives,
}

impl AccessTokens {
    /// With this secret, which may serve other ends as well, made then, and the keys that lie there; tokens of another secret or key
    /// are no good.
    ///
    /// # Errors
    /// The keys cannot be read or written.
    pub(crate) fn open(
        (secret, made): (&[u8], Timestamp),
        data_dir: &Path,
        lives: Lives,
    ) -> Result<Self> {
        let passwords = secret::key_for("access-tokens", secret);
        let mut seed = [0; OCTETS];
        seed.copy_from_slice(hmac::sign(&passwords, b"ed25519").as_ref());
        // What is good the longest.
        let life = lives.refresh.max(lives.access);
        Ok(Self {
            keys: Arc::new(Kept::open(data_dir, (seed, made), life)?),
            passwords,
            lives,
        })
    }

    /// A token for a user to sign in with, good as long as their password stays the same.
    pub(super) fn access(&self, user: &User, now: Timestamp) -> String {
        self.issue(user, (Kind::Access, self.lives.access), (None, None), now)
    }

    /// A token for a user to get new ones by, good as long as their password stays the same, and once.
    pub(super) fn refresh(&self, user: &User, turn: Turn, now: Timestamp) -> String {
        let life = (Kind::Refresh, self.lives.refresh);
        self.issue(user, life, (Some(turn), None), now)
    }

    /// A code for a user who has signed in by our page, good for a minute, once, and for one client.
    pub(super) fn code(&self, user: &User, turn: Turn, bound: Bound, now: Timestamp) -> String {
        self.issue(user, (Kind::Code, CODE), (Some(turn), Some(bound)), now)
    }

    fn issue(
        &self,
        user: &User,
        (kind, life): (Kind, Duration),
        (turn, bound): (Option<Turn>, Option<Bound>),
        now: Timestamp,
    ) -> String {
        let claims = Claims {
            sub: user.address.clone(),
            exp: now.plus(life).0 / 1_000,
            iat: now.0 / 1_000,
            r#use: kind,
            pw: self.password_of(user),
            turn,
            bound,
        };
        let keys = self.keys.keys();
        let key = keys.signing(now);
        let head = serde_json::json!(Head::by(Some(key.id.clone())));
        let parts = [head, serde_json::json!(claims)];
        let signed = parts.map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = signed.join(".");
        let signature = URL_SAFE_NO_PAD.encode(key.pair.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    /// Whose token it says to be, which says nothing of whether it is one.
    pub fn claimed(token: &str) -> Option<Address> {
        Some(read(token)?.claims.sub)
    }

    /// What a token says that we have made, of this kind, and that is not too old. Whether its user still has that password, ask
    /// [`AccessTokens::is_of`]; whether one to get new ones by was used before, the store knows.
    pub(crate) fn made(&self, token: &str, kind: Kind, now: Timestamp) -> Option<Claims> {
        let read = read(token)?;
        let is_ours = read.is_signed(&self.publics());
        Some(read.claims).filter(|claims| is_ours && claims.is_good(kind, now))
    }

    /// By these others can tell that we have made a token.
    pub(super) fn publics(&self) -> Vec<Box<[u8]>> {
        let keys = self.keys.keys();
        keys.all().iter().map(|key| key.public().into()).collect()
    }

    /// Whether a user still has the password that a token names.
    pub(crate) fn is_of(&self, pw: &str, user: &User) -> bool {
        secret::same(pw.as_bytes(), self.password_of(user).as_bytes())
    }

    /// The password as tokens name it: nobody can tell it from that. One that is set again is another one, as is one whose user was
    /// signed out.
    fn password_of(&self, user: &User) -> String {
        let mut name = hmac::Context::with_key(&self.passwords);
        name.update(format!("{}\0{}", user.address, user.secrets.stamp()).as_bytes());
        // Of an account that is made anew with the same password it is another.
        if let Some(scram) = &user.secrets.scram {
            name.update(&scram.sha256.salt);
        }
        URL_SAFE_NO_PAD.encode(&name.sign().as_ref()[..16])
    }
}

impl Claims {
    fn is_good(&self, kind: Kind, now: Timestamp) -> bool {
        self.r#use == kind && now < self.until()
    }

    fn until(&self) -> Timestamp {
        Timestamp(self.exp.saturating_mul(1_000))
    }
}

/// A token that was made inside, as who cannot ask there knows it.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Vouched {
    /// Whose it is.
    pub(crate) whose: Address,
    /// From when on nobody vouches for it.
    pub(crate) until: Timestamp,
}

/// Why nobody vouches for a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NotVouched {
    /// It is none, or too old.
    Bad,
    /// It is good for something else, or was.
    Other,
    /// Nobody who has one of the keys has made it.
    Unknown,
    /// The same; but it says to be made a moment ago with a key that may not have been heard of yet.
    Early,
}

/// Whose token of this kind it is, if whoever has one of these keys has made it and it is not long too old. Whether it is good still,
/// only they can say.
///
/// # Errors
/// Why it is no good.
pub(crate) fn vouched<K: AsRef<[u8]>>(
    token: &str,
    kind: Kind,
    keys: &[K],
    now: Timestamp,
) -> Result<Vouched, NotVouched> {
    let read = read(token).ok_or(NotVouched::Bad)?;
    if !read.is_signed(keys) {
        return Err(if read.may_be_early(keys, now) {
            NotVouched::Early
        } else {
            NotVouched::Unknown
        });
    }
    let claims = read.claims;
    let until = claims.until().plus(LEEWAY);
    if claims.r#use != kind {
        return Err(NotVouched::Other);
    }
    if now >= until {
        return Err(NotVouched::Bad);
    }
    Ok(Vouched {
        whose: claims.sub,
        until,
    })
}

/// What a token is for that whoever has one of these keys has made, however old it is.
pub(crate) fn kind<K: AsRef<[u8]>>(token: &str, keys: &[K]) -> Option<Kind> {
    let read = read(token)?;
    read.is_signed(keys).then_some(read.claims.r#use)
}

/// What is read of a token.
struct Read<'a> {
    claims: Claims,
    /// By which key it says to be signed.
    kid: Option<String>,
    /// What is signed of it.
    text: &'a str,
    signature: Vec<u8>,
}

impl Read<'_> {
    /// Whether it is as if none of these keys were the one that has signed it because that is so new.
    fn may_be_early<K: AsRef<[u8]>>(&self, keys: &[K], now: Timestamp) -> bool {
        let made = Timestamp(self.claims.iat.saturating_mul(1_000));
        let is_other = |kid: &String| keys.iter().all(|key| *kid != token_keys::id(key.as_ref()));
        now < made.plus(LEEWAY) && self.kid.as_ref().is_some_and(is_other)
    }

    /// Whether one of these keys has signed it.
    fn is_signed<K: AsRef<[u8]>>(&self, keys: &[K]) -> bool {
        let is_named = |key: &[u8]| {
            let kid = self.kid.as_ref();
            kid.is_none_or(|kid| *kid == token_keys::id(key))
        };
        let has_signed = |key: &[u8]| {
            let key = UnparsedPublicKey::new(&ED25519, key);
            key.verify(self.text.as_bytes(), &self.signature).is_ok()
        };
        let mut keys = keys.iter().map(AsRef::as_ref);
        keys.any(|key| is_named(key) && has_signed(key))
    }
}

fn read(token: &str) -> Option<Read<'_>> {
    let (text, signature) = token.rsplit_once('.').filter(|_| token.len() <= LONGEST)?;
    let (head, claims) = text.split_once('.')?;
    let decoded = |part| URL_SAFE_NO_PAD.decode(part).ok();
    let head: Head = serde_json::from_slice(&decoded(head)?).ok()?;
    let kid = head.kid.clone();
    if head != Head::by(kid.clone()) {
        return None;
    }
    Some(Read {
        claims: serde_json::from_slice(&decoded(claims)?).ok()?,
        kid,
        text,
        signature: decoded(signature)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    impl AccessTokens {
        fn new(secret: &[u8]) -> Self {
            let directory = tempfile::tempdir().unwrap();
            Self::open((secret, Timestamp(0)), directory.path(), Lives::default()).unwrap()
        }

        /// Whether it is one of this kind that is good for this user now.
        fn good(&self, token: &str, kind: Kind, user: &User, now: Timestamp) -> Option<Claims> {
            let made = self.made(token, kind, now);
            made.filter(|it| it.sub == user.address && self.is_of(&it.pw, user))
        }

        fn is_access(&self, token: &str, user: &User, now: Timestamp) -> bool {
            self.good(token, Kind::Access, user, now).is_some()
        }

        fn turn(&self, token: &str, user: &User, now: Timestamp) -> Option<Turn> {
            self.good(token, Kind::Refresh, user, now)?.turn
        }
    }

    /// From before there were marks.
    fn bob(password: &str) -> User {
        let bob = Address::new("bob", "localhost").unwrap();
        let mut bob = crate::accounts::user(bob, password, crate::accounts::Ways::Digest);
        bob.secrets.mark = 0;
        bob
    }

    fn refresh(tokens: &AccessTokens, user: &User) -> String {
        let turn = Turn {
            id: "id".to_owned(),
            number: 7,
        };
        tokens.refresh(user, turn, Timestamp(0))
    }

    /// The same token, saying something else.
    fn forged(token: &str, part: usize, from: &str, to: &str) -> String {
        let mut parts: Vec<_> = token.split('.').map(str::to_owned).collect();
        let text = URL_SAFE_NO_PAD.decode(&parts[part]).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains(from), "{text}");
        parts[part] = URL_SAFE_NO_PAD.encode(text.replace(from, to));
        parts.join(".")
    }

    #[test]
    fn a_token_is_good_for_one_thing_and_for_its_time() {
        let tokens = AccessTokens::new(b"key");
        let bob = bob("wakeup");
        let token = tokens.access(&bob, Timestamp(0));
        let good = |kind, now| tokens.good(&token, kind, &bob, Timestamp(now)).is_some();
        let hour = 3_600_000;
        assert_eq!(AccessTokens::claimed(&token), Some(bob.address.clone()));
        assert!(good(Kind::Access, hour - 1));
        assert!(!good(Kind::Access, hour));
        assert!(!good(Kind::Refresh, 0));
        assert!(!AccessTokens::new(b"other").is_access(&token, &bob, Timestamp(0)));
        let other = forged(&token, 1, "access", "refresh");
        assert!(tokens.turn(&other, &bob, Timestamp(0)).is_none());
        let unsigned = forged(&token, 0, "EdDSA", "none");
        assert_eq!(AccessTokens::claimed(&unsigned), None);
        for nonsense in ["", ".", "a.b.c.d", "é.é"] {
            assert!(!tokens.is_access(nonsense, &bob, Timestamp(0)));
            assert_eq!(AccessTokens::claimed(nonsense), None);
        }
    }

    #[test]
    fn an_account_that_is_made_anew_with_the_same_password_has_other_tokens() {
        let made = || {
            let bob = Address::new("bob", "localhost").unwrap();
            crate::accounts::user(bob, "wakeup", crate::accounts::Ways::Digest)
        };
        let (tokens, first) = (AccessTokens::new(b"key"), made());
        let token = tokens.access(&first, Timestamp(0));
        assert!(tokens.is_access(&token, &first, Timestamp(0)));
        assert!(!tokens.is_access(&token, &made(), Timestamp(0)));
    }

    #[test]
    fn tokens_of_the_release_before_are_good() {
        // As it made them: of the hash of the password, without a turn.
        let (tokens, bob) = (AccessTokens::new(b"key"), bob("wakeup"));
        let pw = {
            let name = format!("{}\0{}", bob.address, bob.secrets.sha256);
            let name = hmac::sign(&tokens.passwords, name.as_bytes());
            URL_SAFE_NO_PAD.encode(&name.as_ref()[..16])
        };
        let refresh = tokens.issue(&bob, (Kind::Refresh, LEEWAY), (None, None), Timestamp(0));
        let read = tokens.good(&refresh, Kind::Refresh, &bob, Timestamp(0));
        let read = read.unwrap();
        assert!(read.turn.is_none() && read.pw == pw);
    }

    #[test]
    fn a_token_of_a_key_that_has_signed_is_good_until_that_key_is_dropped() {
        use crate::token_keys::Rotation;
        let directory = tempfile::tempdir().unwrap();
        let open =
            || AccessTokens::open((b"key", Timestamp(0)), directory.path(), Lives::default());
        let (tokens, bob) = (open().unwrap(), bob("wakeup"));
        let now = crate::clock::now();
        let unnamed = {
            let named = tokens.access(&bob, now);
            let claims = named.split('.').nth(1).unwrap();
            let head = URL_SAFE_NO_PAD.encode(r#"{"alg":"EdDSA","typ":"JWT"}"#);
            let text = format!("{head}.{claims}");
            let keys = tokens.keys.keys();
            let signature = keys.signing(now).pair.sign(text.as_bytes());
            format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
        };
        let first = tokens.access(&bob, now);
        let at_once = Rotation {
            later: Some(0),
            drop_old: false,
        };
        tokens.keys.rotate(at_once).unwrap();
        let second = tokens.access(&bob, crate::clock::now());
        let kid = |token: &str| read(token).unwrap().kid;
        assert!(kid(&first) != kid(&second) && kid(&unnamed).is_none());
        let good = |tokens: &AccessTokens| {
            [&unnamed, &first, &second].map(|token| tokens.is_access(token, &bob, now))
        };
        assert_eq!(good(&tokens), [true; 3]);
        assert_eq!(good(&open().unwrap()), [true; 3]);
        // One that says to be signed by another key than it is.
        let claims = forged(&first, 0, &kid(&first).unwrap(), &kid(&second).unwrap());
        assert!(!tokens.is_access(&claims, &bob, now));
        let drop_old = Rotation {
            drop_old: true,
            ..Rotation::default()
        };
        tokens.keys.rotate(drop_old).unwrap();
        assert_eq!(good(&tokens), [false; 3]);
        assert_eq!(good(&open().unwrap()), [false; 3]);
    }

    #[test]
    fn a_new_password_ends_all_tokens() {
        let tokens = AccessTokens::new(b"key");
        let token = refresh(&tokens, &bob("old"));
        assert!(tokens.turn(&token, &bob("old"), Timestamp(1)).is_some());
        assert!(tokens.turn(&token, &bob("new"), Timestamp(1)).is_none());
    }

    #[test]
    fn a_password_that_is_set_again_is_another_one_and_so_is_one_whose_user_was_signed_out() {
        use crate::accounts::{UserChange, Ways, change};
        let tokens = AccessTokens::new(b"key");
        let again = |asked: UserChange| {
            let (bob, here) = (bob("wakeup"), ["localhost".to_owned()]);
            let address = bob.address.clone();
            change(&address, Some(bob), &asked, (&here, Ways::Digest)).unwrap()
        };
        let token = refresh(&tokens, &bob("wakeup"));
        let is_good = |user: &User| {
            tokens
                .turn(&token, user, Timestamp(1))
                .is_some_and(|it| it.number == 7)
        };
        assert!(is_good(&again(UserChange::default())));
        assert!(!is_good(&again(UserChange {
            password: Some("wakeup".to_owned()),
            ..UserChange::default()
        })));
        let signed_out = again(UserChange {
            sign_out: true,
            ..UserChange::default()
        });
        assert!(!is_good(&signed_out));
        assert_eq!(signed_out.secrets.sha256, bob("wakeup").secrets.sha256);
    }

    #[test]
    fn who_has_the_public_key_can_tell_whose_token_it_is_and_cannot_make_one() {
        let (tokens, others) = (AccessTokens::new(b"key"), AccessTokens::new(b"other"));
        let token = tokens.access(&bob("wakeup"), Timestamp(0));
        let known = |token: &str, kind, now| {
            vouched(
                token,
                kind,
                &[others.publics(), tokens.publics()].concat(),
                Timestamp(now),
            )
        };
        let bob = Address::new("bob", "localhost").unwrap();
        let (hour, leeway) = (3_600_000, 300_000);
        let good = || {
            Ok(Vouched {
                whose: bob.clone(),
                until: Timestamp(hour + leeway),
            })
        };
        let (bad, unknown) = (Err(NotVouched::Bad), Err(NotVouched::Unknown));
        let other = Err(NotVouched::Other);
        assert_eq!(known(&token, Kind::Access, 0), good());
        // Its clock may be some minutes ahead.
        assert_eq!(known(&token, Kind::Access, hour + leeway - 1), good());
        assert_eq!(known(&token, Kind::Access, hour + leeway), bad);
        for at in [0, hour + leeway] {
            assert_eq!(known(&token, Kind::Refresh, at), other);
        }
        assert_eq!(known("nonsense", Kind::Access, 0), bad);
        let forged = forged(&token, 1, "bob", "eve");
        assert_eq!(known(&forged, Kind::Access, 0), unknown);
        assert_eq!(kind(&token, &tokens.publics()), Some(Kind::Access));
        assert_eq!(kind(&token, &others.publics()), None);
        assert_eq!(kind(&forged, &tokens.publics()), None);
        for keys in [Vec::new(), others.publics()] {
            let vouched = |at| vouched(&token, Kind::Access, &keys, Timestamp(at));
            // Its key may be so new that nobody has heard of it.
            assert_eq!(vouched(leeway - 1), Err(NotVouched::Early));
            assert_eq!(vouched(leeway), unknown);
        }
    }
}
