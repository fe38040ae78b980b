//! Registrations and pushes: what was promised is kept, and nobody is pushed to who is not to be.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use domain::{Address, Channel, DeviceId};
use hub::{PushOrder, PushRef};
use sip::endpoint::Flow;
use sip::{Contacts, Message};

use super::{Scene, Verdict};
use crate::phone::PhoneConfig;
use crate::sim::whole::handset::Handset;
use crate::sim::whole::setting::DOMAIN;

/// So much longer a door may be believed in after a restart (docs/architecture.md, "One restart, followed").
const SLACK: Duration = Duration::from_hours(1);
/// How long the store may take to keep the death of a token.
const KEPT: Duration = Duration::from_secs(30);

#[derive(Default)]
pub(super) struct Places {
    /// Until when each phone is registered.
    until: BTreeMap<usize, Instant>,
    /// When the server heard that a token is dead; forgotten when its phone registers anew.
    dead: BTreeMap<String, Instant>,
}

/// The phone at the far end of a flow: its address is its number.
pub(super) fn phone_at(flow: Flow) -> usize {
    let IpAddr::V4(address) = flow.remote.ip() else {
        return usize::MAX;
    };
    let [_, b, c, d] = address.octets();
    usize::try_from(u32::from_be_bytes([0, b, c, d])).unwrap_or(usize::MAX)
}

/// The device of a phone.
pub(super) fn device_of(phone: &Handset) -> Option<DeviceId> {
    let config = phone.phone.config();
    let user = Address::new(&config.user, DOMAIN).ok()?;
    Some(domain::DeviceId::of(
        &user,
        &domain::device::instance_key(&config.instance),
    ))
}

/// A phone was told that its tokens and its key are known: so they are kept.
pub(in crate::sim::whole) fn handed_over(scene: &Scene<'_>, who: usize) -> Verdict {
    let Some(phone) = scene.phones.get(who) else {
        return Ok(());
    };
    let device = device_of(phone).and_then(|it| scene.server.store.devices.get(&it));
    let tokens = &phone.phone.config().tokens;
    let kept = device.is_some_and(|device| {
        let has = |token: &String| device.tokens.iter().any(|it| *it.value == **token);
        device.key.as_deref() == phone.key() && has(&tokens.voip) && has(&tokens.message)
    });
    if kept {
        return Ok(());
    }
    Err(format!(
        "phone {who} was told that its tokens are known, and they are not kept"
    ))
}

impl Places {
    pub(super) fn restarted(&mut self) {
        self.until.values_mut().for_each(|until| *until += SLACK);
        self.dead.clear();
    }

    /// A phone hears that it is registered (`true`), or that it is not any more.
    pub(super) fn registered(
        &mut self,
        scene: &Scene<'_>,
        who: usize,
        answer: &Message,
    ) -> Result<bool, String> {
        let Some(phone) = scene.phones.get(who) else {
            return Ok(false);
        };
        let config = phone.phone.config();
        let Ok(Contacts::List(listed)) = answer.contacts() else {
            return Ok(false);
        };
        let own = listed.iter().find(|contact| {
            let instance = contact.param("+sip.instance");
            instance.is_some_and(|it| it.contains(&config.instance))
        });
        let Some(own) = own else {
            // What was never registered takes nothing back: a token that the API was told stays.
            self.until.entry(who).and_modify(|until| *until = scene.now);
            return Ok(false);
        };
        let seconds = own.param("expires").and_then(|it| it.parse().ok());
        let until = scene.now + Duration::from_secs(seconds.unwrap_or_default());
        self.until.insert(who, until);
        for token in [&config.tokens.voip, &config.tokens.message] {
            self.dead.remove(token);
        }
        let (store, device) = (&scene.server.store, device_of(phone));
        let place = own.uri.as_str().split(';').next().unwrap_or_default();
        let kept = device.is_some_and(|it| store.has_door_to(&it, place.as_bytes()));
        if kept {
            return Ok(true);
        }
        Err(format!(
            "phone {who} was told that {place} is registered, and it is not kept"
        ))
    }

    pub(super) fn died(&mut self, now: Instant, token: &str) {
        self.dead.entry(token.to_owned()).or_insert(now);
    }

    /// The account of a phone is gone, and all that was known of its tokens.
    pub(super) fn removed(&mut self, config: &PhoneConfig) {
        self.forgets([&config.tokens.voip, &config.tokens.message]);
    }

    fn forgets(&mut self, tokens: [&str; 2]) {
        for token in tokens {
            self.dead.remove(token);
        }
    }

    pub(super) fn pushed(&mut self, scene: &Scene<'_>, to: usize, order: &PushOrder) -> Verdict {
        let (now, store) = (scene.now, &scene.server.store);
        let what = order.notification.purpose.name();
        // That a device was removed is kept before the hub hears so.
        let device_kept = store.devices.contains_key(&order.device);
        if let PushRef::Owed(id, _) = &order.push
            && !store.owed.contains_key(id)
            && device_kept
        {
            return Err(format!(
                "a push ({what}) to phone {to} that the store does not owe"
            ));
        }
        let token = order.notification.token.as_str();
        let device = store.devices.get(&order.device);
        let known = device.is_some_and(|it| it.tokens.iter().any(|it| *it.value == *token));
        // The store may have another one by now, and the hub not heard so yet.
        if !known && scene.server.is_settled() {
            return Err(format!(
                "a push ({what}) to a token of phone {to} that is not kept"
            ));
        }
        // Its client may have handed it over once more, by the API or over XMPP: that is one new chance.
        let again = device.is_some_and(|it| {
            let mut tokens = it.tokens.iter();
            tokens.any(|it| *it.value == *token && it.on_probation && it.dead.is_none())
        });
        if !again && self.dead.get(token).is_some_and(|at| now - *at > KEPT) {
            return Err(format!("a push ({what}) to a dead token of phone {to}"));
        }
        if self.until.get(&to).is_some_and(|until| *until + KEPT < now) {
            return Err(format!(
                "a push ({what}) to phone {to}, whose binding has expired"
            ));
        }
        let config = scene.phones.get(to).map(|it| it.phone.config());
        let kills = config.is_some_and(PhoneConfig::has_callkit_rule)
            && order.notification.channel == Channel::Voip
            && what != "call";
        if kills {
            return Err(format!(
                "a VoIP push ({what}) to phone {to} that is no call"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seed 2471 of 29 November 2026.
    #[test]
    fn a_token_that_died_is_not_known_any_more_once_its_account_is_gone() {
        let now = Instant::now();
        let mut places = Places::default();
        places.died(now, "a");
        places.died(now, "b");
        places.forgets(["a", "c"]);
        assert!(places.dead.contains_key("b") && places.dead.len() == 1);
    }
}
