//! Wrong passwords are counted, so that nobody guesses at leisure.

use domain::Timestamp;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// How long wrong passwords are remembered.
const WINDOW: Duration = Duration::from_mins(1);
/// Wrong passwords for one user from one address in that time; then even the right one must wait.
const MOST: u32 = 10;
/// Users and addresses remembered at once; beyond it the rest of the window is forgotten.
const REMEMBERED: usize = 10_000;

/// The wrong passwords of the last minute.
#[derive(Debug, Default)]
pub struct Guesses(Mutex<HashMap<(IpAddr, String), Wrong>>);

#[derive(Copy, Clone, Debug)]
struct Wrong {
    since: Timestamp,
    times: u32,
}

impl Guesses {
    /// How long whoever asks must wait before another try; `None`: not at all.
    pub(super) fn wait(&self, from: IpAddr, user: &str, now: Timestamp) -> Option<Duration> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wrong = known.get(&(from, user.to_owned()))?;
        let wait = WINDOW.checked_sub(now.since(wrong.since))?;
        (wrong.times >= MOST).then_some(wait)
    }

    /// A password was wrong.
    pub(super) fn count(&self, from: IpAddr, user: &str, now: Timestamp) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.retain(|_, wrong| now.since(wrong.since) < WINDOW);
        }
        if known.len() >= REMEMBERED {
            known.clear();
        }
        let fresh = Wrong {
            since: now,
            times: 0,
        };
        let wrong = known.entry((from, user.to_owned())).or_insert(fresh);
        if now.since(wrong.since) >= WINDOW {
            *wrong = fresh;
        }
        wrong.times += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_ten_wrong_passwords_one_must_wait_out_the_minute() {
        let guesses = Guesses::default();
        let from = IpAddr::from([192, 0, 2, 7]);
        for _ in 0..MOST {
            assert_eq!(guesses.wait(from, "bob", Timestamp(1_000)), None);
            guesses.count(from, "bob", Timestamp(1_000));
        }
        let wait = guesses.wait(from, "bob", Timestamp(31_000));
        assert_eq!(wait, Some(Duration::from_secs(30)));
        assert_eq!(guesses.wait(from, "alice", Timestamp(31_000)), None);
        let elsewhere = IpAddr::from([192, 0, 2, 8]);
        assert_eq!(guesses.wait(elsewhere, "bob", Timestamp(31_000)), None);
        assert_eq!(guesses.wait(from, "bob", Timestamp(62_000)), None);
        guesses.count(from, "bob", Timestamp(62_000));
        assert_eq!(guesses.wait(from, "bob", Timestamp(62_000)), None);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let guesses = Guesses::default();
        for n in 0..u32::try_from(REMEMBERED).unwrap() + 10 {
            guesses.count(IpAddr::from(n.to_be_bytes()), "bob", Timestamp(0));
        }
        assert!(guesses.0.lock().unwrap().len() <= REMEMBERED);
    }
}
