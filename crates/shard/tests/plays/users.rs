//! Who has an account, what the operator decided, and who knows whom.

use crate::settings;
use domain::{
    Address, User,
    roster::{Contact, Direction},
    user::{Scram, ScramKeys, Secrets},
};
use sip::digest::{Algorithm, ha1};
use xmpp::sasl::{Hash, scram::StoredKeys};

pub(crate) const DOMAIN: &str = "localhost";
/// Everybody's.
pub(crate) const PASSWORD: &str = "secret";
pub(crate) const USERS: [&str; 4] = ["alice", "bob", "carol", "dave"];
/// Few: plays sign in often.
const ITERATIONS: u32 = 8;

pub(crate) fn address(user: &str) -> Address {
    Address::new(user, DOMAIN).unwrap()
}

pub(crate) fn account(user: &str) -> User {
    let secret = |algorithm| ha1(algorithm, user, DOMAIN, PASSWORD);
    let keys = |hash| {
        let keys = StoredKeys::of(hash, PASSWORD, [7; 16], ITERATIONS).unwrap();
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
        ..settings::settings()
    }
}

pub(crate) fn hub_config() -> hub::Config {
    hub::Config {
        messages_per_device: 20,
        devices_per_user: 3,
        people: hub::People {
            domains: [DOMAIN.to_owned()].into(),
            ..hub::People::default()
        },
        ..settings::hub_config()
    }
}
