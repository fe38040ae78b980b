//! Whatever happens in whatever order: a call ends with one final response or with 2xx, and nothing is left behind.

use std::collections::BTreeSet;

use proptest::prelude::*;
use sip::endpoint::{BranchId, Event};
use sip::{Message, Method};

use crate::world::{World, for_invite, request};

#[derive(Debug, Clone)]
enum Step {
    Fork(usize),
    /// The n-th INVITE that was forked gets this answer.
    Answer(usize, u16),
    /// The n-th CANCEL that was sent is answered.
    AnswerCancel(usize),
    Repeat,
    Cancel,
    Acknowledge,
    FlowFails(usize),
    /// The n-th branch is now reached where this phone is.
    Move(usize, usize),
    CallerFails,
    Hold(bool),
    Ring,
    CancelBranches,
    Finish(u16),
    Pass(u64),
}

const PEERS: [&str; 3] = ["phone", "tablet", "desk"];

fn step() -> impl Strategy<Value = Step> {
    let status = prop::sample::select(vec![
        100, 180, 183, 200, 302, 401, 404, 408, 486, 487, 503, 600, 603,
    ]);
    prop_oneof![
        4 => (0..PEERS.len()).prop_map(Step::Fork),
        8 => (0_usize..6, status).prop_map(|(nth, status)| Step::Answer(nth, status)),
        2 => (0_usize..4).prop_map(Step::AnswerCancel),
        1 => Just(Step::Repeat),
        1 => Just(Step::Cancel),
        1 => Just(Step::Acknowledge),
        1 => (0..PEERS.len()).prop_map(Step::FlowFails),
        2 => (0_usize..6, 0..PEERS.len()).prop_map(|(nth, peer)| Step::Move(nth, peer)),
        1 => Just(Step::CallerFails),
        2 => any::<bool>().prop_map(Step::Hold),
        1 => Just(Step::Ring),
        1 => Just(Step::CancelBranches),
        1 => prop::sample::select(vec![480, 486, 302]).prop_map(Step::Finish),
        3 => prop::sample::select(vec![10, 600, 5_000, 33_000, 190_000]).prop_map(Step::Pass),
    ]
}

/// What has been seen of a call.
#[derive(Default)]
struct Seen {
    invites: Vec<(&'static str, Message)>,
    cancels: Vec<(&'static str, Message)>,
    provisional_after_final: bool,
    accepted: usize,
    refused: BTreeSet<u16>,
    done: usize,
    branch_finals: Vec<BranchId>,
}

impl Seen {
    fn look(&mut self, world: &mut World) {
        for peer in PEERS {
            while let Some(message) = world.try_next(peer) {
                match message.method().unwrap() {
                    Method::Invite if !self.knows(&message) => self.invites.push((peer, message)),
                    Method::Cancel => self.cancels.push((peer, message)),
                    _ => {}
                }
            }
        }
        for event in world.told() {
            match event {
                Event::ContextDone { .. } => self.done += 1,
                Event::BranchFinal { branch, .. } => self.branch_finals.push(branch),
                _ => {}
            }
        }
        while let Some(message) = world.try_next("caller") {
            if message.cseq().unwrap().method != Method::Invite {
                continue;
            }
            match message.status().unwrap() {
                100..=199 => {
                    self.provisional_after_final |= self.accepted > 0 || !self.refused.is_empty();
                }
                200..=299 => self.accepted += 1,
                status => drop(self.refused.insert(status)),
            }
        }
    }

    fn knows(&self, invite: &Message) -> bool {
        self.invites.iter().any(|(_, known)| known == invite)
    }
}

fn play(world: &mut World, steps: &[Step]) -> (Seen, usize) {
    world.redials = true;
    let mut seen = Seen::default();
    let context = world.call();
    let mut forked = Vec::new();
    for step in steps {
        match step {
            Step::Fork(peer) => {
                let target = world.target(PEERS[*peer]);
                forked.extend(world.owner(|proxy, now| proxy.fork(now, context, &target)));
            }
            Step::Answer(nth, status) => {
                if let Some((peer, invite)) = seen.invites.get(*nth).cloned() {
                    world.answer(peer, &invite, *status);
                }
            }
            Step::AnswerCancel(nth) => {
                if let Some((peer, cancel)) = seen.cancels.get(*nth).cloned() {
                    world.answer(peer, &cancel, 200);
                }
            }
            // Later than the transaction lives, these would be another call, or nobody's.
            Step::Repeat if seen.done == 0 => world.send("caller", &request("INVITE", "call")),
            Step::Repeat => {}
            Step::Cancel => world.send("caller", &for_invite("CANCEL", "")),
            Step::Acknowledge if seen.refused.is_empty() => {}
            Step::Acknowledge => world.send("caller", &for_invite("ACK", "")),
            Step::FlowFails(peer) => world.flow_fails(PEERS[*peer]),
            Step::Move(nth, peer) => {
                if let Some(branch) = forked.get(*nth) {
                    let flow = world.flow(PEERS[*peer]);
                    world.owner(|proxy, now| proxy.move_branch(now, *branch, flow));
                }
            }
            Step::CallerFails => world.flow_fails("caller"),
            Step::Hold(held) => world.hold(context, *held),
            Step::Ring => world.owner(|proxy, now| proxy.provisional(now, context, 180, "")),
            Step::CancelBranches => {
                world.owner(|proxy, now| proxy.cancel_branches(now, context, None, None));
            }
            Step::Finish(status) => {
                world.owner(|proxy, now| proxy.finish(now, context, *status, None));
            }
            Step::Pass(time) => world.pass_ms(*time),
        }
        seen.look(world);
    }
    world.ends_clean();
    seen.look(world);
    (seen, forked.len())
}

fn check(mut world: World, steps: &[Step]) -> Result<(), TestCaseError> {
    let (seen, forked) = play(&mut world, steps);
    prop_assert_eq!(seen.done, 1);
    prop_assert!(!seen.provisional_after_final);
    if seen.accepted > 0 {
        prop_assert!(
            seen.refused.is_empty(),
            "both accepted and {:?}",
            seen.refused
        );
    } else {
        prop_assert_eq!(seen.refused.len(), 1, "{:?}", seen.refused);
    }
    let different: BTreeSet<_> = seen.branch_finals.iter().collect();
    prop_assert_eq!(different.len(), seen.branch_finals.len());
    prop_assert_eq!(different.len(), forked);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn every_call_ends_with_one_answer_and_nothing_left_over_udp(steps in prop::collection::vec(step(), 0..25)) {
        check(World::new(), &steps)?;
    }

    #[test]
    fn every_call_ends_with_one_answer_and_nothing_left_over_tcp(steps in prop::collection::vec(step(), 0..25)) {
        check(World::over_tcp(), &steps)?;
    }
}
