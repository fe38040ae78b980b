//! Texts: one that was acknowledged is kept, and shown once and in its order on every device that it is for. Every text of
//! a world is unlike any other.

use std::collections::{BTreeMap, BTreeSet};

use super::{Scene, Verdict};

#[derive(Default)]
pub(in crate::sim::whole) struct Texts {
    /// By the Call-ID under which a phone sent it.
    sent: BTreeMap<String, String>,
    /// Those that the server has taken, and the phones that must get each.
    taken: BTreeMap<String, BTreeSet<usize>>,
    /// What each phone was shown, in its order.
    shown: BTreeMap<usize, Vec<String>>,
}

impl Texts {
    /// A text arrives at the server.
    pub(in crate::sim::whole) fn arrived(&mut self, call: &str, text: String) {
        self.sent.insert(call.to_owned(), text);
    }

    /// The server has answered it.
    pub(super) fn answered(&mut self, scene: &Scene<'_>, call: &str, status: u16) -> Verdict {
        let Some(text) = self.sent.get(call).filter(|_| status < 300) else {
            return Ok(());
        };
        let store = &scene.server.store;
        let kept = store.archive.iter().find(|it| it.body == text.as_bytes());
        let Some(kept) = kept else {
            return Err(format!("{text:?} was acknowledged and is not kept"));
        };
        let waits = |who: &usize| {
            let device = scene.phones.get(*who).and_then(super::places::device_of);
            device.is_some_and(|it| store.queue(&it).any(|queued| queued.id == kept.id))
        };
        let targets = (0..scene.phones.len()).filter(waits).collect();
        self.taken.insert(text.clone(), targets);
        Ok(())
    }

    pub(super) fn received(&mut self, who: usize, text: &str) -> Verdict {
        let shown = self.shown.entry(who).or_default();
        if shown.iter().any(|it| it == text) {
            return Err(format!("phone {who} was shown {text:?} twice"));
        }
        shown.push(text.to_owned());
        Ok(())
    }

    /// Everything has arrived by now, in the order in which it came to be kept.
    pub(super) fn all_delivered(&self, scene: &Scene<'_>) -> Verdict {
        for (text, targets) in &self.taken {
            let shown = |who: &&usize| self.shown.get(*who).is_some_and(|it| it.contains(text));
            if let Some(who) = targets.iter().find(|who| !shown(who)) {
                return Err(format!("phone {who} was never shown {text:?}"));
            }
        }
        let archive = &scene.server.store.archive;
        for (who, shown) in &self.shown {
            let mut last = BTreeMap::new();
            for text in shown {
                let number = archive.iter().position(|it| it.body == text.as_bytes());
                let (Some(number), from) = (number, text.split(' ').next()) else {
                    return Err(format!("phone {who} was shown {text:?}, which is not kept"));
                };
                if last.insert(from, number).is_some_and(|last| last > number) {
                    return Err(format!("phone {who} was shown {text:?} out of order"));
                }
            }
        }
        Ok(())
    }

    pub(in crate::sim::whole) fn count(&self) -> usize {
        self.taken.len()
    }
}
