//! A play is run.

use crate::{
    likeness::{self, is_like},
    script::{self, Act, Step, elements},
    settings::SHARDS,
    users::{DOMAIN, address, contact},
    world::World,
};
use domain::TraceEvent;
use std::{fs, path::PathBuf};
use xmpp::{ns, stream::Framing, xml::Element};

/// How streams are framed: each scene is played with both.
const FRAMINGS: [Framing; 2] = [Framing::Tcp, Framing::WebSocket];

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/plays"))
}

/// The names of all plays, in order.
pub(crate) fn names() -> Vec<String> {
    let files = folder().read_dir().unwrap();
    let names = files.filter_map(|file| {
        let name = file.unwrap().file_name().into_string().unwrap();
        Some(name.strip_suffix(".play")?.to_owned())
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// Runs a play with each number of shards.
pub(crate) fn run(name: &str) {
    let file = format!("{name}.play");
    let text = fs::read_to_string(folder().join(&file)).unwrap();
    let steps = script::read(&text).unwrap_or_else(|wrong| panic!("{file}: {wrong}"));
    let scenes = steps.chunk_by(|_, next| !matches!(next.act, Act::Scene));
    let mut wrong = Vec::new();
    for scene in scenes {
        let worlds = SHARDS
            .into_iter()
            .flat_map(|it| FRAMINGS.map(|framing| (it, framing)));
        for (shards, framing) in worlds {
            if let Err(why) = scene_is_played(scene, shards, framing) {
                wrong.push(format!("{file}:{why}\n({shards} shards, {framing:?})\n"));
                break;
            }
        }
    }
    assert!(wrong.is_empty(), "\n\n{}", wrong.join("\n"));
}

/// A world of its own for each scene.
fn scene_is_played(steps: &[Step], shards: usize, framing: Framing) -> Result<(), String> {
    let mut world = World::new(shards, framing);
    for Step { line, text, act } in steps {
        let done = world.act(act);
        done.map_err(|why| format!("{line}: {text}\n{why}"))?;
    }
    let last = steps.last().map_or(0, |it| it.line);
    world
        .over()
        .map_err(|why| format!("{last}: at the end\n{why}"))
}

impl World {
    /// Everything was named, and nothing is left behind.
    fn over(mut self) -> Result<(), String> {
        self.store_is_slow(false);
        self.shards_are_apart(false);
        let left = self.left();
        if left.is_empty() {
            return self.ends();
        }
        Err(left.join("\n"))
    }

    fn act(&mut self, act: &Act) -> Result<(), String> {
        match act {
            Act::Scene => Ok(()),
            Act::IsCounted(wanted) => self.is_counted(wanted),
            Act::Friends(one, other) => {
                for (user, peer) in [(one, other), (other, one)] {
                    let contact = contact(user, peer, true, true);
                    let key = (address(user), address(peer));
                    self.store.kept.rosters.insert(key, contact);
                }
                Ok(())
            }
            Act::Arrives(who) => {
                self.arrives(who);
                Ok(())
            }
            Act::Opens(who) => {
                self.arrives(who);
                self.opens(who, None)
            }
            Act::Restarts(shards) => self.starts_anew(*shards),
            Act::ShowsItself(who) => self.shows_itself(who, None),
            Act::ConnectsAsComponent(who) => self.component_connects(who),
            Act::Connects(who, lang) => self.signs_in(who, lang.as_deref()),
            Act::ComesOnline(who, priority) => self.comes_online(who, priority.as_deref()),
            Act::Sends(who, times, what) => {
                let what = self.with_ids(&self.with_names(what));
                let mut numbers = 0..*times;
                numbers.try_for_each(|n| self.writes(who, &what.replace("{n}", &n.to_string())))
            }
            Act::ShowsToken(who, mechanism, token, wishes) => {
                let (token, wishes) = (self.with_names(token), self.with_names(wishes));
                self.shows_token(who, mechanism, &token, &wishes)
            }
            Act::Receives(who, what) => {
                for wanted in elements(&self.with_ids(what))? {
                    let inbox = &mut self.client(who)?.inbox;
                    match inbox.pop_front_if(|next| is_like(&wanted, next)) {
                        Some(got) => self.named.extend(likeness::names(&wanted, &got)),
                        None => return Err(instead(&wanted, inbox.iter())),
                    }
                }
                Ok(())
            }
            Act::ReceivesLater(who, what) => {
                for wanted in elements(what)? {
                    let inbox = &mut self.client(who)?.inbox;
                    match inbox.iter().position(|next| is_like(&wanted, next)) {
                        Some(place) => drop(inbox.remove(place)),
                        None => return Err(instead(&wanted, inbox.iter())),
                    }
                }
                Ok(())
            }
            Act::ReceivesNothing(who) => {
                let inbox = &self.client(who)?.inbox;
                let next = inbox.front().map(|next| format!("but got {next:?}"));
                next.map_or(Ok(()), Err)
            }
            Act::Disconnects(who) => {
                self.lost(who)?;
                self.leaves(who)
            }
            Act::Closes(who) => {
                self.writes(who, "</stream:stream>")?;
                self.leaves(who)
            }
            Act::SentAway(who, why) => self.is_sent_away(who, why),
            Act::Wait(number, user) => {
                let waiting = self.waiting(user);
                let right = waiting == *number;
                right.then_some(()).ok_or(format!("but {waiting}"))
            }
            Act::IsPushed(token, about) => self.is_pushed(token, about),
            Act::Reads(step, words) => self.reads(step, words),
            Act::NoPush => self.clouds.left().next().map_or(Ok(()), Err),
            _ => self.phone_does(act),
        }
    }

    fn phone_does(&mut self, act: &Act) -> Result<(), String> {
        match act {
            Act::PhoneRegisters(user, transport) => self.phone_registers(user, *transport),
            Act::PhoneTakesEnvelopes(user) => self.phone_takes_envelopes(user),
            Act::PhoneShows(user, shown) => self.phone_shows(user, shown),
            Act::PhoneSleeps(user) => self.phone_sleeps(user),
            Act::PhoneIsOutOfReach(user) => self.phone_is_out_of_reach(user),
            Act::PhoneUnregisters(user) => self.phone_unregisters(user),
            Act::PhoneCalls(user, to) => self.phone_calls(user, to),
            Act::PhoneRang(user, times) => self.phone_rang(user, *times),
            Act::PhoneIsHungUpOn(user) => self.phone_is_hung_up_on(user),
            Act::PhoneHangsUp(user) => self.phone_hangs_up(user),
            Act::PhoneWatches(user, peer) => self.phone_watches(user, peer),
            Act::PhoneWatchesOn(user, peer, seconds, wanted) => {
                self.phone_watches_on(user, peer, *seconds, *wanted)
            }
            Act::PhoneWatchesAs(user, other, peer) => self.phone_watches_as(user, other, peer),
            Act::PhoneSees(user, wanted) => self.phone_sees(user, wanted.as_deref()),
            Act::PhonePublishes(user, what) => self.phone_publishes(user, what),
            Act::PhoneIsAnswered(user, status, what) => self.phone_is_answered(user, *status, what),
            Act::PhoneWrites(user, to, text) => self.phone_writes(user, to, text),
            Act::PhoneIsRefused(user, status, method, to) => {
                self.phone_is_refused(user, *status, method, to)
            }
            Act::PhoneWantsReceipts(user, to, text) => self.phone_wants_receipts(user, to, text),
            Act::PhoneTells(user, to, what) => self.phone_tells(user, to, what),
            Act::PhoneReceives(user, text) => self.phone_receives(user, text),
            _ => {
                self.happens(act);
                Ok(())
            }
        }
    }

    /// So much was refused since it was looked at, and by these reasons.
    fn is_counted(&mut self, wanted: &str) -> Result<(), String> {
        let refused = std::mem::take(&mut self.refused);
        let words = refused.iter().map(|(why, times)| format!("{why} {times}"));
        let words = words.collect::<Vec<_>>().join(", ");
        (words == wanted).then_some(()).ok_or(words)
    }

    /// An operator finds this step with these words in the story of something.
    fn reads(&mut self, step: &str, words: &str) -> Result<(), String> {
        let is_it = |event: &TraceEvent| event.step.name() == step && event.detail.contains(words);
        let place = self.story.iter().position(is_it);
        let place = place.ok_or_else(|| format!("but {:?}", self.story))?;
        self.story.remove(place);
        Ok(())
    }

    /// What cannot fail: something happens to the server, the store, an account, a cloud.
    fn happens(&mut self, act: &Act) {
        match act {
            Act::StoreIsSlow(slow) => self.store_is_slow(*slow),
            Act::StoreHangs => self.hangs = true,
            Act::StoreRefuses => self.refuses = true,
            Act::ShardsAreApart(apart) => self.shards_are_apart(*apart),
            Act::Invites(inviter, guest, word) => {
                self.invites(inviter.as_deref(), guest.as_deref(), word);
            }
            Act::AccountIsRemoved(user) => self.account_is_removed(user),
            Act::TokenDies(token) => self.clouds.says_dead(token),
            Act::PasswordIsChanged(user) => self.password_is_changed(user),
            Act::Passes(time) => self.pass(*time),
            _ => unreachable!("{act:?} is something that a client or a phone does"),
        }
    }

    /// With the ids of messages that were archived.
    fn with_ids(&self, text: &str) -> String {
        let ids = self.archive.iter().map(|message| message.id.as_str());
        (1..).zip(ids).fold(text.to_owned(), |text, (number, id)| {
            text.replace(&format!("{{message {number}}}"), id)
        })
    }

    fn comes_online(&mut self, who: &str, priority: Option<&str>) -> Result<(), String> {
        self.signs_in(who, None)?;
        let says = priority.map(|it| format!("<priority>{it}</priority>"));
        let says = says.unwrap_or_default();
        self.writes(who, &format!("<presence>{says}</presence>"))?;
        let full = who.split('#').next().unwrap_or_default();
        let (user, resource) = full.split_once('/').ok_or("user/resource")?;
        let own = format!(
            "<presence from='{user}@{DOMAIN}/{resource}' to='{user}@{DOMAIN}'>{says}</presence>"
        );
        self.act(&Act::Receives(who.to_owned(), own))
    }

    /// A text with what its names stand for.
    fn with_names(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, value) in &self.named {
            text = text.replace(name, value);
        }
        text
    }

    /// It has got all, and its connection goes, if it is not gone already.
    fn leaves(&mut self, who: &str) -> Result<(), String> {
        let client = self.client(who)?;
        if let Some(next) = client.inbox.front() {
            return Err(format!("got before, and nobody named it: {next:?}"));
        }
        self.clients.remove(who);
        Ok(())
    }

    fn is_sent_away(&mut self, who: &str, why: &str) -> Result<(), String> {
        let client = self.client(who)?;
        let next = client.inbox.pop_front();
        let is_it = next.as_ref().is_some_and(|it| {
            it.is(ns::STREAM, "error") && it.child(ns::STREAM_ERRORS, why).is_some()
        });
        if !is_it || client.closed != (true, true) {
            return Err(format!("but {next:?}, closed: {:?}", client.closed));
        }
        self.leaves(who)
    }

    /// What is in the store for a user and was not delivered.
    fn waiting(&self, user: &str) -> usize {
        let kept = &self.store.kept;
        let user = address(user);
        let devices = kept.devices.values().filter(|it| it.user == user);
        let queues = devices.filter_map(|it| kept.queues.get(&it.id));
        let queues = queues.chain(kept.unclaimed.get(&user));
        queues.map(Vec::len).sum()
    }

    fn left(&self) -> Vec<String> {
        let clients = self.clients.iter();
        let left = clients.flat_map(|(name, it)| it.inbox.iter().map(move |it| (name, it)));
        left.map(|(name, it)| format!("{name} got {it:?}"))
            .chain(self.clouds.left())
            .collect()
    }
}

fn instead<'a>(wanted: &Element, got: impl Iterator<Item = &'a Element>) -> String {
    let got: Vec<String> = got.map(|it| format!("got    {it:?}")).collect();
    let got = if got.is_empty() {
        "got    nothing".to_owned()
    } else {
        got.join("\n")
    };
    format!("wanted {wanted:?}\n{got}")
}
