//! What was refused to protect us or a user: counted by reason, and an alarm while it is more than happens by itself.

use crate::alarms::{Alarm, Alarms};
use domain::Refusal;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
};
use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

/// How often it is looked at.
pub(crate) const LOOK: Duration = Duration::from_secs(1);
/// So many looks are judged together.
const WINDOW: usize = 5;
/// An alarm is over after so many looks without a reason, and its line is written again after so many with one.
const MINUTE: u32 = 60;

/// How many of some reasons together are too many.
type TooMany = (&'static [Refusal], u64);

/// Which alarm says so, when there are so many in a window.
const JUDGED: [(Alarm, &[TooMany]); 7] = [
    (
        Alarm::StrangersFlood,
        &[
            // A thousand a second; or more than can be looked at.
            (&[Refusal::Challenged, Refusal::Unanswered], 5_000),
            (&[Refusal::Shed], 1),
        ],
    ),
    // Whosesoever they are. Ten a second: a burst now and then is sent again, and nobody is to get up for it.
    (Alarm::DatagramsLost, &[(&[Refusal::Unread], 50)]),
    (
        Alarm::LimitsReached,
        &[(&[Refusal::NoRoom, Refusal::Calls, Refusal::Connections], 1)],
    ),
    (
        Alarm::Guessing,
        &[(&[Refusal::Password, Refusal::Waiting, Refusal::Banned], 50)],
    ),
    (
        Alarm::UserFloods,
        &[(&[Refusal::Caller, Refusal::Callee, Refusal::Requests], 20)],
    ),
    // Ten a second: a phone that lost its network while it connected is one now and then.
    (Alarm::SilentConnections, &[(&[Refusal::Silent], 50)]),
    (Alarm::StoreOverloaded, &[(&[Refusal::Overloaded], 1)]),
];

/// The label of a refusal.
#[derive(Clone, Debug, Eq, Hash, PartialEq, EncodeLabelSet)]
pub(crate) struct ReasonLabels {
    reason: &'static str,
}

/// The counters.
#[derive(Debug)]
pub(crate) struct Refusals(Family<ReasonLabels, Counter>);

impl Default for Refusals {
    fn default() -> Self {
        let counters = Self(Family::default());
        for why in Refusal::ALL {
            counters.count(why, 0);
        }
        counters
    }
}

impl Refusals {
    /// For the metrics.
    pub(crate) fn counters(&self) -> Family<ReasonLabels, Counter> {
        self.0.clone()
    }

    pub(crate) fn count(&self, why: Refusal, times: u64) {
        let labels = ReasonLabels { reason: why.name() };
        self.0.get_or_create(&labels).inc_by(times);
    }

    pub(crate) fn total(&self, why: Refusal) -> u64 {
        let labels = ReasonLabels { reason: why.name() };
        self.0.get_or_create(&labels).get()
    }
}

/// How many were refused, by reason.
type Counts = HashMap<Refusal, u64>;

/// Looks at the counters now and then, and raises alarms.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    before: Counts,
    /// What each of the last looks brought.
    window: VecDeque<Counts>,
    standing: HashMap<Alarm, Stands>,
}

/// An alarm that stands.
#[derive(Debug, Default)]
struct Stands {
    /// Looks since there was a reason.
    quiet: u32,
    /// Looks since the log had a line.
    unsaid: u32,
    /// What was refused since then.
    refused: Counts,
}

impl Judge {
    /// To be called every [`LOOK`].
    pub(crate) fn look(&mut self, refusals: &Refusals, alarms: &Alarms) {
        let mut fresh = Counts::new();
        for why in Refusal::ALL {
            let total = refusals.total(why);
            let before = self.before.insert(why, total).unwrap_or_default();
            fresh.insert(why, total - before);
        }
        self.window.push_back(fresh.clone());
        if self.window.len() > WINDOW {
            self.window.pop_front();
        }
        let of_late = |why: &Refusal| self.window.iter().map(|look| look[why]).sum::<u64>();
        for (alarm, judged) in JUDGED {
            let reasons = judged.iter().flat_map(|(reasons, _)| *reasons);
            let reasons: Vec<Refusal> = reasons.copied().collect();
            let is_too_many =
                |(these, most): &TooMany| these.iter().map(of_late).sum::<u64>() >= *most;
            if judged.iter().any(is_too_many) {
                let counts = reasons.iter().map(|why| (*why, of_late(why))).collect();
                let secs = LOOK.as_secs() * WINDOW as u64;
                let detail = format!("refused in {secs} s: {}", in_words(&counts));
                alarms.set(alarm, true, &detail);
                self.standing.entry(alarm).or_default().quiet = 0;
            } else if let Some(stands) = self.standing.get_mut(&alarm) {
                stands.quiet += 1;
                if stands.quiet >= MINUTE {
                    self.standing.remove(&alarm);
                    alarms.set(alarm, false, "");
                }
            }
            if let Some(stands) = self.standing.get_mut(&alarm) {
                stands.goes_on(alarm, reasons.iter().map(|why| (*why, fresh[why])));
            }
        }
    }
}

impl Stands {
    /// What is refused as long as an alarm stands is a line a minute.
    fn goes_on(&mut self, alarm: Alarm, fresh: impl Iterator<Item = (Refusal, u64)>) {
        for (why, times) in fresh {
            *self.refused.entry(why).or_default() += times;
        }
        self.unsaid += 1;
        // The first line is the alarm's.
        if self.unsaid > MINUTE {
            self.unsaid = 1;
            let refused = in_words(&std::mem::take(&mut self.refused));
            if !refused.is_empty() {
                tracing::warn!(
                    alarm = alarm.name(),
                    refused,
                    "it goes on: refused in the last minute"
                );
            }
        }
    }
}

/// In the order of the table of reasons; those that are none are left out.
fn in_words(counts: &Counts) -> String {
    let count = |why: Refusal| counts.get(&why).copied().unwrap_or_default();
    let all = Refusal::ALL.into_iter().map(|why| (why.name(), count(why)));
    let words: Vec<_> = all
        .filter(|(_, times)| *times > 0)
        .map(|(why, times)| format!("{why} {times}"))
        .collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_stands_while_something_is_refused_and_a_minute_longer() {
        let (refusals, alarms, mut judge) =
            (Refusals::default(), Alarms::default(), Judge::default());
        judge.look(&refusals, &alarms);
        assert!(alarms.standing().is_empty());
        refusals.count(Refusal::NoRoom, 3);
        refusals.count(Refusal::Password, 49);
        judge.look(&refusals, &alarms);
        let standing = alarms.standing();
        assert_eq!(standing.len(), 1, "49 wrong passwords happen by themselves");
        assert_eq!(standing[0].name, "limits_reached");
        assert_eq!(standing[0].detail, "refused in 5 s: no_room 3");
        // As long as it is in the window, and a minute longer.
        for _ in 2..WINDOW + MINUTE as usize {
            judge.look(&refusals, &alarms);
        }
        assert_eq!(alarms.standing().len(), 1);
        refusals.count(Refusal::Waiting, 50);
        judge.look(&refusals, &alarms);
        let names: Vec<_> = alarms.standing().into_iter().map(|it| it.name).collect();
        assert_eq!(names, ["guessing"]);
        refusals.count(Refusal::Overloaded, 1);
        judge.look(&refusals, &alarms);
        let standing = alarms.standing();
        assert!(standing.iter().any(|it| it.name == "store_overloaded"));
    }

    #[test]
    fn one_datagram_that_there_was_no_room_for_is_enough_and_a_flood_is_judged_over_several_looks()
    {
        let (refusals, alarms, mut judge) =
            (Refusals::default(), Alarms::default(), Judge::default());
        let names = |alarms: &Alarms| -> Vec<String> {
            alarms.standing().into_iter().map(|it| it.name).collect()
        };
        for _ in 1..WINDOW {
            refusals.count(Refusal::Challenged, 1_000);
            judge.look(&refusals, &alarms);
        }
        assert!(names(&alarms).is_empty(), "{:?}", alarms.standing());
        refusals.count(Refusal::Challenged, 1_000);
        judge.look(&refusals, &alarms);
        assert_eq!(names(&alarms), ["strangers_flood"]);

        let (alarms, mut judge) = (Alarms::default(), Judge::default());
        let refusals = Refusals::default();
        refusals.count(Refusal::Shed, 1);
        judge.look(&refusals, &alarms);
        assert_eq!(names(&alarms), ["strangers_flood"]);
        assert_eq!(alarms.standing()[0].detail, "refused in 5 s: shed 1");
    }

    #[test]
    fn what_the_kernel_drops_is_nobody_s_flood() {
        let (refusals, alarms, mut judge) =
            (Refusals::default(), Alarms::default(), Judge::default());
        refusals.count(Refusal::Unread, 49);
        judge.look(&refusals, &alarms);
        assert!(alarms.standing().is_empty(), "a burst");
        refusals.count(Refusal::Unread, 1);
        judge.look(&refusals, &alarms);
        let [alarm] = &alarms.standing()[..] else {
            panic!("{:?}", alarms.standing());
        };
        assert_eq!(alarm.name, "datagrams_lost");
        assert_eq!(alarm.detail, "refused in 5 s: unread 50");
    }
}
