//! The push service's tenants, its queue, and what became of what was in it.

use super::{
    backend::{SqliteStore, rows},
    columns::{count, maybe_name, name, named, number, text, time, timestamp},
    database::Database,
    outbox::{purpose, purpose_columns},
    sql::Sql,
    wiping::wiping,
};
use crate::{Answer, Pushes, limits};
use domain::{
    Channel, Feedback, Notification, NotificationId, QueuedPush, SettledPush, Tenant, TenantId,
    Timestamp,
    tenant::{ClientSecret, Webhook},
};
use rusqlite::{Error, Result, Row, params, types::Type};
use std::time::Duration;

impl Pushes for SqliteStore {
    fn tenants(&self) -> Answer<Vec<Tenant>> {
        self.readers.read(|database| {
            // One moment for all three tables.
            database.run(Sql::BeginReading, [])?;
            let tenants = tenants(database);
            database.run(Sql::Commit, [])?;
            tenants
        })
    }

    fn push_queue(
        &self,
        after: Option<(TenantId, NotificationId)>,
        limit: usize,
    ) -> Answer<Vec<QueuedPush>> {
        self.readers.read(move |database| {
            let (tenant, id) = match &after {
                Some((tenant, id)) => (tenant.as_str(), id.as_str()),
                None => ("", ""),
            };
            database.all(Sql::PushQueue, params![tenant, id, rows(limit)], queued)
        })
    }

    fn push_end(&self, tenant: &TenantId, id: &NotificationId) -> Answer<Option<Feedback>> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.readers.read(move |database| {
            let params = params![tenant.as_str(), id.as_str()];
            database.one(Sql::PushEnd, params, feedback)
        })
    }

    fn push_ends(&self, tenant: &TenantId, after: u64, limit: usize) -> Answer<Vec<Feedback>> {
        let tenant = tenant.clone();
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        self.readers.read(move |database| {
            let params = params![tenant.as_str(), after, rows(limit)];
            database.all(Sql::PushEnds, params, feedback)
        })
    }
}

fn tenants(database: &mut Database<'_>) -> Result<Vec<Tenant>> {
    let mut tenants = database.all(Sql::Tenants, [], |row| {
        Ok(Tenant {
            id: name(row, 0)?,
            secrets: Vec::new(),
            apps: Vec::new(),
            per_minute: row.get(1)?,
            webhook: None,
        })
    })?;
    for tenant in &mut tenants {
        let id = tenant.id.as_str();
        tenant.secrets = database.all(Sql::TenantSecrets, [id], |row| {
            Ok(ClientSecret {
                digest: name(row, 0)?,
                made_at: timestamp(row, 1)?,
            })
        })?;
        tenant.webhook = database.one(Sql::Webhook, [id], |row| {
            Ok(Webhook {
                url: name(row, 0)?,
                since: timestamp(row, 1)?,
                heard: count(row, 2)?,
            })
        })?;
        tenant.apps = database.all(Sql::TenantApps, [id], |row| name(row, 0))?;
    }
    Ok(tenants)
}

fn queued(row: &Row<'_>) -> Result<QueuedPush> {
    const CHANNELS: &[Channel] = &[Channel::Voip, Channel::Message];
    Ok(QueuedPush {
        tenant: name(row, 0)?,
        push: Notification {
            id: name(row, 1)?,
            app: name(row, 2)?,
            token: name(row, 3)?,
            channel: named(row, 4, CHANNELS, Channel::name)?,
            purpose: purpose(row, 5)?,
            tracking: name(row, 9)?,
            ttl: Duration::from_millis(count(row, 10)?),
            collapse: maybe_name(row, 11)?,
            badge: row.get(12)?,
            sealed: row.get(13)?,
        },
        at: timestamp(row, 14)?,
        due: timestamp(row, 15)?,
        attempts: row.get(16)?,
    })
}

fn feedback(row: &Row<'_>) -> Result<Feedback> {
    let end = serde_json::from_str(text(row, 4)?)
        .map_err(|error| Error::FromSqlConversionFailure(4, Type::Text, error.into()))?;
    Ok(Feedback {
        number: count(row, 0)?,
        settled: SettledPush {
            tenant: name(row, 1)?,
            id: name(row, 2)?,
            at: timestamp(row, 3)?,
            end,
        },
    })
}

pub(super) fn put_tenant(database: &mut Database<'_>, tenant: &Tenant) -> Result<usize> {
    let Tenant {
        id,
        secrets,
        apps,
        per_minute,
        webhook,
    } = tenant;
    let id = id.as_str();
    let written = database.run(Sql::PutTenant, params![id, per_minute])?;
    database.run(Sql::RemoveTenantSecrets, [id])?;
    database.run(Sql::RemoveTenantApps, [id])?;
    database.run(Sql::RemoveWebhook, [id])?;
    if let Some(Webhook { url, since, heard }) = webhook {
        let heard = i64::try_from(*heard).unwrap_or(i64::MAX);
        let params = params![id, url, time(*since), heard];
        database.run(Sql::PutWebhook, params)?;
    }
    for (place, secret) in secrets.iter().enumerate() {
        let params = params![id, number(place), secret.digest, time(secret.made_at)];
        database.run(Sql::PutTenantSecret, params)?;
    }
    for (place, app) in apps.iter().enumerate() {
        database.run(Sql::PutTenantApp, params![id, number(place), app.as_str()])?;
    }
    Ok(written)
}

pub(super) fn queue(database: &mut Database<'_>, queued: &QueuedPush) -> Result<usize> {
    let QueuedPush {
        tenant,
        push,
        at,
        due,
        attempts,
    } = queued;
    let (about, register_at, unread) = purpose_columns(&push.purpose);
    database.run(
        Sql::QueuePush,
        params![
            tenant.as_str(),
            push.id.as_str(),
            push.app.as_str(),
            push.token,
            push.channel.name(),
            push.purpose.name(),
            about,
            register_at,
            unread,
            push.tracking.as_str(),
            i64::try_from(push.ttl.as_millis()).unwrap_or(i64::MAX),
            push.collapse,
            push.badge,
            push.sealed,
            time(*at),
            time(*due),
            attempts,
        ],
    )
}

pub(super) fn settle(database: &mut Database<'_>, settled: &SettledPush) -> Result<usize> {
    let SettledPush {
        tenant,
        id,
        at,
        end,
    } = settled;
    let (tenant, id) = (tenant.as_str(), id.as_str());
    let end =
        serde_json::to_string(end).map_err(|error| Error::ToSqlConversionFailure(error.into()))?;
    let written = database.run(Sql::SettlePush, params![tenant, id, time(*at), end])?;
    // What it said is overwritten, wherever it lay.
    wiping(database, |database| {
        database.run(Sql::UnqueuePush, [tenant, id])
    })?;
    let before = Timestamp(at.0.saturating_sub(limits::PUSH_ENDS_MILLIS));
    let oldest = params![tenant, time(before), number(limits::PUSH_ENDS_BITE)];
    database.run(Sql::ForgetPushEnds, oldest)?;
    Ok(written)
}
