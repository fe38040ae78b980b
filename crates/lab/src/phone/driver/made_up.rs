//! Real phones are made up with the randomness of the system.

use push::seal::KeyPair;
use ring::rand::{SecureRandom as _, SystemRandom};

use std::net::SocketAddr;

use domain::Generation;
use sip::endpoint::Transport;

use crate::phone::{PhoneConfig, PushService, Tokens};
use crate::rng::Rng;

/// Eight random bytes.
pub(super) fn seed() -> u64 {
    let mut bytes = [0; 8];
    SystemRandom::new()
        .fill(&mut bytes)
        .expect("the system has entropy");
    u64::from_le_bytes(bytes)
}

impl PhoneConfig {
    /// A dual-channel phone with a key and tokens, made up, that registers with `server`; every field can be set
    /// afterwards.
    pub fn new(
        user: &str,
        password: &str,
        domain: &str,
        server: (Transport, SocketAddr),
        service: PushService,
    ) -> Self {
        let mut rng = Rng::new(seed());
        Self {
            keys: Some(KeyPair::generate()),
            ..Self::drawn(user, password, domain, server, service, &mut rng)
        }
    }

    /// The same phone of another generation, with tokens made up for it.
    #[must_use]
    pub fn generation(mut self, generation: Generation) -> Self {
        self.tokens = Tokens::made_up(&self.service, generation);
        self.generation = generation;
        self
    }
}

impl Tokens {
    /// Tokens as the platform's look, made up.
    pub fn made_up(service: &PushService, generation: Generation) -> Self {
        Self::drawn(service, generation, &mut Rng::new(seed()))
    }
}
