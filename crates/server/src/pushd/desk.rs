//! Drives the machine: one task takes in what is handed in, performs what the machine says, and brings back what became of
//! it.

use crate::{
    alarms::{Alarm, Notice},
    clock,
    metrics::Metrics,
};
use domain::{Change, NotificationId, Outcome, Tenant, TenantId, Timestamp};
use push::together::patient;
use pushd::{Input, Output, PushId, Reply, SaveId, Service, Submission, Ticket};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};
use store::Store;
use tokio::{
    sync::{Notify, mpsc, oneshot},
    task::JoinHandle,
    time::MissedTickBehavior,
};

/// Words that may wait for the task; more make their sender wait.
const INBOX: usize = 4_096;
/// Words that are taken in at once.
const AT_ONCE: usize = 256;
/// How often it is looked at how the service is doing.
const LOOK: Duration = Duration::from_secs(1);
/// How long what is under way may take at shutdown: longer than any push.
const FAREWELL: Duration = Duration::from_secs(8);

/// What the task is told from outside.
enum Word {
    Submit(Box<Submission>, oneshot::Sender<Reply>),
    Status(TenantId, NotificationId, oneshot::Sender<Option<Reply>>),
    Tenant(Box<Tenant>),
    TenantGone(TenantId),
    PushBy(push::Pusher),
    Stop,
}

/// What comes back of what it had done. As many as are under way, which the machine bounds.
enum Back {
    Answered(PushId, Outcome),
    Saved(Vec<(SaveId, bool)>),
}

/// The way to the task.
#[derive(Clone)]
pub(crate) struct Desk(mpsc::Sender<Word>);

impl Desk {
    /// Hands a notification in, and waits for the answer. `None`: the service stops.
    pub(super) async fn submit(&self, submission: Submission) -> Option<Reply> {
        self.hand_in(submission).await.await.ok()
    }

    /// Hands a notification in, and says where its answer comes; none does if the service stops.
    pub(super) async fn hand_in(&self, submission: Submission) -> oneshot::Receiver<Reply> {
        let (reply, answer) = oneshot::channel();
        // It may have stopped: then nobody answers.
        let _ = self.0.send(Word::Submit(Box::new(submission), reply)).await;
        answer
    }

    /// What is known of the push of this id.
    pub(super) async fn status(&self, tenant: TenantId, id: NotificationId) -> Option<Reply> {
        let (reply, answer) = oneshot::channel();
        let word = Word::Status(tenant, id, reply);
        self.0.send(word).await.ok()?;
        answer.await.ok().flatten()
    }

    /// A tenant is new, or otherwise than before.
    pub(super) async fn tenant(&self, tenant: Tenant) {
        // It may have stopped.
        let _ = self.0.send(Word::Tenant(Box::new(tenant))).await;
    }

    /// A tenant is no more.
    pub(super) async fn tenant_gone(&self, tenant: TenantId) {
        // It may have stopped.
        let _ = self.0.send(Word::TenantGone(tenant)).await;
    }

    /// The operator has decided about apps, or how clouds are reached: these clients know it.
    pub(super) async fn push_by(&self, pusher: push::Pusher) {
        // It may have stopped.
        let _ = self.0.send(Word::PushBy(pusher)).await;
    }

    /// Nothing more is taken.
    pub(super) async fn stop(&self) {
        // It may have stopped.
        let _ = self.0.send(Word::Stop).await;
    }
}

/// Starts the task. It ends when it was told to stop and nothing is under way.
pub(super) fn start(
    service: Service,
    pusher: push::Pusher,
    store: Arc<dyn Store>,
    (metrics, news): (Arc<Metrics>, Arc<Notify>),
) -> (Desk, JoinHandle<()>) {
    let (desk, inbox) = mpsc::channel(INBOX);
    let (back, backs) = mpsc::unbounded_channel();
    let task = Task {
        service,
        pusher,
        store,
        metrics,
        news,
        clock: Clock::default(),
        asking: HashMap::new(),
        tickets: 0,
        saving: 0,
        told_of: BTreeSet::new(),
        back,
    };
    // What has been handed in and answered meanwhile is taken in together.
    let running = patient(task.run(inbox, backs));
    (Desk(desk), tokio::spawn(running))
}

/// The wall's time at the start, and what has passed since: it never goes back.
struct Clock {
    wall: Timestamp,
    since: Instant,
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            wall: clock::now(),
            since: Instant::now(),
        }
    }
}

impl Clock {
    fn now(&self) -> Timestamp {
        self.wall.plus(self.since.elapsed())
    }
}

struct Task {
    service: Service,
    pusher: push::Pusher,
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    /// Told whenever something may have ended.
    news: Arc<Notify>,
    clock: Clock,
    asking: HashMap<Ticket, oneshot::Sender<Reply>>,
    tickets: u64,
    /// Commits that are not answered.
    saving: usize,
    /// Alarms that stand for tenants.
    told_of: BTreeSet<(Alarm, String)>,
    back: mpsc::UnboundedSender<Back>,
}

impl Task {
    async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Word>,
        mut backs: mpsc::UnboundedReceiver<Back>,
    ) {
        let (mut words, mut came) = (Vec::new(), Vec::new());
        let mut stops_at = None;
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // What was loaded may be due.
        self.service.handle(self.clock.now(), Input::Timeout);
        loop {
            self.perform();
            self.metrics.push_service_has(self.service.load());
            if stops_at.is_some() && self.service.load().1 == 0 && self.saving == 0 {
                return self.farewell();
            }
            let wait = self
                .service
                .next_timeout()
                .map(|at| at.since(self.clock.now()));
            tokio::select! {
                biased;
                _ = backs.recv_many(&mut came, AT_ONCE) => {
                    for back in came.drain(..) {
                        self.came_back(back);
                    }
                }
                count = inbox.recv_many(&mut words, AT_ONCE), if stops_at.is_none() => {
                    let is_told_to_stop = words.iter().any(|word| matches!(word, Word::Stop));
                    for word in words.drain(..) {
                        self.word(word);
                    }
                    if is_told_to_stop || count == 0 {
                        inbox.close();
                        stops_at = Some(tokio::time::Instant::now() + FAREWELL);
                    }
                }
                () = sleep(wait), if stops_at.is_none() => {
                    self.service.handle(self.clock.now(), Input::Timeout);
                }
                _ = looks.tick() => self.look(),
                () = until(stops_at) => return self.farewell(),
            }
        }
    }

    /// Says what is left: nothing that was promised is lost.
    fn farewell(&self) {
        let (queued, cut_short) = self.service.load();
        if cut_short > 0 {
            tracing::warn!(
                queued,
                cut_short,
                "the push service stops while pushes are under way: those of the queue go again"
            );
        } else {
            tracing::info!(
                queued,
                "the push service has stopped: what is queued goes at the next start"
            );
        }
    }

    /// How the service is doing, for whoever watches.
    fn look(&mut self) {
        let now = self.clock.now();
        let look = self.service.look(now);
        let metrics = self.metrics.push_service();
        metrics.oldest(look.oldest, now);
        metrics.left_alone(&look.left_alone);
        let full = look.nearly_full.iter().map(|(tenant, count)| {
            let detail = format!("{count} pushes wait");
            (Alarm::PushQueueNearlyFull, tenant, detail)
        });
        let refused = look.refused.iter().map(|tenant| {
            let detail = "it hands in more than it may".to_owned();
            (Alarm::PushTenantRefused, tenant, detail)
        });
        let mut before = std::mem::take(&mut self.told_of);
        for (alarm, tenant, detail) in full.chain(refused) {
            let key = (alarm, tenant.to_string());
            let notice = Notice::of(alarm, detail);
            self.metrics.alarms().about(alarm, &key.1, Some(&notice));
            before.remove(&key);
            self.told_of.insert(key);
        }
        for (alarm, tenant) in before {
            self.metrics.alarms().about(alarm, &tenant, None);
        }
    }

    fn word(&mut self, word: Word) {
        let input = match word {
            Word::Submit(submission, reply) => {
                self.tickets += 1;
                let ticket = Ticket(self.tickets);
                self.asking.insert(ticket, reply);
                Input::Submitted(ticket, submission)
            }
            Word::Status(tenant, id, reply) => {
                // Whoever asked may have gone.
                let _ = reply.send(self.service.status(&tenant, &id));
                return;
            }
            Word::Tenant(tenant) => Input::Tenant(tenant),
            Word::TenantGone(tenant) => Input::TenantGone(tenant),
            Word::PushBy(pusher) => {
                self.pusher = pusher;
                return;
            }
            Word::Stop => return,
        };
        self.service.handle(self.clock.now(), input);
    }

    fn came_back(&mut self, back: Back) {
        let now = self.clock.now();
        match back {
            Back::Answered(id, outcome) => self.service.handle(now, Input::Answered(id, outcome)),
            Back::Saved(verdicts) => {
                self.saving -= 1;
                self.news.notify_one();
                for (id, is_saved) in verdicts {
                    self.service.handle(now, Input::Saved(id, is_saved));
                }
            }
        }
    }

    /// Does all that the machine says; what is to be saved goes to the store together.
    fn perform(&mut self) {
        let (mut ids, mut steps) = (Vec::new(), Vec::new());
        while let Some(output) = self.service.poll() {
            match output {
                Output::Send(id, push) => {
                    let (pusher, back) = (self.pusher.clone(), self.back.clone());
                    tokio::spawn(async move {
                        let outcome = pusher.push(*push).await;
                        // The task may have ended.
                        let _ = back.send(Back::Answered(id, outcome));
                    });
                }
                Output::Save(id, change) => {
                    if let Change::SettlePush(settled) = &*change {
                        self.metrics.push_service().ended(settled.end.name());
                    }
                    ids.push(id);
                    steps.push(vec![*change]);
                }
                Output::Reply(ticket, reply) => {
                    self.metrics.push_service().told(name(&reply));
                    if let Some(asking) = self.asking.remove(&ticket) {
                        // Whoever asked may have gone.
                        let _ = asking.send(reply);
                    }
                }
            }
        }
        if !ids.is_empty() {
            self.save(ids, steps);
        }
    }

    fn save(&mut self, ids: Vec<SaveId>, steps: Vec<Vec<Change>>) {
        self.saving += 1;
        let (saved, back) = (self.store.commit(steps), self.back.clone());
        tokio::spawn(async move {
            let verdicts = match saved.await {
                Ok(results) => ids
                    .into_iter()
                    .zip(results.iter().map(Result::is_ok))
                    .collect(),
                Err(error) => {
                    tracing::error!(%error, "the push service's queue could not be saved");
                    ids.into_iter().map(|id| (id, false)).collect()
                }
            };
            // The task may have ended.
            let _ = back.send(Back::Saved(verdicts));
        });
    }
}

/// An answer in the metrics.
fn name(reply: &Reply) -> &'static str {
    match reply {
        Reply::Told(outcome) => outcome.name(),
        Reply::Queued => "queued",
        Reply::Ended(end) => end.name(),
        Reply::NotLet => "not_let",
        Reply::Busy { .. } => "busy",
        Reply::NotSaved => "not_saved",
    }
}

async fn sleep(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}

async fn until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// A desk at which nobody sits.
#[cfg(test)]
pub(super) fn nobody() -> (Desk, mpsc::Receiver<impl Sized>) {
    let (desk, inbox) = mpsc::channel(1);
    (Desk(desk), inbox)
}
