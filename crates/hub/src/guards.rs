//! The one guard of all doors, shared by the shards and the APIs: who asks it says nothing to the log themselves.

use domain::{
    Timestamp,
    guard::{Ban, Guard, Report, Source, Standing, Verdict},
};
use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// See [`Guard`]. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Guards(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    guard: Mutex<Guard>,
    /// Whether there may be bans, so that nobody who comes in waits to hear that there are none.
    bans: AtomicBool,
}

impl Guards {
    /// Whether a password for this account may be tried from there. Whoever does not wait is counted for it.
    pub fn ask(&self, now: Timestamp, from: IpAddr, account: &str) -> Verdict {
        let from = Source::of(from);
        let mut guard = self.guard();
        let verdict = guard.ask(now, from, account);
        if let Verdict::Wait(_) = verdict
            && let Some(report) = guard.impatient(now, from)
        {
            self.report(guard, &report, account);
        }
        verdict
    }

    /// Whether nothing at all is to be heard from there for this account.
    pub fn is_banned(&self, now: Timestamp, from: IpAddr, account: &str) -> bool {
        self.0.bans.load(Ordering::Relaxed)
            && self.guard().ask(now, Source::of(from), account) == Verdict::Banned
    }

    /// Who is there, before anything that comes from there is looked at: asked for every connection, and for every
    /// datagram.
    pub fn standing(&self, now: Timestamp, from: IpAddr) -> Standing {
        self.guard().standing(now, Source::of(from))
    }

    /// Whether somebody has signed in from there lately.
    pub fn is_known(&self, now: Timestamp, from: IpAddr) -> bool {
        self.standing(now, from) == Standing::Known
    }

    /// Whether an operator keeps that address out.
    pub fn is_shut_out(&self, now: Timestamp, from: IpAddr) -> bool {
        self.0.bans.load(Ordering::Relaxed) && self.guard().is_shut_out(now, Source::of(from))
    }

    /// A password was wrong, or there is no such account.
    pub fn wrong(&self, now: Timestamp, from: IpAddr, account: &str) {
        let mut guard = self.guard();
        if let Some(report) = guard.wrong(now, Source::of(from), account) {
            self.report(guard, &report, account);
        }
    }

    /// A password was right.
    pub fn right(&self, from: IpAddr, account: &str) {
        let (from, mut guard) = (Source::of(from), self.guard());
        if !guard.knows(from, account) {
            guard.right(from, account);
        }
    }

    /// An operator keeps a source out.
    pub fn ban(&self, from: IpAddr, until: Timestamp) {
        self.0.bans.store(true, Ordering::Relaxed);
        let from = Source::of(from);
        tracing::info!(%from, until = domain::date::iso8601(until), "banned by an operator");
        self.guard().ban(from, until);
    }

    /// Bans that stood before a restart stand again.
    pub fn restore(&self, now: Timestamp, bans: impl IntoIterator<Item = Ban>) {
        self.0.bans.store(true, Ordering::Relaxed);
        self.guard().restore(now, bans);
    }

    /// An operator lets a source in again. Says whether it was banned.
    pub fn lift(&self, from: IpAddr) -> bool {
        self.guard().lift(Source::of(from))
    }

    /// The bans that stand.
    pub fn bans(&self, now: Timestamp) -> Vec<Ban> {
        self.guard().bans(now)
    }

    fn guard(&self) -> MutexGuard<'_, Guard> {
        self.0.guard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The line that fail2ban looks for (docs/operations/strangers.md).
    fn report(&self, guard: MutexGuard<'_, Guard>, report: &Report, account: &str) {
        // Nobody waits until it is written.
        drop(guard);
        let Report {
            from,
            times,
            banned,
        } = report;
        // What a peer sent comes in quotes, so that it cannot pretend to be another field.
        tracing::warn!(%from, times, ?account, "wrong user or password");
        if let Some(until) = banned {
            self.0.bans.store(true, Ordering::Relaxed);
            let until = domain::date::iso8601(*until);
            tracing::warn!(%from, until, "banned after too many wrong passwords");
        }
    }
}
