//! The push cloud: a table.

use domain::{Outcome, push::Purpose};
use hub::{PushOrder, Pushed};
use std::collections::HashMap;

/// A push as the cloud got it.
#[derive(Clone, Debug)]
pub(crate) struct Push {
    pub(crate) token: String,
    pub(crate) purpose: Purpose,
}

/// The push cloud: it takes everything but what is in its table.
#[derive(Default)]
pub(crate) struct Cloud {
    pub(crate) outcomes: HashMap<String, Outcome>,
    /// Answers wait for [`Cloud::answers`].
    pub(crate) holds: bool,
    pub(crate) pushes: Vec<Push>,
    held: Vec<(usize, Pushed)>,
}

impl Cloud {
    /// Takes a push, and says what becomes of it now or later.
    pub(crate) fn push(&mut self, shard: usize, order: PushOrder) -> Option<Pushed> {
        let notification = order.notification;
        let accepted = Outcome::Accepted {
            provider_id: "1".to_owned(),
        };
        let outcome = self.outcomes.get(&notification.token).cloned();
        self.pushes.push(Push {
            token: notification.token.clone(),
            purpose: notification.purpose,
        });
        let pushed = Pushed {
            push: order.push,
            device: order.device,
            token: notification.token.into(),
            outcome: outcome.unwrap_or(accepted),
        };
        if self.holds {
            self.held.push((shard, pushed));
            return None;
        }
        Some(pushed)
    }

    /// What it held back.
    pub(crate) fn answers(&mut self) -> Vec<(usize, Pushed)> {
        self.holds = false;
        std::mem::take(&mut self.held)
    }

    /// Whoever waited for its answers is gone.
    pub(crate) fn dies(&mut self) {
        self.answers();
    }
}
