//! A world by hand: for tests that tell a story step by step. Nothing goes wrong in it by itself, and the same model looks
//! at every step as in the worlds of seeds.

use std::time::{Duration, Instant};

use domain::{Generation, Note, Notification, TraceEvent};
use push::seal::KeyPair;
use sip::endpoint::Transport;

use super::check;
use super::operator;
use super::plot::Act;
use super::server::Disk;
use super::setting::{self, DOMAIN, Outside, PASSWORD, Switch};
use super::world::{Parts, Seen, Watcher, World};
use crate::phone::machine::Order;
use crate::phone::{PhoneConfig, PhoneEvent, PushService, Tokens, XmppDoor};
use crate::rng::Rng;
use crate::sim::{Fate, Plan};

/// How long the way takes from a phone to the server, and back.
pub const ONE_WAY: Duration = Duration::from_millis(20);
/// So much later nothing is under way any more.
const IDLE: Duration = Duration::from_mins(5);

/// What happened, each with the time since the world began.
#[derive(Default)]
struct Log {
    phones: Vec<(Duration, usize, PhoneEvent)>,
    pushes: Vec<(Duration, usize, Notification)>,
    stories: Vec<(Duration, TraceEvent)>,
}

impl Watcher for Log {
    fn see(&mut self, since: Duration, seen: Seen<'_>) -> Option<(Duration, Act)> {
        match seen {
            Seen::Phone(who, event) => self.phones.push((since, who, event.clone())),
            Seen::Push(who, order) => {
                self.pushes.push((since, who, order.notification.clone()));
            }
            Seen::Note(Note::Story(event)) => self.stories.push((since, event.clone())),
            Seen::Note(_) | Seen::Line(_) => {}
        }
        None
    }

    fn reads_lines(&self) -> bool {
        false
    }
}

/// How a phone is reached.
#[derive(Clone, Copy, Debug, Default)]
pub struct Doors {
    /// Over SIP.
    pub sip: bool,
    /// Over XMPP.
    pub xmpp: bool,
    /// It hands its tokens over in its stream, and not with its registration or by the device API; one without a SIP door does so
    /// anyway.
    pub tokens_in_stream: bool,
}

/// A world by hand. What must not be is an error of the step at which it was seen.
pub struct Stage {
    world: World<Log>,
}

impl Stage {
    /// A world of these users, with a server of so many shards, a perfect network and a store that takes no time.
    pub fn new(start: Instant, shards: usize, users: &[&str]) -> Self {
        let parts = Parts {
            start,
            shards,
            outside: Outside::default(),
            limits: setting::Limits::WIDE,
            users: users
                .iter()
                .filter_map(|name| setting::user(name))
                .collect(),
            plan: Plan::CALM,
            disk: Disk {
                slowest: Duration::ZERO,
                ..Disk::GOOD
            },
            switch: Switch::None,
            rng: Rng::new(1),
        };
        let world = World::new(parts, Log::default());
        Self { world }
    }

    /// A phone of a user, with a key and the device API, in front and registered a second later.
    pub fn phone(
        &mut self,
        user: &str,
        transport: Transport,
        service: PushService,
        generation: Generation,
    ) -> Result<usize, String> {
        let doors = Doors {
            sip: true,
            ..Doors::default()
        };
        self.phone_by(doors, user, transport, service, generation)
    }

    /// The same of a phone with these doors.
    pub fn phone_by(
        &mut self,
        doors: Doors,
        user: &str,
        transport: Transport,
        service: PushService,
        generation: Generation,
    ) -> Result<usize, String> {
        let Doors { sip, xmpp, .. } = doors;
        let in_stream = xmpp && (doors.tokens_in_stream || !sip);
        let rng = &mut self.world.rng;
        let listeners = setting::listeners();
        let server = listeners.into_iter().find(|(own, _)| *own == transport);
        let server = server.ok_or("the server does not listen for that")?;
        let keys = KeyPair::from_bytes(rng.bytes(), rng.bytes());
        let config = PhoneConfig {
            generation,
            tokens: Tokens::drawn(&service, generation, rng),
            keys: Some(keys.map_err(|error| error.to_string())?),
            device_api: (!in_stream).then(|| format!("https://{DOMAIN}")),
            sip,
            xmpp: xmpp.then(|| XmppDoor {
                pushes: in_stream,
                copies: true,
                markers: true,
                ..setting::door()
            }),
            ..PhoneConfig::drawn(user, PASSWORD, DOMAIN, server, service, rng)
        };
        let who = self.world.add(config);
        self.order(who, Order::Register)?;
        self.run_for(Duration::from_secs(1))?;
        Ok(who)
    }

    /// What a phone is.
    pub fn config(&self, who: usize) -> &PhoneConfig {
        self.world.phones[who].phone.config()
    }

    /// Tells a phone to do something.
    pub fn order(&mut self, who: usize, order: Order) -> Result<(), String> {
        self.world.act(Act::Order(who, order))
    }

    /// The app of a phone is installed anew, and signs in: the same device, other tokens.
    pub fn reinstall(&mut self, who: usize) -> Result<(), String> {
        self.world.act(Act::Reinstall(who))
    }

    /// Decides what becomes of pushes to a token from now on.
    pub fn decide(&mut self, token: &str, fate: Fate) {
        self.world.cloud.decide(token, fate);
    }

    /// A phone leaves every network, or is back in reach; pushes find it either way.
    pub fn cut_off(&mut self, who: usize, cut_off: bool) {
        if cut_off {
            self.world.cut_off.insert(who);
        } else {
            self.world.cut_off.remove(&who);
        }
    }

    /// Calls for a user that nobody takes go there.
    pub fn forward(&mut self, user: &str, to: &str) -> Result<(), String> {
        let mut user = setting::user(user).ok_or("no such user")?;
        user.forward = Some(format!("sip:{to}@{DOMAIN}"));
        let order = operator::Order::Put(Box::new(user));
        self.world.act(Act::Operator(order))?;
        self.run_for(Duration::from_secs(1))
    }

    /// Lets time pass.
    pub fn run_for(&mut self, time: Duration) -> Result<(), String> {
        let end = self.world.clock.now() + time;
        self.world.run_until(end, |_| false)
    }

    /// The time since the world began.
    pub fn now(&self) -> Duration {
        self.world.clock.elapsed()
    }

    /// What was seen of a phone.
    pub fn seen(&self, who: usize) -> impl Iterator<Item = (Duration, &PhoneEvent)> {
        let all = self.world.watcher.phones.iter();
        all.filter(move |(_, of, _)| *of == who)
            .map(|(at, _, event)| (*at, event))
    }

    /// What was pushed to a phone.
    pub fn pushes(&self, who: usize) -> impl Iterator<Item = (Duration, &Notification)> {
        let all = self.world.watcher.pushes.iter();
        all.filter(move |(_, of, _)| *of == who)
            .map(|(at, _, push)| (*at, push))
    }

    /// Every line of every story.
    pub fn stories(&self) -> impl Iterator<Item = (Duration, &TraceEvent)> {
        let all = self.world.watcher.stories.iter();
        all.map(|(at, event)| (*at, event))
    }

    /// Everything has come to its end, and nothing is left of it.
    pub fn ends(mut self) -> Result<(), String> {
        self.run_for(IDLE)?;
        self.world.checked(|check, scene| check.quiet(scene))?;
        check::idle(&self.world.server)
    }
}
