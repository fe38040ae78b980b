//! What happens, as it happens, for whoever watches: each step of a story, and each line of a device's history. A watcher that
//! does not keep up loses what is oldest and is told how much; nobody waits for one.

use domain::{Address, DeviceId, Note, Timestamp, TraceEvent, TrackingId, trace::Named};
use serde::{Deserialize, Serialize};
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio::sync::{
    OwnedSemaphorePermit, Semaphore,
    broadcast::{self, error::RecvError},
    mpsc, watch,
};

/// So many events are kept for watchers that are behind.
const BEHIND: usize = 1_024;
/// Who may watch at once.
const WATCHERS: usize = 16;
/// Lines on their way to one watcher.
const ON_THE_WAY: usize = 16;
/// Of so many stories a watcher of one user follows all steps: the latest.
const FOLLOWED: usize = 1_024;
/// Whoever hears nothing for that long is sent an empty line, so that both sides know that the other is there.
const SILENCE: Duration = Duration::from_secs(15);

/// What a watcher is told: a line of JSON.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Line {
    /// A step of a story: of a call, a message, a registration that was refused.
    Story {
        /// It.
        #[serde(flatten)]
        event: TraceEvent,
        /// Whose device it is about.
        user: Option<Address>,
    },
    /// Something happened to a device: it registered, lost its connection, got a token.
    Device {
        /// Which.
        device: DeviceId,
        /// Whose it is.
        user: Option<Address>,
        /// When.
        at: Timestamp,
        /// What.
        what: String,
    },
    /// The watcher was too slow for so many events.
    Lost {
        /// Of everybody, not only what was asked for.
        events: u64,
    },
}

/// What a watcher wants to see.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Wanted {
    /// Only this user's devices, and the stories that they have a part in.
    pub(crate) user: Option<Address>,
    /// Only this story, by its tracking id, or the call's own.
    pub(crate) story: Option<String>,
    /// Only stories.
    #[serde(default)]
    pub(crate) stories: bool,
}

/// Where everybody says what happens.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    events: broadcast::Sender<Arc<Line>>,
    places: Arc<Semaphore>,
    stopped: watch::Receiver<bool>,
}

impl Live {
    /// Until the server stops.
    pub(crate) fn new(stopped: watch::Receiver<bool>) -> Self {
        Self {
            events: broadcast::Sender::new(BEHIND),
            places: Arc::new(Semaphore::new(WATCHERS)),
            stopped,
        }
    }

    /// This happened. Costs nothing while nobody watches.
    pub(crate) fn happened(&self, note: &Note, owner: impl FnOnce(&DeviceId) -> Option<Address>) {
        // To ask the channel takes a lock, which all shards would share.
        if self.places.available_permits() == WATCHERS {
            return;
        }
        let line = match note {
            Note::Story(event) => Line::Story {
                user: event.device.as_ref().and_then(owner),
                event: event.clone(),
            },
            Note::History(entry) => Line::Device {
                user: owner(&entry.device),
                device: entry.device.clone(),
                at: entry.at,
                what: entry.what.clone(),
            },
        };
        // Whoever watched may have gone just now.
        let _ = self.events.send(Arc::new(line));
    }

    /// Begins to watch: lines of JSON come until the server stops or they are dropped. `None`: too many watch.
    pub(crate) fn watch(&self, wanted: Wanted) -> Option<mpsc::Receiver<String>> {
        let place = self.places.clone().try_acquire_owned().ok()?;
        let (lines, told) = mpsc::channel(ON_THE_WAY);
        let events = self.events.subscribe();
        let (filter, stopped) = (Filter::new(wanted), self.stopped.clone());
        tokio::spawn(tell(place, events, filter, lines, stopped));
        Some(told)
    }
}

async fn tell(
    _place: OwnedSemaphorePermit,
    mut events: broadcast::Receiver<Arc<Line>>,
    mut filter: Filter,
    lines: mpsc::Sender<String>,
    mut stopped: watch::Receiver<bool>,
) {
    // An error means that the server is gone.
    let stop = async { drop(stopped.wait_for(|stop| *stop).await) };
    tokio::pin!(stop);
    // Whoever asked knows by it that they watch.
    let mut text = Some(String::new());
    loop {
        if let Some(mut text) = text.take() {
            text.push('\n');
            tokio::select! {
                () = &mut stop => return,
                sent = lines.send(text) => if sent.is_err() { return },
            }
        }
        let event = tokio::select! {
            () = &mut stop => return,
            () = lines.closed() => return,
            event = events.recv() => event,
            () = tokio::time::sleep(SILENCE) => {
                text = Some(String::new());
                continue;
            }
        };
        text = match event {
            Ok(line) if filter.wants(&line) => json(&line),
            Ok(_) => None,
            Err(RecvError::Lagged(events)) => json(&Line::Lost { events }),
            Err(RecvError::Closed) => return,
        };
    }
}

fn json(line: &Line) -> Option<String> {
    serde_json::to_string(line).ok()
}

/// Picks what one watcher wants.
struct Filter {
    wanted: Wanted,
    user: Option<Named>,
    followed: VecDeque<TrackingId>,
}

impl Filter {
    fn new(wanted: Wanted) -> Self {
        let named = |user| Named {
            user,
            devices: Vec::new(),
        };
        Self {
            user: wanted.user.clone().map(named),
            wanted,
            followed: VecDeque::new(),
        }
    }

    fn wants(&mut self, line: &Line) -> bool {
        let (event, owner) = match line {
            Line::Lost { .. } => return true,
            Line::Device { user, .. } => {
                let any = self.wanted.story.is_none() && !self.wanted.stories;
                return any
                    && self
                        .user
                        .as_ref()
                        .is_none_or(|it| user.as_ref() == Some(&it.user));
            }
            Line::Story { event, user } => (event, user),
        };
        if self.followed.contains(&event.tracking) {
            return true;
        }
        let of_story =
            |id: &String| event.tracking.as_str() == id || event.alias.as_deref() == Some(id);
        let of_user = |it: &Named| owner.as_ref() == Some(&it.user) || it.is_in(event);
        let wants = self.wanted.story.as_ref().is_none_or(of_story)
            && self.user.as_ref().is_none_or(of_user);
        // From here on whoever it names: an answer names nobody.
        if wants && (self.user.is_some() || self.wanted.story.is_some()) {
            self.followed.truncate(FOLLOWED - 1);
            self.followed.push_front(event.tracking.clone());
        }
        wants
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::trace::Step;

    fn event(tracking: &str, step: Step, detail: &str) -> Note {
        Note::Story(TraceEvent {
            tracking: tracking.into(),
            at: Timestamp(1),
            step,
            alias: None,
            device: None,
            detail: detail.to_owned(),
        })
    }

    fn live() -> (watch::Sender<bool>, Live) {
        let (stop, stopped) = watch::channel(false);
        (stop, Live::new(stopped))
    }

    async fn next(lines: &mut mpsc::Receiver<String>) -> Option<Line> {
        loop {
            let line = lines.recv().await?;
            if line != "\n" {
                return Some(serde_json::from_str(&line).unwrap());
            }
        }
    }

    #[tokio::test]
    async fn a_user_is_shown_their_stories_to_the_end_and_nobody_elses() {
        let (_stop, live) = live();
        let user = Some("bob@example.org".parse().unwrap());
        let mut lines = live
            .watch(Wanted {
                user,
                ..Wanted::default()
            })
            .unwrap();
        for note in [
            event(
                "1",
                Step::CallReceived,
                "from alice@example.org to carol@example.org",
            ),
            event(
                "2",
                Step::CallReceived,
                "from alice@example.org to bob@example.org",
            ),
            event("1", Step::CallConnected, "the caller got 200"),
            event("2", Step::CallConnected, "the caller got 200"),
        ] {
            live.happened(&note, |_| None);
        }
        for step in [Step::CallReceived, Step::CallConnected] {
            let Some(Line::Story { event, .. }) = next(&mut lines).await else {
                panic!("no step");
            };
            assert_eq!((event.tracking.as_str(), event.step), ("2", step));
        }
    }

    #[tokio::test]
    async fn who_is_slow_loses_and_is_told_how_much() {
        let (_stop, live) = live();
        let mut lines = live.watch(Wanted::default()).unwrap();
        let many = BEHIND + ON_THE_WAY + 100;
        for at in 0..many {
            live.happened(&event(&at.to_string(), Step::CallReceived, ""), |_| None);
        }
        let (mut got, mut lost) = (0, 0);
        while got + lost < many {
            match next(&mut lines).await.unwrap() {
                Line::Lost { events } => lost += usize::try_from(events).unwrap(),
                _ => got += 1,
            }
        }
        assert!(lost > 0 && got >= BEHIND, "{got} {lost}");
    }

    #[tokio::test]
    async fn a_place_is_given_back_and_all_end_with_the_server() {
        let (stop, live) = live();
        let all: Vec<_> = (0..WATCHERS)
            .map(|_| live.watch(Wanted::default()).unwrap())
            .collect();
        assert!(live.watch(Wanted::default()).is_none());
        drop(all);
        let mut lines = loop {
            match live.watch(Wanted::default()) {
                Some(lines) => break lines,
                None => tokio::task::yield_now().await,
            }
        };
        stop.send(true).unwrap();
        assert_eq!(next(&mut lines).await, None);
    }
}
