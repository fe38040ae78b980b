//! The push clouds: they take every push, unless a play says that a token is dead.

use crate::world::World;
use domain::{Channel, Outcome, Purpose};
use hub::{PushOrder, Pushed};
use shard::Input;
use std::collections::{BTreeSet, VecDeque};

#[derive(Default)]
pub(crate) struct Clouds {
    /// To which token, and what about.
    got: VecDeque<(String, String)>,
    dead: BTreeSet<String>,
    /// What went by apps' own servers, and what became of it.
    pub(crate) published: Vec<(String, Channel, &'static str)>,
}

impl Clouds {
    /// A push comes in, and is answered at once.
    pub(crate) fn take(&mut self, order: PushOrder) -> Input {
        let token = order.notification.token;
        let about = match &order.notification.purpose {
            Purpose::Call { call, .. } => format!("call {call}"),
            Purpose::CallCancelled { call } => format!("call {call} is over"),
            Purpose::MissedCall { call } => format!("call {call} was missed"),
            Purpose::Message { unread, .. } => format!("{unread} unread"),
            Purpose::Read {
                conversations,
                unread,
            } => format!("{} read, {unread} unread", conversations.len()),
            other @ (Purpose::Refresh | Purpose::Event(_)) => other.name().to_owned(),
        };
        self.got.push_back((token.clone(), about));
        let outcome = if self.dead.contains(&token) {
            Outcome::TokenDead {
                since: None,
                reason: "Unregistered".to_owned(),
            }
        } else {
            Outcome::Accepted {
                provider_id: "1".to_owned(),
            }
        };
        Input::Pushed(Pushed {
            push: order.push,
            device: order.device,
            token: token.into(),
            outcome,
        })
    }

    pub(crate) fn says_dead(&mut self, token: &str) {
        self.dead.insert(token.to_owned());
    }

    pub(crate) fn left(&self) -> impl Iterator<Item = String> {
        let got = self.got.iter();
        got.map(|(token, about)| format!("{token} was pushed: {about}"))
    }
}

impl World {
    pub(crate) fn is_pushed(&mut self, token: &str, about: &str) -> Result<(), String> {
        let is_it = |what: &str| match about.strip_suffix('*') {
            Some(begins) => what.starts_with(begins),
            None => what == about,
        };
        match self.clouds.got.pop_front() {
            Some((to, what)) if to == token && is_it(&what) => Ok(()),
            got => Err(format!("but {got:?}")),
        }
    }
}
