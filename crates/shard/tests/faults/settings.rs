//! What the operator of the small world decided, and who has an account.

use call::{AppKey, Settings};
use domain::{
    Address, AppProfile, Behaviour, Generation, Platform, Provider, Slice, User, delivery,
    user::Secrets, wake,
};
use sip::{
    Transport,
    digest::{Algorithm, ha1},
    registrar::Policy,
};
use std::{net::SocketAddr, sync::Arc};

/// How many shards each test is run with.
pub(crate) const SHARDS: [usize; 3] = [1, 2, 4];
/// The app that can be pushed to, as Contacts name it.
pub(crate) const APP: &str = "TEAM.org.example.app";
/// Every user's password.
pub(crate) const PASSWORD: &str = "secret";

pub(crate) fn at(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

pub(crate) fn address(user: &str) -> Address {
    Address::new(user, "r.example").unwrap()
}

/// Names of users of this shard, of so many.
pub(crate) fn users_of_shard(shard: usize, shards: usize) -> impl Iterator<Item = String> {
    let names = (0..).map(|number| format!("user{number}"));
    names.filter(move |name| Slice::of(&address(name)).shard(shards) == shard % shards)
}

fn profile() -> AppProfile {
    AppProfile {
        app: "org.example.app".into(),
        platform: Platform::Ios,
        provider: Provider::Apns,
        generation: Generation::DualChannel,
    }
}

pub(crate) fn settings() -> Settings {
    let (server, secure) = (at("10.0.0.1:5060"), at("10.0.0.1:5061"));
    let bound = [
        (Transport::Udp, server),
        (Transport::Tcp, server),
        (Transport::Tls, secure),
    ];
    Settings {
        domains: ["r.example".to_owned()].into(),
        node: "node.r.example".to_owned(),
        registrar: Policy {
            max_bindings: 10,
            ..Policy::default()
        },
        fallback: None,
        trusted: vec!["10.0.0.0/16".parse().unwrap()],
        strangers: false,
        held_calls: 1000,
        requests_per_source: 1000,
        bearers: None,
        authz_server: None,
        relaying: call::Relaying::Off,
        calls: call::CallLimits::default(),
        apps: [AppKey {
            profile: profile(),
            param: APP.to_owned(),
        }]
        .into(),
        bound: bound.into(),
        is_local: Arc::new(|_| false),
        shard: call::Shard { number: 0, of: 1 },
        secret: b"a secret that outlives a restart".to_vec(),
        seed: [7; 32],
    }
}

pub(crate) fn hub_config() -> hub::Config {
    hub::Config {
        behaviour: Arc::new(Behaviour::default()),
        wake: wake::Timers::default(),
        delivery: delivery::Timers::default(),
        apps: vec![profile()],
        devices_per_user: 10,
        messages_per_device: 5,
        pushes_in_flight: 4,
        idle_after: std::time::Duration::from_mins(5),
        register_at: "sip:node.r.example".into(),
        people: hub::People {
            domains: std::sync::Arc::new(["r.example".to_owned()]),
            ..hub::People::default()
        },
        conversations: delivery::NameConversation::by(|from, _| format!("with {from}")),
        seed: [0; 32],
    }
}

/// The account of a user.
pub(crate) fn account(user: &str, forward: Option<&str>) -> User {
    let secret = |algorithm| ha1(algorithm, user, "r.example", PASSWORD);
    User {
        address: address(user),
        display_name: String::new(),
        secrets: Secrets {
            md5: secret(Algorithm::Md5),
            sha256: secret(Algorithm::Sha256),
            scram: None,
            mark: 0,
        },
        forward: forward.map(str::to_owned),
    }
}
