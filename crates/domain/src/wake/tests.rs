//! The wake under virtual time: one small world a test, told by [`World`].

use super::*;
use crate::{Mode, Timestamp, behaviour::Incoming};
use std::time::Duration;

const IOS: PlatformRules = PlatformRules {
    cancel_push: false,
    must_see_call: true,
};
const ANDROID: PlatformRules = PlatformRules {
    cancel_push: true,
    must_see_call: false,
};

struct World {
    start: Instant,
    wake: Wake,
    effects: Vec<Effect>,
}

fn id(name: &str) -> DeviceId {
    name.into()
}

fn candidate(name: &str, mode: Mode, platform: PlatformRules) -> Candidate {
    Candidate {
        device: id(name),
        mode,
        q: 1000,
        push: Pushable::Yes(platform),
    }
}

fn no_push(name: &str, mode: Mode) -> Candidate {
    Candidate {
        device: id(name),
        mode,
        q: 1000,
        push: Pushable::No("no token".to_owned()),
    }
}

impl World {
    fn call(candidates: Vec<Candidate>) -> Self {
        Self::call_with(candidates, &Behaviour::default())
    }

    #[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
    fn call_with(candidates: Vec<Candidate>, behaviour: &Behaviour) -> Self {
        let start = Instant::now();
        let (wake, effects) = Wake::start(start, candidates, behaviour, Timers::default());
        let world = Self {
            start,
            wake,
            effects,
        };
        world.assert_told();
        world
    }

    /// What is done to a device is told in the same breath, and nothing is told that is not done.
    fn assert_told(&self) {
        let told = |wanted: &[Step]| {
            let lines = self.effects.iter().filter_map(|effect| match effect {
                Effect::Trace(step, device, _) if wanted.contains(step) => Some(device.clone()),
                _ => None,
            });
            lines.collect::<Vec<_>>()
        };
        let mut sent = Vec::new();
        let (mut rings, mut shown) = (0, Vec::new());
        for effect in &self.effects {
            match effect {
                Effect::Fork(device) | Effect::Repeat(device) => sent.push(Some(device.clone())),
                Effect::ShowEnded(device) | Effect::EndFollows(device) => {
                    shown.push(Some(device.clone()));
                }
                Effect::Ring => rings += 1,
                _ => {}
            }
        }
        assert_eq!(told(&[Step::InviteSent]), sent);
        assert_eq!(told(&[Step::CallerHearsRinging]).len(), rings);
        let returned = told(&[Step::DeviceReturned]);
        let explained = |device| sent.contains(device) || shown.contains(device);
        assert!(returned.iter().all(explained), "{:?}", self.effects);
    }

    fn at(&mut self, millis: u64, input: Input) -> &mut Self {
        self.pass(millis);
        let now = self.start + Duration::from_millis(millis);
        self.effects = self.wake.step(now, input);
        self.assert_told();
        self
    }

    /// Lets time pass until `millis` after the INVITE, taking every timeout on the way.
    fn pass(&mut self, millis: u64) -> &mut Self {
        let until = self.start + Duration::from_millis(millis);
        self.effects.clear();
        while let Some(next) = self.wake.next_timeout().filter(|next| *next <= until) {
            self.effects.extend(self.wake.timeout(next));
            let later = self.wake.next_timeout().is_none_or(|after| after > next);
            assert!(later, "a timeout that comes again at once");
        }
        self.assert_told();
        self
    }

    fn returns(&mut self, millis: u64, name: &str) -> &mut Self {
        self.at(
            millis,
            Input::Returned {
                device: id(name),
                fresh: true,
            },
        )
    }

    fn rings(&mut self, millis: u64, name: &str) -> &mut Self {
        self.at(
            millis,
            Input::Progress {
                device: id(name),
                ringing: true,
            },
        )
    }

    fn push_ends(&mut self, millis: u64, name: &str, outcome: Outcome) -> &mut Self {
        self.at(
            millis,
            Input::Pushed {
                device: id(name),
                outcome,
            },
        )
    }

    fn accepted(&mut self, millis: u64, name: &str) -> &mut Self {
        self.push_ends(
            millis,
            name,
            Outcome::Accepted {
                provider_id: "1".to_owned(),
            },
        )
    }

    fn fails(&mut self, millis: u64, name: &str, failure: Failure) -> &mut Self {
        self.at(
            millis,
            Input::Failed {
                device: id(name),
                why: "486".to_owned(),
                failure,
            },
        )
    }

    /// What was to be done, without the story.
    fn done(&self) -> Vec<Effect> {
        let told = |effect: &&Effect| !matches!(effect, Effect::Trace(..) | Effect::Measured(..));
        self.effects.iter().filter(told).cloned().collect()
    }

    fn assert(&self, expected: &[Effect]) {
        assert_eq!(self.done(), expected);
    }
}

fn dead() -> Outcome {
    Outcome::TokenDead {
        since: Some(Timestamp(1)),
        reason: "Unregistered".to_owned(),
    }
}

#[test]
fn a_device_in_the_foreground_gets_the_invite_and_a_push_at_the_same_moment() {
    World::call(vec![candidate("a", Mode::Foreground, IOS)])
        .assert(&[Effect::Push(id("a")), Effect::Fork(id("a"))]);
}

#[test]
fn invite_is_held_until_the_phone_registers() {
    let mut world = World::call(vec![candidate("a", Mode::Suspended, IOS)]);
    world.assert(&[Effect::Push(id("a"))]);
    world.accepted(50, "a").assert(&[]);
    world.returns(2500, "a").assert(&[Effect::Fork(id("a"))]);
    world.rings(2600, "a").assert(&[]);
    world
        .at(4000, Input::Answered(id("a")))
        .assert(&[Effect::Ended(Verdict::Answered)]);
}

#[test]
fn the_caller_hears_ringing_after_five_seconds_and_not_before() {
    let mut world = World::call(vec![candidate("a", Mode::Suspended, IOS)]);
    world.accepted(50, "a").pass(4999).assert(&[]);
    world.pass(5000).assert(&[Effect::Ring]);
}

#[test]
fn a_phone_that_rings_before_five_seconds_spares_the_caller_ours() {
    let mut world = World::call(vec![candidate("a", Mode::Suspended, IOS)]);
    world
        .accepted(50, "a")
        .returns(1000, "a")
        .rings(1100, "a")
        .pass(12_000)
        .assert(&[]);
}

#[test]
fn the_wake_fails_after_thirteen_seconds() {
    let mut world = World::call(vec![candidate("a", Mode::Suspended, ANDROID)]);
    world.accepted(50, "a").pass(12_999).assert(&[Effect::Ring]);
    world.pass(13_000).assert(&[
        Effect::CancelAll,
        Effect::PushCancelled(id("a")),
        Effect::PushMissed(id("a")),
        Effect::Ended(Verdict::Unreachable),
        Effect::GiveUp,
    ]);
}

#[test]
fn a_device_that_came_back_in_time_may_ring_past_thirteen_seconds() {
    let mut world = World::call(vec![candidate("a", Mode::Suspended, ANDROID)]);
    world
        .accepted(50, "a")
        .returns(12_900, "a")
        .rings(13_500, "a")
        .pass(73_499)
        .assert(&[]);
    world.pass(73_500).assert(&[
        Effect::CancelAll,
        Effect::Ended(Verdict::NoAnswer),
        Effect::GiveUp,
    ]);
}

#[test]
fn a_dead_token_ends_the_last_hope_at_once() {
    let mut world = World::call(vec![candidate("a", Mode::Suspended, ANDROID)]);
    world.push_ends(40, "a", dead()).assert(&[
        Effect::CancelAll,
        Effect::PushMissed(id("a")),
        Effect::Ended(Verdict::Unreachable),
        Effect::GiveUp,
    ]);
}

#[test]
fn a_dead_token_of_one_device_leaves_the_hope_in_the_other() {
    let mut world = World::call(vec![
        candidate("a", Mode::Suspended, ANDROID),
        candidate("b", Mode::Suspended, IOS),
    ]);
    world.push_ends(40, "a", dead()).assert(&[]);
    world.returns(900, "b").assert(&[Effect::Fork(id("b"))]);
}

#[test]
fn a_dead_token_does_not_matter_to_a_device_that_rings_over_its_connection() {
    let mut world = World::call(vec![candidate("a", Mode::Foreground, IOS)]);
    world.rings(20, "a").push_ends(40, "a", dead()).assert(&[]);
    assert!(world.wake.is_waking());
}

#[test]
fn silence_of_a_contact_without_connection_is_judged_by_the_wake_timeout() {
    let mut world = World::call(vec![candidate("a", Mode::Unknown, ANDROID)]);
    world.push_ends(40, "a", dead()).assert(&[]);
    world.pass(12_999).assert(&[Effect::Ring]);
    world.pass(13_000);
    assert!(world.done().contains(&Effect::GiveUp));
}

#[test]
fn nobody_to_ring_is_known_at_once() {
    let world = World::call(vec![]);
    world.assert(&[
        Effect::CancelAll,
        Effect::Ended(Verdict::Unreachable),
        Effect::GiveUp,
    ]);
    let world = World::call(vec![no_push("a", Mode::Suspended)]);
    assert!(world.done().contains(&Effect::GiveUp));
}

#[test]
fn a_device_whose_connection_turns_out_dead_is_waited_for_if_it_was_pushed() {
    let mut world = World::call(vec![candidate("a", Mode::Foreground, IOS)]);
    world
        .accepted(10, "a")
        .fails(20, "a", Failure::Unreachable)
        .assert(&[]);
    world.returns(3000, "a").assert(&[Effect::Fork(id("a"))]);
}

#[test]
fn a_device_that_declines_is_not_rung_again() {
    let mut world = World::call(vec![
        candidate("a", Mode::Suspended, IOS),
        candidate("b", Mode::Suspended, IOS),
    ]);
    world
        .accepted(10, "a")
        .accepted(10, "b")
        .returns(1000, "a")
        .rings(1010, "a");
    world.fails(1500, "a", Failure::Declined).assert(&[]);
    world.returns(1600, "a").assert(&[]);
    world.returns(1700, "b").assert(&[Effect::Fork(id("b"))]);
}

#[test]
fn a_decline_on_all_devices_ends_the_wake_for_the_sleeping_ones_too() {
    let mut world = World::call(vec![
        candidate("a", Mode::Foreground, IOS),
        candidate("b", Mode::Suspended, ANDROID),
    ]);
    world.accepted(10, "b").rings(20, "a");
    world.fails(900, "a", Failure::DeclinedEverywhere).assert(&[
        Effect::PushCancelled(id("b")),
        Effect::Ended(Verdict::Declined),
    ]);
    world.returns(1000, "b").assert(&[]);
}

#[test]
fn answered_elsewhere_tells_the_android_phone_and_shows_the_iphone_when_it_returns() {
    let devices = vec![
        candidate("tablet", Mode::Foreground, IOS),
        candidate("droid", Mode::Suspended, ANDROID),
        candidate("iphone", Mode::Suspended, IOS),
    ];
    let mut world = World::call(devices);
    world
        .accepted(10, "droid")
        .accepted(10, "iphone")
        .rings(20, "tablet");
    world.at(1000, Input::Answered(id("tablet"))).assert(&[
        Effect::PushCancelled(id("droid")),
        Effect::Ended(Verdict::Answered),
    ]);
    world
        .returns(1500, "iphone")
        .assert(&[Effect::ShowEnded(id("iphone"))]);
    world.fails(1550, "iphone", Failure::Declined);
    world.returns(1600, "iphone").assert(&[]);
    assert!(world.wake.is_finished());
}

#[test]
fn a_woken_phone_that_returns_after_the_caller_gave_up_still_sees_the_call() {
    let mut world = World::call(vec![candidate("a", Mode::Suspended, IOS)]);
    world
        .accepted(10, "a")
        .at(800, Input::CallerCancelled)
        .assert(&[
            Effect::CancelAll,
            Effect::PushMissed(id("a")),
            Effect::Ended(Verdict::Cancelled),
        ]);
    world
        .returns(1500, "a")
        .assert(&[Effect::ShowEnded(id("a"))]);
}

#[test]
fn a_call_that_is_over_does_not_live_on_for_ever() {
    let mut world = World::call(vec![candidate("a", Mode::Suspended, IOS)]);
    world.accepted(10, "a").at(800, Input::CallerCancelled);
    assert!(!world.wake.is_finished());
    world.pass(60_800);
    assert!(world.wake.is_finished());
    world.returns(60_900, "a").assert(&[]);
}

#[test]
fn a_second_registration_of_a_phone_that_rings_does_not_ring_it_twice() {
    let mut world = World::call(vec![candidate("a", Mode::Suspended, IOS)]);
    world.accepted(10, "a").returns(900, "a").rings(950, "a");
    world
        .at(
            1000,
            Input::Returned {
                device: id("a"),
                fresh: false,
            },
        )
        .assert(&[]);
}

#[test]
fn a_ringing_phone_that_comes_over_a_new_connection_gets_the_call_there() {
    let mut world = World::call(vec![candidate("a", Mode::Foreground, IOS)]);
    world
        .rings(50, "a")
        .returns(1000, "a")
        .assert(&[Effect::Fork(id("a"))]);
}

#[test]
fn a_phone_that_comes_back_at_the_same_address_gets_the_same_invite_once_more() {
    let mut world = World::call(vec![candidate("a", Mode::Unknown, IOS)]);
    world.accepted(10, "a");
    world
        .at(
            2000,
            Input::Returned {
                device: id("a"),
                fresh: false,
            },
        )
        .assert(&[Effect::Repeat(id("a"))]);
    world
        .rings(2010, "a")
        .at(
            2020,
            Input::Returned {
                device: id("a"),
                fresh: false,
            },
        )
        .assert(&[]);
}

#[test]
fn a_silent_contact_beside_a_ringing_phone_costs_nothing() {
    let mut world = World::call(vec![
        no_push("unplugged", Mode::Unknown),
        no_push("desk", Mode::Unknown),
    ]);
    world.rings(100, "desk").pass(12_000).assert(&[]);
    world
        .at(12_500, Input::Answered(id("desk")))
        .assert(&[Effect::Ended(Verdict::Answered)]);
}

#[test]
fn a_call_that_is_over_for_all_devices_has_no_clock_left() {
    let mut world = World::call(vec![candidate("a", Mode::Suspended, ANDROID)]);
    world.accepted(10, "a").pass(13_000);
    assert_eq!(world.wake.next_timeout(), None);
    assert!(world.wake.is_finished());
}

#[test]
fn a_device_that_is_busy_is_busy_though_it_never_rang() {
    let mut world = World::call(vec![no_push("a", Mode::Foreground)]);
    world.fails(20, "a", Failure::Declined).assert(&[
        Effect::CancelAll,
        Effect::Ended(Verdict::Declined),
        Effect::GiveUp,
    ]);
}

#[test]
fn a_phone_that_rang_and_vanished_missed_the_call() {
    let mut world = World::call(vec![no_push("a", Mode::Foreground)]);
    world.rings(20, "a");
    world.fails(900, "a", Failure::Unreachable).assert(&[
        Effect::CancelAll,
        Effect::PushMissed(id("a")),
        Effect::Ended(Verdict::Unreachable),
        Effect::GiveUp,
    ]);
}

#[test]
fn an_iphone_that_was_pushed_and_waited_for_its_turn_sees_the_end_at_once() {
    let mut iphone = candidate("iphone", Mode::Foreground, IOS);
    iphone.q = 500;
    let mut world = World::call(vec![no_push("desk", Mode::Foreground), iphone]);
    world.accepted(10, "iphone").rings(20, "desk");
    world.at(900, Input::Answered(id("desk"))).assert(&[
        Effect::ShowEnded(id("iphone")),
        Effect::Ended(Verdict::Answered),
    ]);
    world.fails(950, "iphone", Failure::Declined);
    assert!(world.wake.is_finished());
}

#[test]
fn an_iphone_that_woke_and_vanished_again_still_sees_the_end() {
    let mut world = World::call(vec![candidate("a", Mode::Suspended, IOS)]);
    world.accepted(10, "a").returns(900, "a");
    world.fails(950, "a", Failure::Unreachable).assert(&[]);
    world.at(1500, Input::CallerCancelled).assert(&[
        Effect::CancelAll,
        Effect::PushMissed(id("a")),
        Effect::Ended(Verdict::Cancelled),
    ]);
    world
        .returns(2500, "a")
        .assert(&[Effect::ShowEnded(id("a"))]);
}

#[test]
fn a_preferred_contact_that_says_nothing_holds_the_others_up_for_two_seconds_only() {
    let mut second = no_push("second", Mode::Unknown);
    second.q = 500;
    let mut world = World::call(vec![no_push("first", Mode::Unknown), second]);
    world.assert(&[Effect::Fork(id("first"))]);
    world.pass(1999).assert(&[]);
    world.pass(2000).assert(&[Effect::Fork(id("second"))]);
}

#[test]
fn the_story_says_from_whom_the_call_was_taken() {
    let mut world = World::call(vec![
        no_push("desk", Mode::Foreground),
        no_push("tablet", Mode::Foreground),
    ]);
    world.rings(20, "desk").rings(30, "tablet");
    world.at(900, Input::Answered(id("desk")));
    let taken = Effect::Trace(
        Step::DeviceCancelled,
        Some(id("tablet")),
        "answered".to_owned(),
    );
    assert!(world.effects.contains(&taken), "{:?}", world.effects);
}

#[test]
fn preferred_devices_ring_first_and_sleeping_ones_are_woken_meanwhile() {
    let mut desk = no_push("desk", Mode::Foreground);
    desk.q = 500;
    let devices = vec![
        desk,
        no_push("softphone", Mode::Foreground),
        candidate("mobile", Mode::Suspended, IOS),
    ];
    let mut world = World::call(devices);
    world.assert(&[Effect::Push(id("mobile")), Effect::Fork(id("softphone"))]);
    world.accepted(10, "mobile");
    world
        .fails(500, "softphone", Failure::Declined)
        .assert(&[Effect::Fork(id("desk"))]);
    world
        .returns(900, "mobile")
        .assert(&[Effect::Fork(id("mobile"))]);
}

#[test]
fn with_the_push_taken_out_of_the_table_nobody_is_woken() {
    let table =
        Behaviour::default().with(Mode::Suspended, Incoming::Call, |rule| rule.push = false);
    let world = World::call_with(vec![candidate("a", Mode::Suspended, IOS)], &table);
    assert!(world.done().contains(&Effect::GiveUp));
}

#[test]
fn with_the_late_fork_taken_out_of_the_table_the_phone_wakes_in_vain() {
    let table =
        Behaviour::default().with(Mode::Suspended, Incoming::Call, |rule| rule.keep = false);
    let mut world = World::call_with(vec![candidate("a", Mode::Suspended, IOS)], &table);
    world.accepted(10, "a").returns(900, "a").assert(&[]);
}

#[test]
fn a_device_that_rang_and_left_learns_of_the_end_when_it_returns_unless_it_knows() {
    let shown = [Effect::ShowEnded(id("a"))];
    let follows = [Effect::EndFollows(id("a"))];
    for (candidate, told) in [
        (candidate("a", Mode::Foreground, IOS), &shown),
        (candidate("a", Mode::Foreground, ANDROID), &follows),
        (no_push("a", Mode::Foreground), &follows),
    ] {
        for knows in [false, true] {
            let mut world = World::call(vec![candidate.clone()]);
            world.accepted(10, "a").rings(20, "a");
            world.at(5_000, Input::CallerCancelled);
            let (failure, told): (_, &[_]) = if knows {
                (Failure::Declined, &[])
            } else {
                (Failure::Unreachable, told)
            };
            world.fails(5_020, "a", failure);
            assert_eq!(world.wake.is_finished(), knows);
            let (device, fresh) = (id("a"), false);
            world
                .at(5_030, Input::Returned { device, fresh })
                .assert(&[]);
            world.returns(8_000, "a").assert(told);
            // Its new connection broke before it had said so.
            world.returns(9_000, "a").assert(told);
            world.fails(9_100, "a", Failure::Declined);
            world.returns(9_200, "a").assert(&[]);
            assert!(world.wake.is_finished());
        }
    }
}
