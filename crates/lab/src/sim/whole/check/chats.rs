//! Texts over XMPP: one that the server has counted is kept, and reaches whoever it is for: every client that was to get it,
//! and every one that knows where it was when it was away. To a client that goes on where it was nothing comes twice.

use std::collections::{BTreeMap, BTreeSet};

use domain::Address;

use super::streams::chat_device;
use super::{Scene, Verdict, places};
use crate::phone::PhoneEvent;
use crate::sim::whole::setting::DOMAIN;

#[derive(Default)]
pub(super) struct Chats {
    /// What was promised, by its place in the archive.
    promised: BTreeMap<usize, String>,
    /// What came to each phone since it signed in anew, and was not read in the archive.
    came: BTreeMap<usize, BTreeSet<String>>,
    /// How much there was in the archive when each phone was first shown something. From then on it misses nothing.
    knows_from: BTreeMap<usize, usize>,
    /// Accounts that were removed at some time, and their archives with them.
    removed: BTreeSet<Address>,
}

impl Chats {
    /// The app of a phone is another one.
    pub(super) fn reinstalled(&mut self, who: usize) {
        self.came.remove(&who);
        self.knows_from.remove(&who);
    }

    pub(super) fn removed(&mut self, user: &Address) {
        self.removed.insert(user.clone());
    }

    /// Something was seen of a phone. `by_sip`: it sends texts under this id that way.
    pub(super) fn seen(
        &mut self,
        scene: &Scene<'_>,
        who: usize,
        event: &PhoneEvent,
        by_sip: impl Fn(&str) -> bool,
    ) -> Verdict {
        match event {
            PhoneEvent::SignedIn { resumed: false, .. } | PhoneEvent::CaughtUp { .. } => {
                self.came.remove(&who);
            }
            PhoneEvent::MessageReceived { from, id, .. } => {
                let known = scene.server.store.archive.len();
                self.knows_from.entry(who).or_insert(known);
                if from.starts_with("xmpp:") {
                    self.came.entry(who).or_default().insert(id.clone());
                }
            }
            PhoneEvent::DuplicateMessageDropped { id } if is_chat_only(scene, who) => {
                let came = self.came.entry(who).or_default();
                let device = chat_device(scene, who);
                let store = &scene.server.store;
                let is_given_again = device.is_some_and(|it| store.is_given_again(&it, id));
                if came.contains(id) && !is_given_again {
                    return Err(format!(
                        "{id} came to phone {who} twice, which had signed in once"
                    ));
                }
            }
            PhoneEvent::MessageSent { id, status: 202 } if !by_sip(id) => {
                let kept = scene.server.store.text_of_stanza(id);
                let Some((number, text)) = kept else {
                    return Err(format!("{id} of phone {who} was counted and is not kept"));
                };
                self.promised.insert(number, text);
            }
            _ => {}
        }
        Ok(())
    }

    /// Everything has arrived by now. `shown`: whether a phone was ever shown a text.
    pub(super) fn all_delivered(
        &self,
        scene: &Scene<'_>,
        shown: impl Fn(&str, usize) -> bool,
    ) -> Verdict {
        let store = &scene.server.store;
        for (number, text) in &self.promised {
            let Some(message) = store.archive.get(*number) else {
                continue;
            };
            if self.removed.contains(&message.to) || store.dropped.contains(&message.id) {
                continue;
            }
            let anybody = (0..scene.phones.len()).any(|who| shown(text, who));
            if !anybody && !store.is_queued(*number) {
                return Err(format!("{text:?} was counted, and nobody was shown it"));
            }
            for who in 0..scene.phones.len() {
                let sip = scene.phones.get(who).and_then(places::device_of);
                let devices = [sip, chat_device(scene, who)];
                let meant = |it| devices.iter().flatten().any(|device| device == it);
                if store.meant(*number).any(meant) && !shown(text, who) {
                    return Err(format!("phone {who} was never shown {text:?}"));
                }
            }
        }
        self.nothing_missed(scene, shown)
    }

    /// A client that knew where it was has read what it missed.
    fn nothing_missed(&self, scene: &Scene<'_>, shown: impl Fn(&str, usize) -> bool) -> Verdict {
        let (store, limits) = (&scene.server.store, scene.server.limits);
        for (who, from) in &self.knows_from {
            let config = scene.phones.get(*who).map(|it| it.phone.config());
            let user = config.and_then(|it| Address::new(&it.user, DOMAIN).ok());
            let Some(user) = user.filter(|it| !self.removed.contains(it)) else {
                continue;
            };
            if !is_chat_only(scene, *who) || limits.few_messages() {
                continue;
            }
            let later = store.archive.iter().skip(*from);
            for message in later.filter(|it| it.to == user) {
                let is_own = message.from.contains(user.as_str());
                let text = crate::sim::whole::store::text(message);
                if let Some(text) = text.filter(|_| !is_own)
                    && !shown(&text, *who)
                {
                    return Err(format!("phone {who} missed {text:?}"));
                }
            }
        }
        Ok(())
    }
}

/// Whether a phone has no other door than that of XMPP: what came by the other one is no matter of ours.
fn is_chat_only(scene: &Scene<'_>, who: usize) -> bool {
    let config = scene.phones.get(who).map(|it| it.phone.config());
    config.is_some_and(|it| it.xmpp.is_some() && !it.sip)
}
