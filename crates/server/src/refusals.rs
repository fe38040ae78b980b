//! What was refused to protect us or a user: counted by reason, and an alarm while it is more than happens by itself.

use crate::alarms::{Alarm, Alarms};
use domain::Refusal;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
};
use std::{collections::HashMap, time::Duration};

/// How often it is looked at.
pub(crate) const LOOK: Duration = Duration::from_secs(5);
/// An alarm is over after so many looks without a reason.
const QUIET_LOOKS: u32 = 12;

/// Which alarm says so, of which reasons, when there are so many in one look.
const JUDGED: [(Alarm, &[Refusal], u64); 6] = [
    // A thousand a second.
    (
        Alarm::StrangersFlood,
        &[Refusal::Challenged, Refusal::Unanswered, Refusal::Shed],
        5_000,
    ),
    (
        Alarm::LimitsReached,
        &[Refusal::NoRoom, Refusal::Calls, Refusal::Connections],
        1,
    ),
    (
        Alarm::Guessing,
        &[Refusal::Password, Refusal::Waiting, Refusal::Banned],
        50,
    ),
    (
        Alarm::UserFloods,
        &[Refusal::Caller, Refusal::Callee, Refusal::Requests],
        20,
    ),
    // Ten a second: a phone that lost its network while it connected is one now and then.
    (Alarm::SilentConnections, &[Refusal::Silent], 50),
    (Alarm::StoreOverloaded, &[Refusal::Overloaded], 1),
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

/// Looks at the counters now and then, and raises alarms.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    before: HashMap<Refusal, u64>,
    /// Alarms that stand, and looks since there was a reason.
    quiet: HashMap<Alarm, u32>,
}

impl Judge {
    /// To be called every [`LOOK`].
    pub(crate) fn look(&mut self, refusals: &Refusals, alarms: &Alarms) {
        let mut fresh = HashMap::new();
        for why in Refusal::ALL {
            let total = refusals.total(why);
            let before = self.before.insert(why, total).unwrap_or_default();
            fresh.insert(why, total - before);
        }
        for (alarm, reasons, most) in JUDGED {
            let count = |why: &Refusal| (why.name(), fresh[why]);
            let counts: Vec<_> = reasons.iter().map(count).collect();
            if counts.iter().map(|(_, times)| times).sum::<u64>() >= most {
                self.quiet.insert(alarm, 0);
                alarms.set(alarm, true, &in_words(&counts));
            } else if let Some(looks) = self.quiet.get_mut(&alarm) {
                *looks += 1;
                if *looks >= QUIET_LOOKS {
                    self.quiet.remove(&alarm);
                    alarms.set(alarm, false, "");
                }
            }
        }
    }
}

fn in_words(counts: &[(&str, u64)]) -> String {
    let there = counts.iter().filter(|(_, times)| *times > 0);
    let words: Vec<_> = there.map(|(why, times)| format!("{why} {times}")).collect();
    format!("refused in {} s: {}", LOOK.as_secs(), words.join(", "))
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
        for _ in 1..QUIET_LOOKS {
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
}
