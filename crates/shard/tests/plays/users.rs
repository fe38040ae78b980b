//! Who has an account, what the operator decided, and who knows whom.

use crate::settings;
use domain::{
    Address, Timestamp, User,
    roster::{Contact, Direction},
    user::{Scram, ScramKeys, Secrets},
};
use hub::Bearers;
use sip::digest::{Algorithm, ha1};
use std::sync::Arc;
use xmpp::sasl::{Hash, scram::StoredKeys};

pub(crate) const DOMAIN: &str = "localhost";
/// Servers beside ours (XEP-0114).
pub(crate) const COMPONENTS: [&str; 2] = ["push.app", "rooms.example"];
/// Where tokens of OAuth come from.
pub(crate) const AUTHZ_SERVER: &str = "https://sip.localhost";
/// When all begins.
pub(crate) const START: Timestamp = Timestamp(1_700_000_000_000);
/// Everybody's.
pub(crate) const PASSWORD: &str = "secret";
pub(crate) const USERS: [&str; 4] = ["alice", "bob", "carol", "dave"];
/// Few: plays sign in often.
const ITERATIONS: u32 = 8;

/// Somebody whose name is none in XMPP (XEP-0106).
pub(crate) const ODD: &str = "a&b";

pub(crate) fn address(user: &str) -> Address {
    Address::given(user, DOMAIN).unwrap()
}

/// Who a token of OAuth says that it is of: `NAME.good` is one, and good in the first hour.
pub(crate) fn bearer(token: &str) -> Option<Address> {
    Address::new(token.split('.').next()?, DOMAIN).ok()
}

pub(crate) fn bearers() -> Bearers {
    let until = START.0 + 3_600_000;
    Bearers {
        made: Arc::new(move |token, now| {
            let is_good = token.split_once('.').is_some_and(|it| it.1 == "good") && now.0 < until;
            Some((bearer(token).filter(|_| is_good)?, String::new()))
        }),
        is_of: Arc::new(|_, _| true),
    }
}

pub(crate) fn account(user: &str) -> User {
    account_with(user, PASSWORD)
}

pub(crate) fn account_with(user: &str, password: &str) -> User {
    let name = address(user).plain_name().into_owned();
    let secret = |algorithm| ha1(algorithm, &name, DOMAIN, password);
    let keys = |hash| {
        let keys = StoredKeys::of(hash, password, [7; 16], ITERATIONS).unwrap();
        ScramKeys {
            salt: keys.salt.to_vec(),
            stored: keys.stored_key.to_vec(),
            server: keys.server_key.to_vec(),
        }
    };
    User {
        address: address(user),
        display_name: String::new(),
        secrets: Secrets {
            md5: secret(Algorithm::Md5),
            sha256: secret(Algorithm::Sha256),
            scram: Some(Box::new(Scram {
                iterations: ITERATIONS,
                sha1: keys(Hash::Sha1),
                sha256: keys(Hash::Sha256),
            })),
            mark: 0,
        },
        forward: None,
    }
}

/// `user` sees `peer`, or is seen by them, or both.
pub(crate) fn contact(user: &str, peer: &str, to: bool, from: bool) -> Contact {
    let direction = |is| {
        if is {
            Direction::Subscribed
        } else {
            Direction::None
        }
    };
    Contact {
        to: direction(to),
        from: direction(from),
        is_listed: true,
        ..Contact::new(address(user), address(peer))
    }
}

pub(crate) fn call_settings() -> call::Settings {
    call::Settings {
        domains: [DOMAIN.to_owned()].into(),
        bearers: Some(bearers()),
        authz_server: Some(AUTHZ_SERVER.into()),
        ..settings::settings()
    }
}

pub(crate) fn hub_config() -> hub::Config {
    let mut apps = settings::hub_config().apps;
    apps.extend(COMPONENTS.map(im::app_of));
    hub::Config {
        apps,
        messages_per_device: 20,
        devices_per_user: 3,
        people: hub::People {
            domains: [DOMAIN.to_owned()].into(),
            contacts: 5,
            ..hub::People::default()
        },
        ..settings::hub_config()
    }
}
