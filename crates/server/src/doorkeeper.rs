//! Who is at an address, for whoever accepts connections and reads datagrams: what the guard knows of sources, and the
//! servers that the operator trusts.

use crate::{
    clock::now,
    config::{Config, ConfigError},
    metrics::Metrics,
    settings,
};
use call::Network;
use domain::{
    Refusal,
    guard::{self, Source},
};
use hub::Guards;
use net::{Doorman, Standing, Visitor};
use prometheus_client::metrics::gauge::Gauge;
use std::{
    net::IpAddr,
    sync::{Arc, PoisonError, RwLock},
};

/// See above. Clones are the same.
#[derive(Clone)]
pub(crate) struct Doorkeeper {
    guards: Guards,
    /// Read for each connection and each batch of datagrams, written when the configuration is read again.
    trusted: Arc<RwLock<Box<[Network]>>>,
    metrics: Arc<Metrics>,
}

impl Doorkeeper {
    pub(crate) fn new(
        guards: &Guards,
        config: &Config,
        metrics: Arc<Metrics>,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            guards: guards.clone(),
            trusted: Arc::new(RwLock::new(settings::trusted(config)?.into())),
            metrics,
        })
    }

    /// The operator's servers are there from now on, and nowhere else.
    pub(crate) fn trust(&self, networks: Vec<Network>) {
        let now = self.trusted.write();
        *now.unwrap_or_else(PoisonError::into_inner) = networks.into();
    }

    /// Whether one of the operator's servers may be there.
    pub(crate) fn trusts(&self, from: IpAddr) -> bool {
        let trusted = self.trusted.read();
        let trusted = trusted.unwrap_or_else(PoisonError::into_inner);
        trusted.iter().any(|network| network.contains(from))
    }

    /// Who is there now.
    pub(crate) fn visitor(&self, from: IpAddr) -> Visitor {
        let is_trusted = self.trusts(from);
        let standing = match self.guards.standing(now(), from) {
            // Whatever was guessed from there; only the operator bans whom the operator trusts.
            guard::Standing::Banned if is_trusted && !self.guards.is_shut_out(now(), from) => {
                Standing::Known
            }
            guard::Standing::Banned => Standing::Banned,
            guard::Standing::Stranger if !is_trusted => Standing::Stranger,
            guard::Standing::Stranger | guard::Standing::Known => Standing::Known,
        };
        Visitor {
            source: Source::of(from).address(),
            standing,
        }
    }

    /// The same for the sockets of SIP and XMPP.
    pub(crate) fn doorman(&self) -> Doorman {
        let keeper = self.clone();
        Arc::new(move |from| keeper.visitor(from))
    }

    /// A connection of an API is open, until what is given back is dropped.
    pub(crate) fn opened(&self, transport: &'static str) -> Opened {
        let gauge = self.metrics.connections_of("http", transport);
        gauge.inc();
        Opened(gauge)
    }

    /// A connection was not taken, or not kept.
    pub(crate) fn refused(&self, why: Refusal) {
        self.metrics.refused(why);
    }
}

/// Counts as long as it lives.
pub(crate) struct Opened(Gauge);

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Words;
    use std::time::Duration;

    #[test]
    fn who_signed_in_from_there_is_known_and_only_the_operator_bans_the_trusted() {
        let guards = Guards::default();
        let mut config = Config::default();
        config.call.trusted = Words::of(&["198.51.100.0/24"]);
        let keeper = Doorkeeper::new(&guards, &config, Arc::default()).unwrap();
        let standing = |from: &str| keeper.visitor(from.parse().unwrap()).standing;
        assert_eq!(standing("203.0.113.1"), Standing::Stranger);
        assert_eq!(standing("198.51.100.1"), Standing::Known);
        guards.right("203.0.113.1".parse().unwrap(), "bob@r.example");
        assert_eq!(standing("203.0.113.1"), Standing::Known);
        for from in ["192.0.2.1", "198.51.100.1", "203.0.113.1"] {
            for _ in 0..1000 {
                guards.wrong(now(), from.parse().unwrap(), "bob@r.example");
            }
        }
        assert_eq!(standing("192.0.2.1"), Standing::Banned);
        assert_eq!(standing("198.51.100.1"), Standing::Known);
        assert_eq!(standing("203.0.113.1"), Standing::Known, "a phone of bob's");
        let until = now().plus(Duration::from_mins(1));
        for from in ["198.51.100.1", "203.0.113.1"] {
            guards.ban(from.parse().unwrap(), until);
            assert_eq!(standing(from), Standing::Banned, "{from}");
        }
        // Another clone than the one that is asked.
        keeper.clone().trust(vec!["192.0.2.0/24".parse().unwrap()]);
        assert_eq!(standing("192.0.2.1"), Standing::Known);
        assert_eq!(standing("198.51.100.2"), Standing::Stranger);
        let visitor = keeper.visitor("2001:db8:1:2:3::4".parse().unwrap());
        assert_eq!(visitor.source.to_string(), "2001:db8:1:2::");
    }
}
