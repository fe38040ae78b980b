//! Random interleavings: whatever happens in whatever order, every sender hears one word, nothing goes twice, and in the
//! end nothing is left.

use crate::world::*;
use domain::{Change, Notification, Outcome, PushEnd};
use proptest::prelude::*;
use pushd::{Input, Limits, Mode};
use std::{collections::BTreeSet, time::Duration};

#[derive(Clone, Debug)]
enum Step {
    Submit {
        tenant: bool,
        other: bool,
        id: u8,
        call: bool,
        queue: bool,
    },
    Answer(usize, u8),
    Save(usize, bool),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (any::<bool>(), any::<bool>(), 0..12u8, any::<bool>(), any::<bool>()).prop_map(
            |(tenant, other, id, call, queue)| Step::Submit { tenant, other, id, call, queue }
        ),
        4 => (any::<usize>(), 0..4u8).prop_map(|(at, how)| Step::Answer(at, how)),
        4 => (any::<usize>(), prop::bool::weighted(0.8)).prop_map(|(at, well)| Step::Save(at, well)),
        1 => (0..20_000u64).prop_map(Step::Wait),
    ]
}

fn outcome(how: u8) -> Outcome {
    match how {
        0 | 1 => accepted(),
        2 => unavailable(),
        _ => Outcome::TokenDead {
            since: None,
            reason: "gone".to_owned(),
        },
    }
}

/// What must hold between steps.
struct Watch {
    submitted: usize,
    /// Tenants are told by their token.
    final_ids: BTreeSet<(String, String)>,
}

fn limits() -> Limits {
    Limits {
        in_flight: 5,
        in_flight_per_app: 3,
        failures: 3,
        ..Limits::default()
    }
}

impl Watch {
    fn check(&self, world: &World) {
        assert!(world.sent.len() <= 5);
        let mut under_way = BTreeSet::new();
        for (_, push) in &world.sent {
            let key = (push.token.clone(), push.id.to_string());
            assert!(
                !self.final_ids.contains(&key),
                "sent after its end: {key:?}"
            );
            assert!(under_way.insert(key), "twice on its way");
        }
        for app in ["app", "other"] {
            let of = world
                .sent
                .iter()
                .filter(|(_, push)| push.app.as_str() == app);
            assert!(of.count() <= 3, "{app} has more than its room");
        }
    }
}

fn take(world: &mut World, watch: &mut Watch, step: &Step) {
    match *step {
        Step::Submit {
            tenant,
            other,
            id,
            call: is_call,
            queue,
        } => {
            // An id is of one kind.
            let kind = if is_call { "c" } else { "m" };
            let id = format!("{kind}{id}{other}");
            let push = if is_call { call(&id) } else { message(&id) };
            let tenant = if tenant { "a" } else { "b" };
            let push = Notification {
                app: if other { "other" } else { "app" }.into(),
                token: tenant.to_owned(),
                collapse: Some(id.clone()),
                ..push
            };
            watch.submitted += 1;
            let mode = if queue { Mode::Queue } else { Mode::Wait };
            world.submit(tenant, push, mode);
        }
        Step::Answer(at, how) if !world.sent.is_empty() => {
            let (id, push) = world.sent.remove(at % world.sent.len());
            let outcome = outcome(how);
            if how != 2 {
                let key = (push.token, push.id.to_string());
                watch.final_ids.insert(key);
            }
            world.handle(Input::Answered(id, outcome));
        }
        Step::Save(at, well) if !world.saves.is_empty() => {
            let (id, change) = world.saves.remove(at % world.saves.len());
            if well {
                world.saved.push(change);
            }
            world.handle(Input::Saved(id, well));
        }
        Step::Wait(millis) => world.wait(Duration::from_millis(millis)),
        Step::Answer(..) | Step::Save(..) => {}
    }
    watch.check(world);
}

/// Everything that is promised is kept, or has ended.
fn settle(world: &mut World, watch: &mut Watch) {
    for _ in 0..10_000 {
        if !world.saves.is_empty() {
            take(world, watch, &Step::Save(0, true));
        } else if !world.sent.is_empty() {
            take(world, watch, &Step::Answer(0, 0));
        } else if world.service.load() != (0, 0) || world.replies.len() < watch.submitted {
            take(world, watch, &Step::Wait(10_000));
        } else {
            return;
        }
    }
    panic!("it never ends: {:?}", world.service.load());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_sender_hears_one_word_and_nothing_goes_twice(steps in prop::collection::vec(step(), 1..200)) {
        let mut world = World::new(limits());
        world.saves_by_itself = false;
        let mut watch = Watch { submitted: 0, final_ids: BTreeSet::new() };
        for step in steps {
            take(&mut world, &mut watch, &step);
        }
        settle(&mut world, &mut watch);
        prop_assert_eq!(world.replies.len(), watch.submitted);
        let promised: BTreeSet<_> = world.saved.iter().filter_map(|change| match change {
            Change::QueuePush(queued) => Some((queued.tenant.clone(), queued.push.id.clone())),
            _ => None,
        }).collect();
        let ended: Vec<_> = world.ends().into_iter().map(|it| (it.tenant.clone(), it.id.clone())).collect();
        let once: BTreeSet<_> = ended.iter().cloned().collect();
        prop_assert_eq!(once.len(), ended.len(), "one end each");
        prop_assert_eq!(promised, once, "what was promised has ended");
        let expired = |it: &&domain::SettledPush| matches!(it.end, PushEnd::Expired { .. });
        prop_assert!(!world.ends().iter().any(expired), "nothing took an hour");
    }
}
