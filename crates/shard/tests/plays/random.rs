//! Clients that come, go and write as chance has it, while the store is slow or not: no message is lost, none comes twice to
//! one client as long as the store is not slow, and nothing is left behind.

use crate::{
    settings::SHARDS,
    users::{DOMAIN, USERS},
    world::World,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use xmpp::{stream::Framing, xml::Element};

/// Runs for each number of shards.
const RUNS: u64 = 40;
/// What is done in one run. Few enough that no queue is full.
const DEEDS: usize = 60;
/// Messages of one run.
const MESSAGES: usize = 15;

/// Xorshift: the same runs each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % most as u64).unwrap()
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }
}

/// What happened in one run.
struct Run {
    world: World,
    chance: Chance,
    /// Who is there, as plays name them: the number behind `#` is another each time.
    there: BTreeMap<String, String>,
    clients: usize,
    /// Who is to get which message.
    written: BTreeMap<String, &'static str>,
    /// Which client got which.
    got: BTreeSet<(String, String)>,
    told: Vec<String>,
    /// The store was, at some time.
    was_slow: bool,
    may_be_slow: bool,
}

#[test]
fn no_message_is_lost_whoever_comes_and_goes() {
    for shards in SHARDS {
        for seed in 1..=RUNS {
            let mut run = Run {
                world: World::new(shards, Framing::Tcp),
                chance: Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
                there: BTreeMap::new(),
                clients: 0,
                written: BTreeMap::new(),
                got: BTreeSet::new(),
                told: Vec::new(),
                was_slow: false,
                may_be_slow: seed % 2 == 0,
            };
            for _ in 0..DEEDS {
                run.does_something();
                run.reads();
            }
            if let Err(wrong) = run.ends() {
                panic!(
                    "seed {seed}, {shards} shards: {wrong}\n{}",
                    run.told.join("\n")
                );
            }
        }
    }
}

impl Run {
    fn does_something(&mut self) {
        let user = self.chance.of(&USERS[..2]);
        let resource = self.chance.of(&["x", "y"]);
        let who = format!("{user}/{resource}");
        let name = self.there.get(&who).cloned();
        match (self.chance.below(12), name) {
            (0, _) => {
                // In every other run it never is.
                let slow = self.may_be_slow && self.chance.below(2) == 0;
                self.told.push(format!("the store is slow: {slow}"));
                self.world.store_is_slow(slow);
                self.was_slow |= slow;
            }
            (1, _) => self.world.pass(Duration::from_secs(3)),
            (2, Some(name)) => {
                self.told.push(format!("{name} disconnects"));
                self.world.lost(&name).unwrap();
                self.goes(&who);
            }
            (3, Some(name)) => {
                self.says(&name, "</stream:stream>");
                self.goes(&who);
            }
            // Also in the place of another.
            (4, _) | (_, None) => self.comes(&who),
            (5 | 6, Some(name)) => {
                let priority = self.chance.of(&["-1", "0", "5"]);
                let presence = format!("<presence><priority>{priority}</priority></presence>");
                self.says(&name, &presence);
            }
            (7, Some(name)) => self.says(&name, "<presence type='unavailable'/>"),
            (8, Some(name)) => {
                let kinds = ["subscribe", "subscribed", "unsubscribe", "unsubscribed"];
                let kind = self.chance.of(&kinds);
                let to = self.chance.of(&USERS[..2]);
                self.says(
                    &name,
                    &format!("<presence to='{to}@{DOMAIN}' type='{kind}'/>"),
                );
            }
            (_, Some(name)) => self.writes(&name),
        }
    }

    fn comes(&mut self, who: &str) {
        self.clients += 1;
        let name = format!("{who}#{}", self.clients);
        self.told.push(format!("{name} connects"));
        self.world.signs_in(&name, None).unwrap();
        self.reads();
        if let Some(before) = self.there.insert(who.to_owned(), name) {
            self.world.clients.remove(&before);
        }
    }

    fn goes(&mut self, who: &str) {
        self.reads();
        if let Some(name) = self.there.remove(who) {
            self.world.clients.remove(&name);
        }
    }

    fn writes(&mut self, name: &str) {
        if self.written.len() >= MESSAGES {
            return;
        }
        let to = self.chance.of(&USERS[..2]);
        let resource = self.chance.of(&["", "/x", "/y", "/gone"]);
        let id = format!("m{}", self.written.len());
        self.written.insert(id.clone(), to);
        let message = format!(
            "<message to='{to}@{DOMAIN}{resource}' id='{id}' type='chat'><body>hi</body></message>"
        );
        self.says(name, &message);
    }

    fn says(&mut self, name: &str, text: &str) {
        self.told.push(format!("{name} sends: {text}"));
        self.world.writes(name, text).unwrap();
    }

    /// All read what they got.
    fn reads(&mut self) {
        for (name, client) in &mut self.world.clients {
            for stanza in client.inbox.drain(..) {
                let Some(id) = message(&stanza) else {
                    continue;
                };
                self.told.push(format!("{name} got {id}"));
                let is_new = self.got.insert((name.clone(), id.clone()));
                // To a client that wants no others it is sent at once, and when it wants them once more. And who goes before
                // the store has heard what it got gets that again.
                let once = !self.was_slow && stanza.attr("to").is_some_and(|to| !to.contains('/'));
                assert!(
                    is_new || !once,
                    "{name} got {id} twice\n{}",
                    self.told.join("\n")
                );
            }
        }
    }

    /// All go, and somebody of each user comes: by then each has got everything.
    fn ends(&mut self) -> Result<(), String> {
        self.world.store_is_slow(false);
        for (who, name) in self.there.clone() {
            self.reads();
            self.world.lost(&name)?;
            self.goes(&who);
        }
        for user in &USERS[..2] {
            self.comes(&format!("{user}/last"));
            let name = self.there[&format!("{user}/last")].clone();
            self.says(&name, "<presence/>");
            self.reads();
        }
        for (id, reader) in &self.written {
            let prefix = format!("{reader}/");
            let has = self
                .got
                .iter()
                .any(|(name, it)| it == id && name.starts_with(&prefix));
            if !has {
                return Err(format!("{id} is lost"));
            }
        }
        self.world.ends()
    }
}

/// The id of a message that is no error.
fn message(stanza: &Element) -> Option<String> {
    let is_it = stanza.local() == "message" && stanza.attr("type") == Some("chat");
    let id = stanza.attr("id").filter(|_| is_it)?;
    Some(id.to_owned())
}
