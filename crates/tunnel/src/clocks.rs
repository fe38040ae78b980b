//! How the clocks of both sides differ. Each asks the other for its time now and then, by a datagram (RFC 9221), since one that waited
//! to be sent again would say how long it waited; and takes the middle between question and answer for the moment at which that was so.
//! A side that knows no datagrams is not asked.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use quinn::{Connection, ConnectionError};
use tokio::time::{MissedTickBehavior, interval};

/// From one question to the next.
const EVERY: Duration = Duration::from_secs(5);

/// Says what time it is, by the clock on the wall.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// How the other side's clock differs from ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skew {
    /// By so many milliseconds it is ahead; less than 0: behind.
    pub ahead: i64,
    /// It may be so much more or less: half of the time from question to answer.
    pub give_or_take: Duration,
}

impl Skew {
    /// Between so much and so much they differ, whichever is ahead.
    pub fn apart(&self) -> [Duration; 2] {
        let apart = Duration::from_millis(self.ahead.unsigned_abs());
        let least = apart.saturating_sub(self.give_or_take);
        [least, apart.saturating_add(self.give_or_take)]
    }
}

/// What was found out last, if anything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known(Arc<Mutex<Option<Skew>>>);

impl Known {
    pub(crate) fn get(&self) -> Option<Skew> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, skew: Skew) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(skew);
    }
}

/// The first octet of a question: its number follows…
const ASKS: u8 = 0;
/// …and of the answer: the same number, and milliseconds since 1970. What begins otherwise is for a later release.
const SAYS: u8 = 1;

/// The question whose answer counts.
#[derive(Debug, Default)]
struct Asking {
    number: u64,
    at: Option<Instant>,
}

/// What there is to do with what was heard.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Answer(Bytes),
    Skew(Skew),
    Nothing,
}

impl Asking {
    /// The next question: an answer to the one before counts no more.
    fn asks(&mut self, now: Instant) -> Bytes {
        self.number += 1;
        self.at = Some(now);
        [&[ASKS][..], &self.number.to_be_bytes()].concat().into()
    }

    fn hears(&mut self, octets: &[u8], now: Instant, wall: u64) -> Heard {
        let Some((&kind, rest)) = octets.split_first() else {
            return Heard::Nothing;
        };
        match (kind, rest.as_chunks()) {
            (ASKS, ([number], [])) => {
                Heard::Answer([&[SAYS], &number[..], &wall.to_be_bytes()].concat().into())
            }
            (SAYS, ([number, theirs], [])) if u64::from_be_bytes(*number) == self.number => {
                let Some(asked) = self.at.take() else {
                    return Heard::Nothing;
                };
                let give_or_take = now.saturating_duration_since(asked) / 2;
                let middle = wall.saturating_sub(millis(give_or_take));
                let theirs = u64::from_be_bytes(*theirs);
                let ahead = i128::from(theirs) - i128::from(middle);
                let most = |_| if ahead < 0 { i64::MIN } else { i64::MAX };
                Heard::Skew(Skew {
                    ahead: i64::try_from(ahead).unwrap_or_else(most),
                    give_or_take,
                })
            }
            _ => Heard::Nothing,
        }
    }
}

/// Asks and answers until the tunnel is gone; says why it is. What is found out is `known`.
pub(crate) async fn compared(
    connection: &Connection,
    known: &Known,
    clock: &Clock,
) -> ConnectionError {
    let mut asking = Asking::default();
    let mut turns = interval(EVERY);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        // Whoever asks on and on is not to keep what else waits for this tunnel.
        tokio::task::consume_budget().await;
        let heard = tokio::select! {
            _ = turns.tick() => {
                // It knows none, or we have too much to say: the next one may get there.
                let _ = connection.send_datagram(asking.asks(Instant::now()));
                continue;
            }
            heard = connection.read_datagram() => heard,
        };
        let wall = clock().duration_since(SystemTime::UNIX_EPOCH);
        let wall = millis(wall.unwrap_or_default());
        match heard.map(|octets| asking.hears(&octets, Instant::now(), wall)) {
            Ok(Heard::Answer(answer)) => drop(connection.send_datagram(answer)),
            Ok(Heard::Skew(skew)) => known.set(skew),
            Ok(Heard::Nothing) => {}
            Err(gone) => return gone,
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use crate::testing::connected;
    use quinn::{TransportConfig, VarInt};

    const NOON: u64 = 1_800_000_000_000;

    /// What one side finds out whose clock says noon, when the other's is so far ahead, a question takes so many milliseconds there and
    /// an answer so many back.
    fn found(ahead: i64, [there, back]: [u64; 2]) -> Skew {
        let (mut ours, mut theirs) = (Asking::default(), Asking::default());
        let asked = Instant::now();
        let after = |ms| asked + Duration::from_millis(ms);
        let question = ours.asks(asked);
        let wall = NOON.checked_add_signed(ahead).unwrap() + there;
        let Heard::Answer(answer) = theirs.hears(&question, after(there), wall) else {
            panic!("no answer");
        };
        match ours.hears(&answer, after(there + back), NOON + there + back) {
            Heard::Skew(skew) => skew,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_way_there_and_back_is_no_difference_and_what_it_hides_is_said() {
        for ahead in [0, 37_000, -37_000, 4_000_000] {
            assert_eq!(found(ahead, [100, 100]).ahead, ahead);
            // However long each way takes, the truth lies within what is said.
            for ways in [[0, 0], [0, 9_000], [9_000, 0], [200, 3_000]] {
                let skew = found(ahead, ways);
                let [least, most] = skew.apart();
                let apart = Duration::from_millis(ahead.unsigned_abs());
                assert!(least <= apart && apart <= most, "{ahead} {ways:?} {skew:?}");
                assert_eq!(
                    skew.give_or_take,
                    Duration::from_millis(ways[0] + ways[1]) / 2
                );
            }
        }
    }

    #[test]
    fn an_answer_counts_once_and_only_to_the_question_that_was_asked_last() {
        let mut ours = Asking::default();
        let now = Instant::now();
        let answer = |question: &Bytes| match Asking::default().hears(question, now, NOON) {
            Heard::Answer(answer) => answer,
            other => panic!("{other:?}"),
        };
        let late = answer(&ours.asks(now));
        let good = answer(&ours.asks(now));
        assert_eq!(ours.hears(&late, now, NOON), Heard::Nothing);
        assert!(matches!(ours.hears(&good, now, NOON), Heard::Skew(_)));
        assert_eq!(ours.hears(&good, now, NOON), Heard::Nothing);
    }

    #[test]
    fn what_makes_no_sense_is_nothing_and_a_time_that_is_none_is_far_away() {
        let mut ours = Asking::default();
        let now = Instant::now();
        ours.asks(now);
        for octets in [
            &[][..],
            &[ASKS],
            &[ASKS; 8],
            &[ASKS; 10],
            &[SAYS; 9],
            &[SAYS; 18],
            &[2; 9],
        ] {
            assert_eq!(ours.hears(octets, now, NOON), Heard::Nothing, "{octets:?}");
        }
        let never = [&[SAYS][..], &1_u64.to_be_bytes(), &u64::MAX.to_be_bytes()].concat();
        let Heard::Skew(skew) = ours.hears(&never, now, NOON) else {
            panic!("nothing");
        };
        assert_eq!(skew.ahead, i64::MAX);
    }

    #[tokio::test]
    async fn a_side_of_a_release_that_knows_no_datagrams_is_not_asked() {
        let mut old = TransportConfig::default();
        old.datagram_receive_buffer_size(None);
        let new = Limits::default().transport(true);
        let ([dialled, accepted], _endpoints) = connected(new, Arc::new(old)).await;
        let known = Known::default();
        let clock: Clock = Arc::new(SystemTime::now);
        // It ends when the tunnel does, and not before.
        let ends = async {
            dialled.open_uni().await.unwrap();
            accepted.accept_uni().await.unwrap();
            accepted.close(VarInt::from_u32(0), b"");
        };
        let (why, ()) = tokio::join!(compared(&dialled, &known, &clock), ends);
        assert!(
            matches!(why, ConnectionError::ApplicationClosed(_)),
            "{why}"
        );
        assert_eq!(known.get(), None);
    }
}
