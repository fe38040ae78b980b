//! A shard's loop: it waits for whatever comes first, takes what else is ready, and lets the answers go. Nothing in it
//! waits for anything else.

use super::{
    bus::{Inbox, Word},
    commits::Verdicts,
    perform::{Performer, received},
};
use crate::clock;
use domain::Now;
use net::XmppEvent;
use shard::{Input, Shard};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Barrier;
use xmpp::{StreamId, xml::Item};

/// Inputs of one kind taken in one turn: enough to fill a batch of datagrams, few enough that none starves another.
const BATCH: usize = 64;
/// How long a shard sleeps if nothing is to come.
const IDLE: Duration = Duration::from_hours(1);
/// How long a shutdown waits for what is being saved at that moment.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// A shard with its performer and its ear, ready to run.
pub(super) struct Running {
    pub(super) shard: Shard,
    pub(super) performer: Performer,
    pub(super) inbox: Inbox,
    /// Where all shards meet when they stop.
    pub(super) all: Arc<Barrier>,
}

/// What ended the wait.
enum Woken {
    Event(net::Event),
    Saved(Verdicts),
    Word(Word),
    Time,
    Stop,
}

impl Running {
    /// Runs until `stop` resolves; then finishes what is being saved.
    pub(super) async fn run(mut self, mut events: net::Events, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        let begun = now();
        self.shard.begin(begun);
        self.performer.perform(begun, &mut self.shard);
        self.performer.end_turn(&self.shard);
        loop {
            let now = now();
            let wake_up = self.shard.next_timeout(now);
            let wake_up = wake_up.unwrap_or(now.instant + IDLE);
            let woken = tokio::select! {
                biased;
                () = &mut stop => Woken::Stop,
                event = events.recv() => event.map_or(Woken::Stop, Woken::Event),
                verdicts = self.performer.commits.next() => Woken::Saved(verdicts),
                Some(word) = self.inbox.recv() => Woken::Word(word),
                () = tokio::time::sleep_until(wake_up.into()) => Woken::Time,
            };
            if matches!(woken, Woken::Stop) {
                break;
            }
            if self.turn(woken, &mut events) {
                // Sockets are to be read meanwhile: who comes now may go ahead of what is left.
                tokio::task::yield_now().await;
            }
        }
        self.wind_down().await;
    }

    /// Takes what is ready; says whether there may be more.
    fn turn(&mut self, woken: Woken, events: &mut net::Events) -> bool {
        let now = now();
        let mut taken = 0;
        match woken {
            Woken::Event(event) => self.event(now, event),
            Woken::Saved(verdicts) => self.saved(now, verdicts),
            Woken::Word(word) => self.word(now, word),
            Woken::Time | Woken::Stop => {}
        }
        for event in std::iter::from_fn(|| events.try_recv()).take(BATCH) {
            taken += 1;
            self.event(now, event);
        }
        for _ in 0..BATCH {
            let Some(verdicts) = self.performer.commits.try_next() else {
                break;
            };
            self.saved(now, verdicts);
        }
        for _ in 0..BATCH {
            let Ok(word) = self.inbox.try_recv() else {
                break;
            };
            self.word(now, word);
        }
        if self
            .shard
            .next_timeout(now)
            .is_some_and(|at| at <= now.instant)
        {
            self.shard.handle_timeout(now);
            self.performer.perform(now, &mut self.shard);
        }
        self.performer.end_turn(&self.shard);
        taken == BATCH
    }

    fn event(&mut self, now: Now, event: net::Event) {
        match event {
            net::Event::Message { flow, message } => {
                self.shard.handle(now, received(flow, message));
            }
            net::Event::Malformed { flow, reason } => {
                self.performer.malformed();
                tracing::debug!(from = %flow.remote, reason, "malformed message");
            }
            net::Event::Closed { flow } => self.shard.handle(now, Input::FlowClosed(flow)),
            net::Event::Xmpp(stream, event) => {
                self.shard.handle(now, Input::Im(said(stream, event)));
            }
        }
        self.performer.perform(now, &mut self.shard);
    }

    fn saved(&mut self, now: Now, verdicts: Verdicts) {
        Performer::saved(now, &mut self.shard, verdicts);
        self.performer.perform(now, &mut self.shard);
    }

    fn word(&mut self, now: Now, word: Word) {
        self.performer.word(now, &mut self.shard, word);
        self.performer.perform(now, &mut self.shard);
    }

    /// Calls in progress get their answer, and what was promised is saved, with the sessions whose clients may come back. Pushes
    /// that are owed are in the store. What a client has sent may be another shard's to settle, so none ends before all are done.
    async fn wind_down(mut self) {
        let now = now();
        self.shard.stop(now);
        self.performer.perform(now, &mut self.shard);
        let (deadline, all) = (tokio::time::sleep(LAST_WORDS), self.all.clone());
        let all_done = all.wait();
        tokio::pin!(deadline, all_done);
        let (mut is_done, mut are_done) = (false, false);
        loop {
            while let Ok(word) = self.inbox.try_recv() {
                self.word(now, word);
            }
            self.performer.end_turn(&self.shard);
            let is_empty = self.performer.commits.is_empty();
            is_done |= is_empty && !self.shard.is_keeping();
            if is_empty && are_done {
                break;
            }
            tokio::select! {
                verdicts = self.performer.commits.next() => self.saved(now, verdicts),
                Some(word) = self.inbox.recv() => self.word(now, word),
                _ = &mut all_done, if is_done && !are_done => are_done = true,
                () = &mut deadline => {
                    if !is_empty || self.shard.is_keeping() {
                        tracing::warn!("what was under way was not done in time: the store, or another shard, did not answer");
                    }
                    break;
                }
            }
        }
    }
}

/// What happened on a stream, for the XMPP role.
fn said(stream: StreamId, event: XmppEvent) -> im::Input {
    match event {
        XmppEvent::Greeted(greeted, link) => {
            let link = im::Link {
                remote: link.remote,
                edge: link.carried.then_some(link.local),
                framing: link.framing,
                exporter: link.tls_exporter,
                end_point: link.tls_server_end_point.as_deref().map(Into::into),
            };
            im::Input::Greeted(stream, greeted, Box::new(link))
        }
        XmppEvent::Component(domain) => im::Input::Component(stream, domain),
        XmppEvent::Element(element) => im::Input::Read(stream, Item::Element(element)),
        XmppEvent::Opened(header) => im::Input::Read(stream, Item::Open(header)),
        XmppEvent::Ended => im::Input::Read(stream, Item::Close),
        XmppEvent::Gone => im::Input::Gone(stream),
    }
}

fn now() -> Now {
    Now {
        instant: Instant::now(),
        wall: clock::now(),
    }
}
