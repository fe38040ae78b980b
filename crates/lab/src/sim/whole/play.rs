//! One world, from its seed to its end.

use std::time::{Duration, Instant};

use super::check::{self, Verdict};
use super::plot::{self, Act};
use super::server::Disk;
use super::setting::{self, Outside, Switch};
use super::world::{Parts, Seen, Watcher, World};
use crate::phone::PhoneEvent;
use crate::phone::machine::Order;
use crate::rng::Rng;
use crate::sim::{Fate, Plan};

/// So long after all is well everything has been delivered ...
const DELIVERED: Duration = Duration::from_secs(270);
/// ... and so much later at the latest there is a moment at which nothing is under way.
const IDLE: Duration = Duration::from_secs(200);

/// What became of a world.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Story {
    /// What must not be, if that was seen.
    pub failure: Option<String>,
    /// What happened, line by line, if that was asked for.
    pub lines: Vec<String>,
    /// Steps taken.
    pub steps: u32,
    /// Calls made.
    pub calls: usize,
    /// Texts acknowledged.
    pub texts: usize,
    /// Times that the server died.
    pub deaths: u32,
    /// The virtual time that it took.
    pub took: Duration,
}

/// Plays the world of a seed. `start` changes nothing; `verbose` asks for the lines.
pub fn play(seed: u64, switch: Switch, start: Instant, verbose: bool) -> Story {
    let (mut world, calm) = drawn(seed, switch, start, verbose);
    let result = run(&mut world, start + calm);
    let took = world.clock.elapsed();
    let failure = result.err();
    Story {
        failure: failure.map(|why| format!("after {:.3} s: {why}", took.as_secs_f64())),
        steps: world.steps,
        calls: world.check.calls.count() + world.check.offers.count(),
        texts: world.check.texts.count(),
        deaths: world.deaths,
        took,
        lines: world.watcher.lines,
    }
}

/// The people with their phones: they hang up, answer and decline.
struct Crowd {
    rng: Rng,
    verbose: bool,
    lines: Vec<String>,
}

impl Watcher for Crowd {
    fn see(&mut self, since: Duration, seen: Seen<'_>) -> Option<(Duration, Act)> {
        match seen {
            Seen::Line(line) => {
                let at = since.as_secs_f64();
                self.lines.push(format!("{at:10.3}  {line}"));
            }
            Seen::Phone(who, PhoneEvent::Calling { call, .. }) => {
                let after = plot::patience(&mut self.rng);
                return Some((after, Act::Order(who, Order::Hangup(call.clone()))));
            }
            Seen::Phone(
                who,
                PhoneEvent::Ringing { call } | PhoneEvent::CallKitRinging { call, .. },
            ) => {
                let (after, order) = plot::choice(&mut self.rng, call)?;
                return Some((after, Act::Order(who, order)));
            }
            Seen::Phone(who, PhoneEvent::Connected { call }) => {
                let (after, order) = plot::talk(&mut self.rng, call)?;
                return Some((after, Act::Order(who, order)));
            }
            Seen::Phone(who, PhoneEvent::MessageReceived { .. }) => {
                let after = plot::reads(&mut self.rng)?;
                return Some((after, Act::Order(who, Order::Read)));
            }
            Seen::Phone(who, PhoneEvent::Answered { .. }) => {
                let after = plot::walks(&mut self.rng)?;
                return Some((after, Act::Order(who, Order::ChangeNetwork)));
            }
            // Who has lost a session does not know what was heard of it.
            Seen::Phone(who, PhoneEvent::NetworkChanged | PhoneEvent::SignedIn { .. }) => {
                let after = plot::finds_itself(&mut self.rng)?;
                return Some((after, Act::Order(who, Order::Renew)));
            }
            _ => {}
        }
        None
    }

    fn reads_lines(&self) -> bool {
        self.verbose
    }
}

/// The world of a seed, and how long it takes until all is well.
fn drawn(seed: u64, switch: Switch, start: Instant, verbose: bool) -> (World<Crowd>, Duration) {
    let mut rng = Rng::new(seed);
    let users = setting::users(usize::try_from(2 + rng.below(3)).unwrap_or(2), &mut rng);
    let plan = plan(&mut rng, switch);
    let mut phones = Vec::new();
    for user in &users {
        let copies = rng.chance(500);
        for _ in 0..=rng.below(2) {
            let name = user.address.name();
            let mut phone = setting::phone(name, &mut rng);
            if let Some(door) = phone.as_mut().and_then(|it| it.xmpp.as_mut()) {
                door.copies = copies;
            }
            phones.extend(phone.map(|phone| (name.to_owned(), phone)));
        }
    }
    let number = u8::try_from(phones.len()).unwrap_or_default();
    let outside = if rng.chance(400) {
        Outside::drawn(number, &mut rng)
    } else {
        Outside::default()
    };
    let crowd = Crowd {
        rng: rng.fork(),
        verbose,
        lines: Vec::new(),
    };
    let parts = Parts {
        start,
        outside,
        limits: setting::Limits::drawn(&mut rng),
        shards: *rng.pick(&[1, 2, 4]).unwrap_or(&1),
        users: users.clone(),
        plan,
        disk: disk(&mut rng, switch),
        switch,
        rng: rng.fork(),
    };
    let mut world = World::new(parts, crowd);
    let mut owners = Vec::new();
    for (name, config) in phones {
        for token in [&config.tokens.voip, &config.tokens.message] {
            // Who takes the rule away wants pushes that are overtaken by the end of their call.
            if switch == Switch::CallKit {
                let late = rng.between(Duration::from_secs(1), Duration::from_secs(20));
                world.cloud.decide(token, Fate::delivered([late]));
            } else if rng.chance(350) {
                world.cloud.decide(token, Fate::drawn(&mut rng));
            }
        }
        let (sip, chats) = (config.sip, config.xmpp.is_some());
        world.add(config);
        owners.push(plot::Owner { name, sip, chats });
    }
    let restarts = rng.chance(300);
    let mut plot = plot::drawn(&mut rng, &owners, &users, restarts);
    if outside.number.is_some() {
        let names: Vec<String> = owners.iter().map(|it| it.name.clone()).collect();
        let who = outside.phone(&mut rng).map(|config| world.add(config));
        plot.acts.extend(
            who.into_iter()
                .flat_map(|who| plot::outsider(&mut rng, who, &names, plot.calm)),
        );
    }
    for (at, act) in plot.acts {
        world.acts.push(start + at, act);
    }
    (world, plot.calm)
}

fn run<W: Watcher>(world: &mut World<W>, calm: Instant) -> Verdict {
    world.run_until(calm + DELIVERED, |_| false)?;
    world.checked(|check, scene| check.quiet(scene))?;
    let mut left = Ok(());
    world.run_until(calm + DELIVERED + IDLE, |world| {
        left = check::idle(&world.server);
        left.is_ok()
    })?;
    left
}

/// Any network, or what shows that a rule is missing. A bad one excuses much that happens to an app.
fn plan(rng: &mut Rng, switch: Switch) -> Plan {
    match switch {
        // Who takes these away wants connections that break and look as if they stood.
        Switch::AckWindow | Switch::DeadConnection => Plan {
            breaks: 50,
            half_open: 1_000,
            ..Plan::CALM
        },
        Switch::CallKit | Switch::CallsAgain => Plan::CALM,
        _ if rng.chance(350) => Plan::CALM,
        _ => Plan::drawn(rng),
    }
}

/// Any disk, the good ones more often.
fn disk(rng: &mut Rng, switch: Switch) -> Disk {
    let odds = |rng: &mut Rng, often, most| {
        let some = rng.chance(often);
        let odds = u16::try_from(rng.below(most)).unwrap_or_default();
        if some { odds } else { 0 }
    };
    let slow = [2, 20, 500];
    Disk {
        slowest: Duration::from_millis(*rng.pick(&slow).unwrap_or(&2)),
        refuses: odds(rng, 250, 300),
        kills: odds(rng, if switch == Switch::Commit { 1_000 } else { 150 }, 50),
    }
}
