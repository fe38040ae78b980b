//! Texts: one that was acknowledged is kept, and shown once and in its order on every device that it is for. Every text of
//! a world is unlike any other.

use std::collections::{BTreeMap, BTreeSet};

use domain::MessageId;

use super::{Scene, Verdict};

/// A text that was acknowledged.
struct Taken {
    id: MessageId,
    /// The phones in whose queues it was.
    targets: BTreeSet<usize>,
    /// Its user had no device: the first one gets it.
    unclaimed: bool,
}

#[derive(Default)]
pub(in crate::sim::whole) struct Texts {
    /// By the Call-ID under which a phone sent it, with the life of the server in which it came first.
    sent: BTreeMap<String, (u32, String)>,
    life: u32,
    /// Texts that came again after the server had died over them: it may have kept each time one, for it knows a request
    /// again only as long as it lives, and who needs no password is not asked anew.
    again: BTreeSet<String>,
    taken: BTreeMap<String, Taken>,
    /// What each phone was shown since its app was installed, in its order.
    shown: BTreeMap<usize, Vec<String>>,
    /// Who has ever been shown each.
    seen: BTreeSet<(String, usize)>,
}

impl Texts {
    /// A text arrives at the server; `asked`: its sender is asked for a password.
    pub(super) fn arrived(&mut self, call: &str, text: String, asked: bool) {
        let life = self.life;
        let (first, text) = self.sent.entry(call.to_owned()).or_insert((life, text));
        if *first != life && !asked {
            self.again.insert(text.clone());
        }
    }

    /// It may be kept twice.
    pub(in crate::sim::whole) fn comes_again(&mut self, text: String) {
        self.again.insert(text);
    }

    /// A new server, which knows no request again.
    pub(super) fn restarted(&mut self) {
        self.life += 1;
    }

    /// The app of a phone is another one, which has seen nothing.
    pub(super) fn reinstalled(&mut self, who: usize) {
        self.shown.remove(&who);
    }

    /// The server has answered it.
    pub(super) fn answered(&mut self, scene: &Scene<'_>, call: &str, status: u16) -> Verdict {
        let Some((_, text)) = self.sent.get(call).filter(|_| status < 300) else {
            return Ok(());
        };
        let store = &scene.server.store;
        let kept = store.number_of(text);
        let Some((number, kept)) = kept.and_then(|it| Some((it, store.archive.get(it)?))) else {
            return Err(format!("{text:?} was acknowledged and is not kept"));
        };
        let waits = |who: &usize| {
            let device = scene.phones.get(*who).and_then(super::places::device_of);
            device.is_some_and(|it| store.queue(&it).any(|queued| queued.id == kept.id))
        };
        let targets: BTreeSet<_> = (0..scene.phones.len()).filter(waits).collect();
        let unclaimed = store.is_unclaimed(&kept.id);
        let on_its_way = store.is_queued(number) || store.dropped.contains(&kept.id);
        let known = self.seen.iter().any(|(seen, _)| seen == text);
        if !on_its_way && !known {
            return Err(format!("{text:?} was acknowledged and waits for nobody"));
        }
        let id = kept.id.clone();
        let taken = Taken {
            id,
            targets,
            unclaimed,
        };
        self.taken.insert(text.clone(), taken);
        Ok(())
    }

    /// The phones that an acknowledged text waits for, with its id.
    pub(super) fn waits_for(&self, call: &str) -> Vec<(usize, MessageId)> {
        let text = self.sent.get(call).map(|(_, text)| text);
        let taken = text.and_then(|text| self.taken.get(text));
        let targets = taken.into_iter().flat_map(|it| {
            let id = &it.id;
            it.targets.iter().map(move |who| (*who, id.clone()))
        });
        targets.collect()
    }

    pub(super) fn received(&mut self, who: usize, text: &str) -> Verdict {
        self.seen.insert((text.to_owned(), who));
        let shown = self.shown.entry(who).or_default();
        if shown.iter().any(|it| it == text) && !self.again.contains(text) {
            return Err(format!("phone {who} was shown {text:?} twice"));
        }
        shown.push(text.to_owned());
        Ok(())
    }

    /// Everything has arrived by now, in the order in which it came to be kept, but for what went with its device.
    pub(super) fn all_delivered(&self, scene: &Scene<'_>) -> Verdict {
        let store = &scene.server.store;
        for (text, taken) in &self.taken {
            if store.dropped.contains(&taken.id) {
                continue;
            }
            let shown = |who: &&usize| self.seen.contains(&(text.clone(), **who));
            if let Some(who) = taken.targets.iter().find(|who| !shown(who)) {
                return Err(format!("phone {who} was never shown {text:?}"));
            }
            let anybody = self.seen.iter().any(|(seen, _)| seen == text);
            if taken.unclaimed && !anybody && !store.is_unclaimed(&taken.id) {
                return Err(format!(
                    "{text:?} waited for a device, and none was shown it"
                ));
            }
        }
        for (who, shown) in &self.shown {
            self.in_order(scene, *who, shown)?;
        }
        Ok(())
    }

    /// What a phone was shown came in the order of the archive for each sender, but for what another device had left it.
    fn in_order(&self, scene: &Scene<'_>, who: usize, shown: &[String]) -> Verdict {
        let store = &scene.server.store;
        let device = scene.phones.get(who).and_then(super::places::device_of);
        let devices = [device, super::streams::chat_device(scene, who)];
        let mut last = BTreeMap::new();
        for text in shown.iter().filter(|text| !self.again.contains(*text)) {
            let (Some(number), from) = (store.number_of(text), text.split(' ').next()) else {
                return Err(format!("phone {who} was shown {text:?}, which is not kept"));
            };
            let is_late = |device| store.is_late(device, number);
            // What never was in a queue of its own a client has read in its user's archive.
            let is_for = |device| store.is_for(device, number);
            let is_read = devices[1].is_some() && !devices.iter().flatten().any(is_for);
            if is_read || devices.iter().flatten().any(is_late) {
                continue;
            }
            if last.insert(from, number).is_some_and(|last| last > number) {
                return Err(format!("phone {who} was shown {text:?} out of order"));
            }
        }
        Ok(())
    }

    /// Whether a text was sent over SIP under this Call-ID.
    pub(super) fn knows(&self, call: &str) -> bool {
        self.sent.contains_key(call)
    }

    /// Whether a phone was ever shown a text.
    pub(super) fn was_shown(&self, text: &str, who: usize) -> bool {
        self.seen.contains(&(text.to_owned(), who))
    }

    pub(in crate::sim::whole) fn count(&self) -> usize {
        self.taken.len()
    }
}
