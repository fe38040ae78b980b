//! Feedback that is brought (`docs/operations/push-service.md`): what became of a tenant's queued pushes goes to the address that it was given, signed, in the order of the
//! cursor that `GET /v1/feedback` has. What was not taken is tried again from the same place, so a webhook that is dead for days loses nothing that
//! the pull endpoint still has. [`super::hook`] is one call of one.

use super::{
    hook::{Target, header, secret},
    rest::feedback_document,
    tenants::Tenants,
};
use crate::{
    alarms::{Alarm, Notice},
    clock,
    metrics::Metrics,
    pauses::Pauses,
};
use anyhow::{Context, Result};
use domain::{TenantId, Timestamp, tenant::Webhook};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};
use store::Store;
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
    time::sleep,
};

/// Ends that are brought at once.
const ENDS: usize = 500;
/// Webhooks that are called at once; the others wait for their turn.
const AT_ONCE: usize = 256;
/// The first pause after a call that was not taken, and the longest.
const PAUSES: Pauses = Pauses::new(Duration::from_secs(1), Duration::from_mins(5));
/// A webhook that takes nothing for so long is an alarm.
const PATIENCE: Duration = Duration::from_mins(10);

/// What it is done with.
pub(super) struct Parts {
    pub(super) tenants: Tenants,
    pub(super) store: Arc<dyn Store>,
    pub(super) metrics: Arc<Metrics>,
    /// Of these days: a reload changes it.
    pub(super) tls: watch::Receiver<Arc<rustls::ClientConfig>>,
    pub(super) secret: Vec<u8>,
    /// Something has ended, or a tenant is another one.
    pub(super) news: Arc<Notify>,
}

/// Where a tenant's webhook stands.
#[derive(Default)]
struct State {
    /// Since when it is the one that it is.
    since: Option<Timestamp>,
    is_under_way: bool,
    /// It has all that there was when it was looked at last.
    is_quiet: bool,
    /// Since when it takes nothing, and how long it is left alone then.
    failing: Option<(Instant, Pauses)>,
    not_before: Option<Instant>,
}

/// What came of a call.
struct Done {
    tenant: TenantId,
    /// Whether there may be more; or what is wrong.
    result: Result<bool>,
}

/// Brings what there is, until it is told to stop.
pub(super) async fn run(parts: Parts, mut stop: watch::Receiver<bool>) {
    let parts = Arc::new(parts);
    let mut states: HashMap<TenantId, State> = HashMap::new();
    let mut calls: JoinSet<Done> = JoinSet::new();
    loop {
        let next = begin(&parts, &mut states, &mut calls);
        tokio::select! {
            _ = stop.changed() => return,
            () = parts.news.notified() => {
                for state in states.values_mut() {
                    state.is_quiet = false;
                }
            }
            () = until(next) => {}
            Some(done) = calls.join_next() => {
                if let Ok(done) = done {
                    settle(&parts, &mut states, done);
                }
            }
        }
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep(at.saturating_duration_since(Instant::now())).await,
        None => std::future::pending().await,
    }
}

/// Calls every webhook whose turn it is; says when the next one's is.
fn begin(
    parts: &Arc<Parts>,
    states: &mut HashMap<TenantId, State>,
    calls: &mut JoinSet<Done>,
) -> Option<Instant> {
    let hooks = parts.tenants.webhooks();
    forget(parts, states, &hooks);
    let now = Instant::now();
    let mut next: Option<Instant> = None;
    for (tenant, webhook) in hooks {
        let state = states.entry(tenant.clone()).or_default();
        state.since = Some(webhook.since);
        if state.is_under_way || state.is_quiet {
            continue;
        }
        if let Some(at) = state.not_before.filter(|at| *at > now) {
            next = Some(next.map_or(at, |it| it.min(at)));
            continue;
        }
        if calls.len() >= AT_ONCE {
            break;
        }
        state.is_under_way = true;
        // What ends from here on is news.
        state.is_quiet = true;
        let parts = parts.clone();
        calls.spawn(async move {
            let result = bring(&parts, &tenant, &webhook).await;
            Done { tenant, result }
        });
    }
    next
}

/// Webhooks that are none any more, or at another address, have failed nobody.
fn forget(parts: &Parts, states: &mut HashMap<TenantId, State>, hooks: &[(TenantId, Webhook)]) {
    let known: HashMap<_, _> = hooks.iter().map(|(id, it)| (id, it.since)).collect();
    states.retain(|tenant, state| {
        let is_same = state.since == known.get(tenant).copied();
        if !is_same && state.failing.is_some() {
            let alarms = parts.metrics.alarms();
            alarms.about(Alarm::WebhookFails, tenant.as_str(), None);
        }
        is_same
    });
}

/// Takes up what came of a call.
fn settle(parts: &Parts, states: &mut HashMap<TenantId, State>, done: Done) {
    let Some(state) = states.get_mut(&done.tenant) else {
        return;
    };
    state.is_under_way = false;
    let now = Instant::now();
    let (alarms, tenant) = (parts.metrics.alarms(), done.tenant.as_str());
    match done.result {
        Ok(has_more) => {
            state.is_quiet &= !has_more;
            state.not_before = None;
            if state.failing.take().is_some() {
                alarms.about(Alarm::WebhookFails, tenant, None);
            }
        }
        Err(error) => {
            let (since, pauses) = state.failing.get_or_insert((now, PAUSES));
            let since = *since;
            state.not_before = Some(now + pauses.next());
            state.is_quiet = false;
            let error = format!("{error:#}");
            tracing::debug!(tenant, error, "webhook");
            if now - since >= PATIENCE {
                let notice = Notice::of(Alarm::WebhookFails, error);
                alarms.about(Alarm::WebhookFails, tenant, Some(&notice));
            }
        }
    }
}

/// Brings what there is behind the place up to which it was taken; says whether there may be more.
async fn bring(parts: &Parts, tenant: &TenantId, webhook: &Webhook) -> Result<bool> {
    let ends = parts.store.push_ends(tenant, webhook.heard, ENDS).await?;
    let Some(last) = ends.last() else {
        return Ok(false);
    };
    let (heard, has_more) = (last.number, ends.len() == ENDS);
    let body = feedback_document(ends, webhook.heard).to_string();
    let now = clock::now().0 / 1000;
    let key = secret(&parts.secret, tenant, webhook);
    let signature = header(&key, now, body.as_bytes());
    let target: Target = webhook.url.parse()?;
    let tls = parts.tls.borrow().clone();
    let status = target.post(&tls, &signature, body).await?;
    anyhow::ensure!(
        (200..300).contains(&status),
        "{} answers {status}",
        webhook.url
    );
    let kept = parts.tenants.heard(tenant, webhook, heard).await;
    kept.context("up to where it was taken could not be saved: it is brought again")?;
    Ok(has_more)
}
