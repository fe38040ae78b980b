//! What all clients of an edge share.

use super::{
    ended::{Ended, Shown},
    gate::{Refused, Terms},
    places::{Place, Places},
};
use crate::{
    api::tokens::{Kind, NotVouched, vouched},
    authorize::Clients,
    clock::now,
    config::Config,
    doorkeeper::Doorkeeper,
    metrics::Metrics,
    token_keys::{MOST, OCTETS},
};
use domain::Address;
use hub::Guards;
use net::{Net, Standing};
use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Instant,
};
use tokio_util::task::TaskTracker;
use tunnel::{Link, State};

/// See above.
pub(crate) struct Shared {
    pub(crate) net: Net,
    pub(crate) tunnel: tunnel::Edge,
    pub(crate) tasks: TaskTracker,
    /// What a message may be made of.
    pub(super) limits: sip::Limits,
    rules: RwLock<Arc<Rules>>,
    pub(super) metrics: Arc<Metrics>,
    /// From where somebody has signed in.
    pub(super) guards: Guards,
    /// Who is at an address.
    keeper: Doorkeeper,
    places: Arc<Places>,
    /// Tokens that an inside has made and takes no more.
    ended: Mutex<Ended>,
}

/// Who is let in, as the operator has it.
pub(crate) struct Rules {
    /// Whether who has none of our tokens may sign in by a password.
    pub(crate) passwords: bool,
    /// The domain of whoever names none.
    pub(crate) domain: Box<str>,
    /// Where tokens are given, if clients are to be told.
    pub(crate) issuer: Option<Box<str>>,
    /// Apps whose users sign in by a page, if that may be.
    pub(crate) clients: Option<Clients>,
}

/// Who shows a token that an inside has made.
pub(super) struct Bearer {
    pub(super) whose: Address,
    pub(super) shown: Shown,
    /// One of its user's.
    pub(super) place: Place,
}

impl Rules {
    /// Of this configuration.
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            passwords: config.edge.passwords,
            domain: config.domain().into(),
            issuer: config.oauth.issuer().map(Into::into),
            clients: Clients::of(config),
        }
    }
}

impl Shared {
    pub(crate) fn new(
        (net, tunnel): (Net, tunnel::Edge),
        limits: sip::Limits,
        rules: Rules,
        (metrics, guards, keeper): (Arc<Metrics>, Guards, Doorkeeper),
    ) -> Self {
        // All are there from the start.
        for why in Refused::ALL {
            metrics.edge_refused(why.name(), 0);
        }
        Self {
            net,
            tunnel,
            tasks: TaskTracker::new(),
            limits,
            rules: RwLock::new(Arc::new(rules)),
            metrics,
            guards,
            keeper,
            places: Arc::default(),
            ended: Mutex::default(),
        }
    }

    /// Who is let in now.
    pub(super) fn rules(&self) -> Arc<Rules> {
        let rules = self.rules.read();
        rules.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Does this with them, as the gate of SIP needs them.
    pub(super) fn by_terms<T>(&self, act: impl FnOnce(Terms<'_>) -> T) -> T {
        act(Terms {
            passwords: self.rules().passwords,
            is_server: &|name| self.tunnel.is_name(name),
        })
    }

    /// Who is let in from now on. Who is in stays.
    pub(crate) fn take(&self, rules: Rules) {
        let now = self.rules.write();
        *now.unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }

    /// Who shows this token of this kind there.
    ///
    /// # Errors
    /// No inside that is there has made it, or none is there; or too many come from there, or of its user.
    pub(super) fn bearer(&self, token: &str, kind: Kind, from: IpAddr) -> Result<Bearer, Refused> {
        let bearer = self.bearer_or_other(token, kind, from)?;
        bearer.ok_or_else(|| {
            let source = self.keeper.visitor(from).source;
            self.places.bad_token(source, Instant::now());
            Refused::BadToken
        })
    }

    /// The same of whoever may show one of another kind as well, which counts as nothing bad then: nothing, if it is one.
    ///
    /// # Errors
    /// See [`Shared::bearer`].
    pub(super) fn bearer_or_other(
        &self,
        token: &str,
        kind: Kind,
        from: IpAddr,
    ) -> Result<Option<Bearer>, Refused> {
        let (source, at) = self.may_show_token(from)?;
        let keys = self.keys();
        if keys.is_empty() {
            return Err(Refused::NoInside);
        }
        let refused = |why| {
            self.places.bad_token(source, at);
            why
        };
        let vouched = match vouched(token, kind, &keys, now()) {
            Ok(vouched) => vouched,
            Err(NotVouched::Other) => return Ok(None),
            // Whoever gets tokens by it would give it up, and needs a moment's patience. An access token is got anew.
            Err(NotVouched::Early) if kind != Kind::Access => {
                return Err(refused(Refused::NoInside));
            }
            // One that is not there may have made it.
            Err(NotVouched::Unknown | NotVouched::Early) if !self.has_all_insides() => {
                return Err(refused(Refused::NoInside));
            }
            Err(NotVouched::Unknown | NotVouched::Early | NotVouched::Bad) => {
                return Err(refused(Refused::BadToken));
            }
        };
        let shown = Shown::new(token, vouched.until);
        if self.ended().has(&shown) {
            return Err(refused(Refused::BadToken));
        }
        let place = self.places.of_user(&vouched.whose, at);
        Ok(Some(Bearer {
            whose: vouched.whose,
            shown,
            place: place.ok_or(Refused::Crowded)?,
        }))
    }

    /// The keys by which the tokens are told of insides that are there, each once.
    pub(super) fn keys(&self) -> Vec<Box<[u8]>> {
        let mut keys: Vec<Box<[u8]>> = Vec::new();
        for told in self.tunnel.told() {
            for key in told.chunks_exact(OCTETS).take(MOST) {
                if !keys.iter().any(|known| **known == *key) {
                    keys.push(key.into());
                }
            }
        }
        keys
    }

    /// From which source a token is looked at, and when.
    fn may_show_token(&self, from: IpAddr) -> Result<(IpAddr, Instant), Refused> {
        let (source, at) = (self.keeper.visitor(from).source, Instant::now());
        let may = self.places.may_show_token(source, at);
        may.then_some((source, at)).ok_or(Refused::Crowded)
    }

    /// Whether it is this token, that somebody vouched for before and nobody has refused since.
    pub(super) fn vouches_still(&self, shown: &Shown, token: &str) -> bool {
        shown.is(token, now()) && !self.ended().has(shown)
    }

    /// The inside takes this token no more.
    pub(super) fn has_ended(&self, token: &Shown) {
        self.ended().add(token, now());
    }

    /// A place for who signs in from there, if there is one.
    pub(super) fn place(&self, from: IpAddr) -> Option<Place> {
        let visitor = self.keeper.visitor(from);
        let is_known = |it| self.keeper.visitor(it).standing == Standing::Known;
        self.places.of_source(visitor, Instant::now(), is_known)
    }

    fn has_all_insides(&self) -> bool {
        let is_up = |it: &Link| matches!(it.state, State::Up { .. });
        self.tunnel.status().iter().all(is_up)
    }

    /// Held for a look-up only.
    fn ended(&self) -> MutexGuard<'_, Ended> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
