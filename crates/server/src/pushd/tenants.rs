//! Tenants as the running service knows them: their secrets, their access tokens, and what an operator changes of them.

use super::{desk::Desk, hook::Target};
use crate::{clock, entropy::random, hex, secret};
use anyhow::{Context, Result, ensure};
use domain::{
    AppId, Change, Tenant, TenantId, Timestamp,
    tenant::{self, Webhook},
};
use ring::{digest, hmac};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use store::Store;
use tokio::sync::Notify;

/// Life of an access token.
pub(super) const ACCESS: Duration = Duration::from_hours(1);
/// Tenants of one service.
const MOST: usize = 10_000;
/// What a tenant may hand in a minute unless it is said otherwise.
const PER_MINUTE: u32 = 60_000;

/// What an operator wants of a tenant. What is left out stays as it is.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TenantChange {
    /// Apps that it may push to from now on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
    /// Apps that it may not push to any more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub forbid: Vec<String>,
    /// Notifications that it may hand in a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_minute: Option<u32>,
    /// Whether it gets a new secret; the one before stays good until the next.
    pub rotate: bool,
    /// Where it is told from now on what became of what it had queued; empty: nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
}

/// A tenant as an operator sees it.
#[derive(Debug, Deserialize, Serialize)]
pub struct TenantView {
    /// Its name: the `client_id`.
    pub id: String,
    /// The apps that it may push to.
    pub apps: Vec<String>,
    /// Notifications that it may hand in a minute.
    pub per_minute: u32,
    /// Since when its secrets are good, the newest last.
    pub secrets: Vec<Timestamp>,
    /// Where it is told what became of what it had queued.
    pub webhook: Option<String>,
}

/// What a tenant shows. Nobody sees the secret again.
#[derive(Debug, Deserialize, Serialize)]
pub struct Credentials {
    /// Its name.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
}

impl From<Tenant> for TenantView {
    fn from(tenant: Tenant) -> Self {
        Self {
            id: tenant.id.to_string(),
            apps: tenant.apps.iter().map(ToString::to_string).collect(),
            per_minute: tenant.per_minute,
            secrets: tenant.secrets.iter().map(|it| it.made_at).collect(),
            webhook: tenant.webhook.map(|it| it.url),
        }
    }
}

/// A secret as it is kept.
pub(crate) fn client_secret(secret: &str) -> tenant::ClientSecret {
    tenant::ClientSecret {
        digest: hash(secret),
        made_at: clock::now(),
    }
}

fn hash(secret: &str) -> String {
    hex::encode(digest::digest(&digest::SHA256, secret.as_bytes()).as_ref())
}

/// A tenant as it is after a change, and its secret if it got one: a new tenant does.
pub(crate) fn change(
    name: &str,
    known: Option<Tenant>,
    change: &TenantChange,
) -> Result<(Tenant, Option<Credentials>)> {
    ensure!(
        Tenant::is_name(name),
        "{name:?} is no name of a tenant: 1 to {} letters, digits, -, _ and .",
        tenant::NAME_BYTES
    );
    let is_new = known.is_none();
    let mut tenant = known.unwrap_or_else(|| Tenant {
        id: name.into(),
        secrets: Vec::new(),
        apps: Vec::new(),
        per_minute: PER_MINUTE,
        webhook: None,
    });
    if let Some(per_minute) = change.per_minute {
        ensure!(
            per_minute > 0,
            "per_minute: at least 1; to shut a tenant out, remove it"
        );
        tenant.per_minute = per_minute;
    }
    if let Some(url) = &change.webhook {
        tenant.webhook = webhook(url, tenant.webhook)?;
    }
    for app in &change.allow {
        let app = AppId::from(app.as_str());
        if !tenant.apps.contains(&app) {
            tenant.apps.push(app);
        }
    }
    tenant
        .apps
        .retain(|app| !change.forbid.iter().any(|it| it == app.as_str()));
    ensure!(
        tenant.apps.len() <= tenant::APPS,
        "a tenant has at most {} apps",
        tenant::APPS
    );
    let credentials = (is_new || change.rotate).then(|| {
        let made = hex::encode(&random::<24>());
        tenant.rotate(client_secret(&made));
        Credentials {
            client_id: name.to_owned(),
            client_secret: made,
        }
    });
    Ok((tenant, credentials))
}

/// A webhook at this address, which is told what comes behind what the one before was told.
fn webhook(url: &str, before: Option<Webhook>) -> Result<Option<Webhook>> {
    if url.is_empty() {
        return Ok(None);
    }
    let _: Target = url.parse().context("webhook")?;
    Ok(Some(Webhook {
        url: url.to_owned(),
        since: clock::now(),
        heard: before.map_or(0, |it| it.heard),
    }))
}

/// See the module.
#[derive(Clone)]
pub(crate) struct Tenants {
    known: Arc<RwLock<HashMap<TenantId, Arc<Tenant>>>>,
    /// One change after another.
    changing: Arc<tokio::sync::Mutex<()>>,
    store: Arc<dyn Store>,
    desk: Desk,
    /// With what the secrets of webhooks are made, and who is told of changes.
    webhooks: (Arc<[u8]>, Arc<Notify>),
}

impl Tenants {
    pub(super) fn new(tenants: Vec<Tenant>, store: Arc<dyn Store>, desk: Desk) -> Self {
        let known = tenants.into_iter().map(|it| (it.id.clone(), Arc::new(it)));
        Self {
            known: Arc::new(RwLock::new(known.collect())),
            changing: Arc::default(),
            store,
            desk,
            webhooks: (Arc::default(), Arc::default()),
        }
    }

    /// With what webhooks need.
    pub(super) fn with_webhooks(self, secret: &[u8], news: Arc<Notify>) -> Self {
        Self {
            webhooks: (secret.into(), news),
            ..self
        }
    }

    /// Whose webhooks there are, and where.
    pub(super) fn webhooks(&self) -> Vec<(TenantId, Webhook)> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let all = known.values();
        all.filter_map(|it| Some((it.id.clone(), it.webhook.clone()?)))
            .collect()
    }

    /// By what the webhook of this tenant knows us.
    pub(super) fn webhook_secret(&self, name: &str) -> Option<String> {
        let tenant = self.get(name)?;
        let webhook = tenant.webhook.as_ref()?;
        Some(super::hook::secret(&self.webhooks.0, &tenant.id, webhook))
    }

    /// A webhook has taken all up to this number, unless it is another one by now.
    pub(super) async fn heard(&self, name: &TenantId, by: &Webhook, heard: u64) -> Result<()> {
        let _changing = self.changing.lock().await;
        let Some(mut tenant) = self.get(name.as_str()).map(|it| (*it).clone()) else {
            return Ok(());
        };
        let Some(webhook) = tenant.webhook.as_mut().filter(|it| it.since == by.since) else {
            return Ok(());
        };
        webhook.heard = heard;
        self.save(Change::PutTenant(Box::new(tenant.clone())))
            .await?;
        self.write().insert(name.clone(), Arc::new(tenant));
        Ok(())
    }

    pub(super) fn get(&self, name: &str) -> Option<Arc<Tenant>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(name).cloned()
    }

    /// All, by name.
    pub(super) fn all(&self) -> Vec<TenantView> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = known
            .values()
            .map(|it| TenantView::from((**it).clone()))
            .collect();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all
    }

    /// Changes or makes one: saved, then so.
    pub(super) async fn change(
        &self,
        name: &str,
        wanted: &TenantChange,
    ) -> Result<(TenantView, Option<Credentials>)> {
        let _changing = self.changing.lock().await;
        let known = self.get(name).map(|it| (*it).clone());
        ensure!(
            known.is_some() || self.count() < MOST,
            "there are {MOST} tenants already"
        );
        let (tenant, credentials) = change(name, known, wanted)?;
        self.save(Change::PutTenant(Box::new(tenant.clone())))
            .await?;
        self.write()
            .insert(tenant.id.clone(), Arc::new(tenant.clone()));
        self.desk.tenant(tenant.clone()).await;
        self.webhooks.1.notify_one();
        tracing::info!(tenant = name, "a tenant of the push service is changed");
        Ok((tenant.into(), credentials))
    }

    /// Removes one; says whether there was one.
    pub(super) async fn remove(&self, name: &str) -> Result<bool> {
        let _changing = self.changing.lock().await;
        let Some(tenant) = self.get(name) else {
            return Ok(false);
        };
        self.save(Change::RemoveTenant(tenant.id.clone())).await?;
        self.write().remove(&tenant.id);
        self.desk.tenant_gone(tenant.id.clone()).await;
        self.webhooks.1.notify_one();
        tracing::info!(tenant = name, "a tenant of the push service is removed");
        Ok(true)
    }

    fn count(&self) -> usize {
        self.known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<TenantId, Arc<Tenant>>> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }

    async fn save(&self, change: Change) -> Result<()> {
        let saved = crate::accounts::write(self.store.as_ref(), change).await;
        saved.context("the tenant could not be saved")
    }
}

/// Makes access tokens and checks them: whose, until when, sealed with a key of ours and bound to the tenant's secret.
/// Nothing is kept of them.
#[derive(Clone)]
pub(super) struct Tokens(hmac::Key);

impl Tokens {
    pub(super) fn new(secret: &[u8]) -> Self {
        Self(secret::key_for("push-service-tokens", secret))
    }

    /// For whoever shows a good secret of this tenant.
    pub(super) fn issue(&self, tenant: &Tenant, shown: &str, now: Timestamp) -> Option<String> {
        let shown = hash(shown);
        let good = tenant.secrets.iter();
        let good = good.fold(false, |good, it| {
            good | secret::same(it.digest.as_bytes(), shown.as_bytes())
        });
        good.then(|| {
            let claims = format!(
                "{}.{}",
                now.plus(ACCESS).0,
                hex::encode(tenant.id.as_str().as_bytes())
            );
            let seal = hmac::sign(&self.0, &sealed(&claims, &shown));
            format!("{claims}.{}", hex::encode(seal.as_ref()))
        })
    }

    /// The tenant whose token it is, if it is good.
    pub(super) fn tenant(
        &self,
        token: &str,
        tenants: &Tenants,
        now: Timestamp,
    ) -> Option<Arc<Tenant>> {
        let (claims, seal) = token.rsplit_once('.')?;
        let (until, name) = claims.split_once('.')?;
        let seal = hex::decode(seal)?;
        let tenant = tenants.get(&String::from_utf8(hex::decode(name)?).ok()?)?;
        let is_good = tenant
            .secrets
            .iter()
            .any(|it| hmac::verify(&self.0, &sealed(claims, &it.digest), &seal).is_ok());
        (is_good && now.0 < until.parse::<u64>().ok()?).then_some(tenant)
    }
}

fn sealed(claims: &str, digest: &str) -> Vec<u8> {
    format!("{claims}\0{digest}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_tenant_has_a_secret_and_a_change_of_apps_makes_none() {
        let allow = |apps: &[&str]| TenantChange {
            allow: apps.iter().map(|&it| it.to_owned()).collect(),
            ..TenantChange::default()
        };
        let (tenant, made) = change("t", None, &allow(&["a", "b"])).unwrap();
        let secret = made.unwrap().client_secret;
        assert_eq!(tenant.secrets[0].digest, hash(&secret));
        let forbid = TenantChange {
            forbid: vec!["a".to_owned()],
            ..allow(&["c", "b"])
        };
        let (tenant, made) = change("t", Some(tenant), &forbid).unwrap();
        assert!(made.is_none());
        assert_eq!(TenantView::from(tenant).apps, ["b", "c"]);
        assert!(change("a b", None, &allow(&[])).is_err());
    }

    #[test]
    fn two_secrets_are_good_and_a_token_ends_with_its_own() {
        let tokens = Tokens::new(b"key");
        let rotate = TenantChange {
            rotate: true,
            ..TenantChange::default()
        };
        let (tenant, first) = change("t", None, &rotate).unwrap();
        let first = first.unwrap().client_secret;
        let token = tokens.issue(&tenant, &first, Timestamp(0)).unwrap();
        assert!(tokens.issue(&tenant, "guess", Timestamp(0)).is_none());
        let (tenant, _) = change("t", Some(tenant), &rotate).unwrap();
        assert!(tokens.issue(&tenant, &first, Timestamp(0)).is_some());
        let (rotated, _) = change("t", Some(tenant.clone()), &rotate).unwrap();
        assert!(tokens.issue(&rotated, &first, Timestamp(0)).is_none());
        let known = |tenant: Tenant| {
            let (desk, _task) = crate::pushd::desk::nobody();
            Tenants::new(vec![tenant], store::open("memory:").unwrap(), desk)
        };
        let is_good = |tenant: &Tenant, at| {
            let known = known(tenant.clone());
            tokens.tenant(&token, &known, Timestamp(at)).is_some()
        };
        assert!(is_good(&tenant, 3_599_999));
        assert!(!is_good(&tenant, 3_600_000));
        assert!(!is_good(&rotated, 0));
    }
}
