//! Two ends over a connection that breaks, with stores that are slow and ends that restart: everything arrives once and in
//! order.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

/// What is on the way from one end to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wire {
    Item(u32),
    Ask,
    Answer(u32),
}

/// One end: a session, what it has sent that is under way, what it has got, and the order in which its store is done.
struct End {
    session: Resumption<u32>,
    wire: VecDeque<Wire>,
    got: Vec<u32>,
    storing: Vec<Seq>,
    next: u32,
}

const POLICY: Policy = Policy {
    ask_after_items: 3,
    ask_after: Duration::from_secs(2),
    dead_after: Duration::from_secs(15),
    max_items: 16,
    max_octets: 1000,
};

const ANSWERING: Answering = Answering {
    unasked_after: 4,
    patience: Duration::from_secs(1),
    max_open: 4,
};

/// Two ends, of which everything that was sent is to arrive.
struct World {
    now: Instant,
    ends: [End; 2],
    is_up: bool,
}

/// What happens next; which end, and a choice.
#[derive(Debug, Clone, Copy)]
enum Step {
    Send(usize),
    Deliver(usize),
    Store(usize, usize),
    Wait(u64),
    Break,
    Resume,
    Restart(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let end = 0..2_usize;
    prop_oneof![
        8 => end.clone().prop_map(Step::Send),
        8 => end.clone().prop_map(Step::Deliver),
        8 => (end.clone(), 0..4_usize).prop_map(|(end, which)| Step::Store(end, which)),
        2 => (0..3_u64).prop_map(Step::Wait),
        1 => Just(Step::Break),
        3 => Just(Step::Resume),
        1 => end.prop_map(Step::Restart),
    ]
}

impl World {
    /// Shortly before the counts begin again.
    fn new(counts: [u32; 2]) -> Self {
        let now = start();
        let end = |sent: u32, handled: u32| {
            let outbound = OutboundParts {
                acknowledged: sent,
                items: Vec::new(),
            };
            let parts = ResumptionParts { outbound, handled };
            End {
                session: Resumption::from_parts(now, POLICY, ANSWERING, parts),
                wire: VecDeque::new(),
                got: Vec::new(),
                storing: Vec::new(),
                next: 0,
            }
        };
        let ends = [end(counts[0], counts[1]), end(counts[1], counts[0])];
        let mut world = Self {
            now,
            ends,
            is_up: false,
        };
        world.resume();
        assert!(world.is_up);
        world
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Send(end) => self.send(end),
            Step::Deliver(end) => self.deliver(end),
            Step::Store(end, which) => self.store(end, which),
            Step::Wait(seconds) => self.now += Duration::from_secs(seconds),
            Step::Break => self.break_off(),
            Step::Resume => self.resume(),
            Step::Restart(end) => self.restart(end),
        }
        self.poll();
        for end in &self.ends {
            assert!(end.session.outbound.unacknowledged().len() <= POLICY.max_items);
            assert!(end.storing.len() <= ANSWERING.max_open);
        }
    }

    fn send(&mut self, end: usize) {
        let sender = &mut self.ends[end];
        if sender
            .session
            .outbound
            .sent(self.now, sender.next, 1)
            .is_ok()
        {
            if self.is_up {
                sender.wire.push_back(Wire::Item(sender.next));
            }
            sender.next += 1;
        }
    }

    /// The other end reads what is first on its way from this one.
    fn deliver(&mut self, from: usize) {
        let now = self.now;
        let Some(wire) = self.ends[from].wire.front().copied() else {
            return;
        };
        let reader = &mut self.ends[1 - from];
        match wire {
            Wire::Item(item) => match reader.session.inbound.arrived() {
                Ok(seq) => {
                    reader.got.push(item);
                    reader.storing.push(seq);
                }
                Err(TooMany) => return,
            },
            Wire::Ask => reader.session.inbound.asked(now),
            Wire::Answer(handled) => {
                let answer = reader.session.outbound.acknowledged(now, handled);
                assert!(answer.is_ok(), "{answer:?}");
            }
        }
        self.ends[from].wire.pop_front();
    }

    /// One of those that are being stored is durable.
    fn store(&mut self, end: usize, which: usize) {
        let end = &mut self.ends[end];
        if !end.storing.is_empty() {
            let seq = end.storing.remove(which % end.storing.len());
            end.session.inbound.kept(seq);
        }
    }

    fn break_off(&mut self) {
        self.is_up = false;
        for end in &mut self.ends {
            end.wire.clear();
            end.session.suspend();
        }
    }

    fn resume(&mut self) {
        if self.is_up
            || self
                .ends
                .iter()
                .any(|end| !end.session.inbound.is_settled())
        {
            return;
        }
        let handled = [0, 1].map(|end: usize| self.ends[end].session.inbound.handled());
        for (end, peer_has) in self.ends.iter_mut().zip([handled[1], handled[0]]) {
            let goes_on = end.session.resume(self.now, peer_has);
            assert!(goes_on.is_ok(), "{goes_on:?}");
            let again = end.session.outbound.unacknowledged();
            end.wire.extend(again.map(|item| Wire::Item(*item)));
        }
        self.is_up = true;
    }

    /// A server that stops, with all that it had promised in its store; its peer sees a connection that breaks.
    fn restart(&mut self, end: usize) {
        self.break_off();
        while !self.ends[end].storing.is_empty() {
            self.store(end, 0);
        }
        let end = &mut self.ends[end];
        let parts = end.session.clone().into_parts();
        end.session = Resumption::from_parts(self.now, POLICY, ANSWERING, parts);
    }

    fn poll(&mut self) {
        if !self.is_up {
            return;
        }
        for end in &mut self.ends {
            if let Some(handled) = end.session.inbound.poll(self.now) {
                end.wire.push_back(Wire::Answer(handled));
            }
            match end.session.outbound.poll(self.now) {
                Some(Due::Ask) => end.wire.push_back(Wire::Ask),
                Some(Due::Dead) => return self.break_off(),
                None => {}
            }
        }
    }

    /// A connection that holds, until nothing is left to do.
    fn settle(&mut self) {
        for _ in 0..400 {
            for end in 0..2 {
                self.step(Step::Store(end, 0));
                self.step(Step::Deliver(end));
            }
            self.step(Step::Resume);
        }
        for _ in 0..40 {
            self.step(Step::Wait(1));
            for end in [0, 1, 0, 1] {
                self.step(Step::Deliver(end));
                self.step(Step::Store(end, 0));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn everything_arrives_once_and_in_order_however_often_the_connection_breaks(
        counts in [prop::sample::select(vec![0, u32::MAX - 5]), prop::sample::select(vec![7, u32::MAX])],
        steps in prop::collection::vec(step(), 0..300),
    ) {
        let mut world = World::new(counts);
        for step in steps {
            world.step(step);
        }
        world.settle();
        for (from, to) in [(0, 1), (1, 0)] {
            let sent = world.ends[from].next;
            let got = &world.ends[to].got;
            prop_assert!(world.ends[to].session.inbound.is_settled());
            prop_assert!(got.iter().copied().eq(0..sent), "{got:?} of {sent}");
            let kept = world.ends[from].session.outbound.unacknowledged().len();
            prop_assert_eq!(kept, 0);
            prop_assert_eq!(world.ends[from].session.outbound.octets(), 0);
        }
    }
}
