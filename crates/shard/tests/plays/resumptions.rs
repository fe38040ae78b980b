//! Two users write to each other while their connections break, their clients come back, and the store takes its time. What
//! a writer saw acknowledged is read once, and all that is read is read in the order in which it was written.

use crate::{users::DOMAIN, world::World};
use proptest::prelude::*;
use shard::Input;
use std::{collections::VecDeque, time::Duration};
use xmpp::{ns, stream::Framing, xml::Element};

const NAMES: [&str; 2] = ["alice", "bob"];

#[derive(Clone, Copy, Debug)]
enum Act {
    /// It writes to the other, and asks what was handled.
    Writes(usize),
    /// What it writes gets lost.
    WritesInVain(usize),
    /// What is written to it gets lost, until it connects again.
    Deafens(usize),
    /// It says nothing of what it gets, until it connects again.
    FallsSilent(usize),
    /// The server notices that its connection is gone.
    Breaks(usize),
    /// It connects again and goes on.
    Resumes(usize),
    /// It says that all that it got it got, leaves, and comes anew.
    Leaves(usize),
    /// Whether somebody looks at it.
    Looks(usize, bool),
    /// It is there, or is not.
    IsThere(usize, bool),
    StoreWaits,
    StoreAnswers,
    /// The server stops, and starts with so many shards.
    Restarts(usize),
    /// The same, but it is killed; if it has noticed that both connections are gone.
    Killed(usize),
    Passes(u64),
}

fn act() -> impl Strategy<Value = Act> {
    let who = || 0..2_usize;
    prop_oneof![
        12 => who().prop_map(Act::Writes),
        2 => who().prop_map(Act::WritesInVain),
        2 => who().prop_map(Act::Deafens),
        2 => who().prop_map(Act::FallsSilent),
        4 => who().prop_map(Act::Breaks),
        6 => who().prop_map(Act::Resumes),
        1 => who().prop_map(Act::Leaves),
        2 => (who(), any::<bool>()).prop_map(|(who, somebody)| Act::Looks(who, somebody)),
        1 => (who(), any::<bool>()).prop_map(|(who, is)| Act::IsThere(who, is)),
        2 => Just(Act::StoreWaits),
        3 => Just(Act::StoreAnswers),
        1 => (1..4_usize).prop_map(Act::Restarts),
        1 => (1..4_usize).prop_map(Act::Killed),
        3 => (0..5_000_u64).prop_map(Act::Passes),
    ]
}

/// A client that resumes, as its user's phone has it.
struct Phone {
    name: String,
    /// How often it has connected.
    connected: usize,
    session: String,
    is_silent: bool,
    is_broken: bool,
    /// The server has noticed that, and it has not come back.
    is_lost: bool,
    /// What it sent and the server has not acknowledged; how much it has.
    sent: VecDeque<(Option<u32>, String)>,
    acknowledged: u32,
    /// How many stanzas it got.
    handled: u32,
    /// Messages that it wrote, the last one; those acknowledged; those that it got.
    last: u32,
    safe: Vec<u32>,
    got: Vec<u32>,
}

struct Pair {
    world: World,
    phones: [Phone; 2],
}

impl Pair {
    fn new(shards: usize) -> Self {
        let phone = |name: &str| Phone {
            name: name.to_owned(),
            connected: 0,
            session: String::new(),
            is_silent: false,
            is_broken: false,
            is_lost: false,
            sent: VecDeque::new(),
            acknowledged: 0,
            handled: 0,
            last: 0,
            safe: Vec::new(),
            got: Vec::new(),
        };
        let mut pair = Self {
            world: World::new(shards, Framing::Tcp),
            phones: NAMES.map(phone),
        };
        (0..2).for_each(|who| pair.begins(who));
        pair
    }

    fn client(&self, who: usize) -> String {
        let phone = &self.phones[who];
        format!("{}/phone#{}", phone.name, phone.connected)
    }

    /// A session begins.
    fn begins(&mut self, who: usize) {
        let phone = &mut self.phones[who];
        phone.connected += 1;
        (phone.acknowledged, phone.handled) = (0, 0);
        (phone.is_silent, phone.is_broken) = (false, false);
        phone.is_lost = false;
        phone.sent.clear();
        let client = self.client(who);
        self.world.signs_in(&client, None).unwrap();
        let enable = format!("<enable xmlns='{}' resume='true'/>", ns::SM);
        self.world.writes(&client, &enable).unwrap();
        self.hears(who);
        self.sends(who, None, "<presence/>");
    }

    fn sends(&mut self, who: usize, message: Option<u32>, stanza: &str) {
        self.phones[who]
            .sent
            .push_back((message, stanza.to_owned()));
        if !self.phones[who].is_broken {
            let client = self.client(who);
            let asks = format!("{stanza}<r xmlns='{}'/>", ns::SM);
            self.world.writes(&client, &asks).unwrap();
        }
        self.all_hear();
    }

    fn writes(&mut self, who: usize) {
        let phone = &mut self.phones[who];
        phone.last += 1;
        let number = phone.last;
        let to = NAMES[1 - who];
        let stanza = format!(
            "<message type='chat' id='m{number}' to='{to}@{DOMAIN}'><body>{number}</body></message>"
        );
        self.sends(who, Some(number), &stanza);
    }

    fn all_hear(&mut self) {
        while (0..2).any(|who| self.hears(who)) {}
    }

    /// It reads what it was sent, and says so. Whether there was anything.
    fn hears(&mut self, who: usize) -> bool {
        let client = self.client(who);
        let mut any = false;
        loop {
            // The other one has not come yet.
            let Ok(it) = self.world.client(&client) else {
                return any;
            };
            let Some(element) = it.inbox.pop_front() else {
                self.phones[who].is_broken |= it.closed.0;
                return any;
            };
            any = true;
            self.reads(who, &element);
        }
    }

    fn reads(&mut self, who: usize, element: &Element) {
        let phone = &mut self.phones[who];
        let count = || element.attr("h").and_then(|it| it.parse().ok());
        match (element.namespace(), element.local()) {
            (ns::SM, "enabled") => element.attr("id").unwrap().clone_into(&mut phone.session),
            (ns::SM, "r") => self.acknowledges(who),
            (ns::SM, "a") => phone.is_told(count().unwrap()),
            (ns::SM, "resumed") => {
                phone.is_broken = false;
                phone.is_told(count().unwrap());
                let again: Vec<String> = phone.sent.iter().map(|it| it.1.clone()).collect();
                let client = self.client(who);
                for stanza in again {
                    self.world.writes(&client, &stanza).unwrap();
                }
            }
            (ns::SM, _) => panic!("{element:?}"),
            (ns::CLIENT, kind) => {
                phone.handled += 1;
                assert_ne!(element.attr("type"), Some("error"), "{element:?}");
                if kind == "message" {
                    let body = element.child(ns::CLIENT, "body").unwrap().text();
                    phone.got.push(body.parse().unwrap());
                }
            }
            _ => {}
        }
    }

    fn acknowledges(&mut self, who: usize) {
        let phone = &self.phones[who];
        if !phone.is_silent && !phone.is_broken {
            let count = format!("<a xmlns='{}' h='{}'/>", ns::SM, phone.handled);
            let client = self.client(who);
            self.world.writes(&client, &count).unwrap();
        }
    }

    fn resumes(&mut self, who: usize) {
        let phone = &mut self.phones[who];
        phone.connected += 1;
        // It says nothing until it hears that it goes on.
        (phone.is_silent, phone.is_broken) = (false, true);
        phone.is_lost = false;
        let resume = format!(
            "<resume xmlns='{}' previd='{}' h='{}'/>",
            ns::SM,
            phone.session,
            phone.handled
        );
        let client = self.client(who);
        self.world.shows_itself(&client, None).unwrap();
        self.world.writes(&client, &resume).unwrap();
        self.all_hear();
    }

    fn says(&mut self, who: usize, what: &str) {
        if !self.phones[who].is_broken {
            let client = self.client(who);
            self.world.writes(&client, what).unwrap();
            self.all_hear();
        }
    }

    fn is_deaf(&mut self, who: usize) -> bool {
        let client = self.client(who);
        self.world.client(&client).is_ok_and(|it| it.deaf)
    }

    fn leaves(&mut self, who: usize) {
        let phone = &self.phones[who];
        if phone.is_broken || phone.is_silent || self.is_deaf(who) {
            return;
        }
        self.acknowledges(who);
        self.says(who, "</stream:stream>");
        self.begins(who);
    }

    fn answers(&mut self) {
        let answers = self.world.store.answers();
        for (shard, id, result) in answers {
            let saved = Input::Saved(id, result);
            self.world.inputs.push_back((shard, saved));
        }
        self.world.settle();
        self.all_hear();
    }

    fn restarts(&mut self, shards: usize) {
        self.world.restarts(shards);
        for phone in &mut self.phones {
            (phone.is_broken, phone.is_lost) = (true, true);
        }
    }

    fn does(&mut self, act: Act) {
        match act {
            Act::Writes(who) => self.writes(who),
            Act::WritesInVain(who) => {
                self.phones[who].is_broken = true;
                self.writes(who);
            }
            Act::Deafens(who) => {
                let client = self.client(who);
                if let Ok(client) = self.world.client(&client) {
                    client.deaf = true;
                }
            }
            Act::FallsSilent(who) => self.phones[who].is_silent = true,
            Act::Breaks(who) => {
                let client = self.client(who);
                self.phones[who].is_broken = true;
                if self.world.lost(&client).is_ok() {
                    self.phones[who].is_lost = true;
                    self.all_hear();
                }
            }
            Act::Resumes(who) => self.resumes(who),
            Act::Leaves(who) => self.leaves(who),
            Act::Looks(who, somebody) => {
                let word = if somebody { "active" } else { "inactive" };
                self.says(who, &format!("<{word} xmlns='{}'/>", ns::CSI));
            }
            Act::IsThere(who, is) => {
                let presence = if is {
                    "<presence/>"
                } else {
                    "<presence type='unavailable'/>"
                };
                self.sends(who, None, presence);
            }
            Act::StoreWaits => self.world.store.holds = true,
            Act::StoreAnswers => self.answers(),
            Act::Restarts(shards) => {
                self.world.stops();
                self.answers();
                let mut shards_now = self.world.shards.iter();
                assert!(!shards_now.any(shard::Shard::is_keeping));
                self.restarts(shards);
            }
            Act::Killed(shards) if self.phones.iter().all(|it| it.is_lost) => {
                self.answers();
                self.restarts(shards);
            }
            Act::Killed(_) => {}
            Act::Passes(time) => {
                self.world.pass(Duration::from_millis(time));
                self.all_hear();
            }
        }
    }

    /// All come back, and all is said.
    fn ends(&mut self) {
        self.answers();
        for who in [0, 1, 0, 1] {
            self.resumes(who);
            self.answers();
            self.sends(who, None, "<presence/>");
            for _ in 0..4 {
                self.does(Act::Passes(20_000));
            }
        }
        for (who, phone) in self.phones.iter().enumerate() {
            assert!(phone.sent.is_empty(), "not acknowledged: {:?}", phone.sent);
            let got = &self.phones[1 - who].got;
            assert!(got.is_sorted_by(|one, next| one < next), "{got:?}");
            for number in &phone.safe {
                assert!(got.contains(number), "{number} was lost: {got:?}");
            }
        }
    }
}

impl Phone {
    fn is_told(&mut self, handled: u32) {
        let more = usize::try_from(handled - self.acknowledged).unwrap();
        self.acknowledged = handled;
        self.safe
            .extend(self.sent.drain(..more).filter_map(|it| it.0));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn what_was_acknowledged_arrives_once_and_in_order(
        shards in 1..3_usize,
        acts in prop::collection::vec(act(), 1..60),
    ) {
        let mut pair = Pair::new(shards);
        for act in acts {
            pair.does(act);
        }
        pair.ends();
    }
}

/// What two clients do while one of them is cut off.
const DAY: [Act; 9] = [
    Act::Writes(0),
    Act::StoreWaits,
    Act::Writes(1),
    Act::Writes(0),
    Act::StoreAnswers,
    Act::Writes(1),
    Act::FallsSilent(1),
    Act::Passes(6_000),
    Act::Writes(0),
];

#[test]
fn wherever_a_connection_breaks_and_whenever_its_client_is_back_all_arrives_once() {
    for who in 0..2 {
        for deaf in 0..=DAY.len() {
            for broken in deaf..=DAY.len() {
                for back in broken..=DAY.len() {
                    let mut pair = Pair::new(1);
                    for at in 0..=DAY.len() {
                        for (when, act) in [
                            (deaf, Act::Deafens(who)),
                            (broken, Act::Breaks(who)),
                            (back, Act::Resumes(who)),
                        ] {
                            if when == at {
                                pair.does(act);
                            }
                        }
                        if let Some(act) = DAY.get(at) {
                            pair.does(*act);
                        }
                    }
                    pair.ends();
                }
            }
        }
    }
}

#[test]
fn what_a_client_has_said_that_it_has_does_not_come_again_when_it_leaves_while_its_resumption_is_being_kept()
 {
    for shards in 1..3 {
        let mut pair = Pair::new(shards);
        let acts = [
            Act::Deafens(0),
            Act::Writes(1),
            Act::StoreWaits,
            Act::Breaks(0),
            Act::Resumes(0),
            Act::Leaves(0),
        ];
        for act in acts {
            pair.does(act);
        }
        pair.ends();
        assert_eq!(pair.phones[0].got, [1]);
    }
}

#[test]
fn what_a_client_has_is_not_given_again_though_the_store_refused_to_hear_of_it_before_it_stopped() {
    for refuses_again in [false, true] {
        let mut pair = Pair::new(1);
        pair.does(Act::FallsSilent(1));
        pair.does(Act::Writes(0));
        pair.phones[1].is_silent = false;
        pair.world.store.refuses = Some(hub::NotDone::Failed("busy".to_owned()));
        pair.acknowledges(1);
        pair.world.settle();
        assert_eq!(pair.world.store.queued(), 1);
        pair.world.store.refuses = None;
        // What it is asked first when the server stops.
        pair.world.refuses = refuses_again;
        pair.does(Act::Restarts(1));
        assert_eq!(pair.world.store.queued(), 0);
        pair.ends();
        assert_eq!(pair.phones[1].got, [1]);
    }
}

/// More than as many as may wait for one device (`users::hub_config`), several times over.
const MANY: usize = 70;

#[test]
fn what_is_more_than_a_queue_holds_is_in_the_archive_and_arrives_in_order() {
    for shards in [1, 2] {
        // While it is away, before it has got all of it, and never.
        for restart in [Some(0), Some(25), None] {
            let mut pair = Pair::new(shards);
            pair.does(Act::Breaks(1));
            for number in 0..MANY {
                pair.does(Act::Writes(0));
                if restart == Some(number) {
                    pair.does(Act::Restarts(3 - shards));
                    pair.does(Act::Resumes(0));
                }
            }
            let phone = &pair.phones[0];
            assert_eq!(phone.safe.len(), MANY, "the writer is not refused");
            let queued = pair.world.store.queued();
            assert!(queued <= 20, "the queue keeps its limit: {queued}");
            pair.does(Act::Resumes(1));
            // What is written while it catches up comes behind that.
            pair.does(Act::Writes(0));
            pair.ends();
            let all: Vec<u32> = (1..=pair.phones[0].last).collect();
            assert_eq!(pair.phones[1].got, all);
            assert_eq!(pair.world.store.queued(), 0);
        }
    }
}

#[test]
fn what_went_over_waits_for_the_next_client_if_its_own_does_not_come_back() {
    let mut pair = Pair::new(1);
    pair.does(Act::Breaks(1));
    for _ in 0..MANY {
        pair.does(Act::Writes(0));
    }
    // Longer than it may be away.
    pair.does(Act::Passes(301_000));
    pair.begins(1);
    pair.ends();
    let all: Vec<u32> = (1..=u32::try_from(MANY).unwrap()).collect();
    assert_eq!(pair.phones[1].got, all);
    assert_eq!(pair.world.store.queued(), 0);
}
