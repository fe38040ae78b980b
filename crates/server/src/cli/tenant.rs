//! `reveille tenant`: who may push through our push service, and to what.

use super::{
    admin::{Listing, Which, one, path},
    output,
};
use crate::{
    accounts,
    pushd::{TenantChange, TenantView, admin::document, tenants::change},
};
use anyhow::{Result, bail, ensure};
use domain::{Change, date};
use http::Method;
use serde_json::Value;
use store::Store;

/// The tenants of the admin API.
const TENANTS: &str = "/api/v1/tenants";

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Make a tenant, and print its credentials
    Add(Add),
    /// List tenants, their apps, and since when their secrets are good
    List(Listing),
    /// Make a new secret and print it; the one before stays good until the next
    Rotate(One),
    /// Let a tenant push to an app
    Allow(Allow),
    /// Bring a tenant what became of its queue; print the secret that signs it
    Webhook(Hook),
    /// Remove a tenant and all that it has queued
    Remove(One),
}

#[derive(Debug, clap::Args)]
pub(super) struct Add {
    name: String,
    /// An app of [[push.app]] that it may push to; may be given several times
    #[arg(long, value_name = "APP")]
    app: Vec<String>,
    /// Notifications that it may hand in a minute
    #[arg(long, value_name = "N")]
    per_minute: Option<u32>,
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, clap::Args)]
pub(super) struct One {
    name: String,
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, clap::Args)]
pub(super) struct Allow {
    name: String,
    app: String,
    /// Forbid it
    #[arg(long)]
    not: bool,
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, clap::Args)]
pub(super) struct Hook {
    name: String,
    /// An https address; without one, it is told nowhere
    url: Option<String>,
    #[command(flatten)]
    which: Which,
}

pub(super) async fn run(command: Command) -> Result<()> {
    match command {
        Command::Add(Add {
            name,
            app,
            per_minute,
            which,
        }) => {
            if views(&which).await?.iter().any(|it| it.id == name) {
                bail!(
                    "there is a tenant {name} already: `reveille tenant rotate` makes a new secret"
                );
            }
            let wanted = TenantChange {
                allow: app,
                per_minute,
                ..TenantChange::default()
            };
            put(&which, &name, &wanted).await
        }
        Command::List(Listing { json, which }) => list(&which, json).await,
        Command::Rotate(One { name, which }) => {
            let wanted = TenantChange {
                rotate: true,
                ..TenantChange::default()
            };
            let name = known(&which, &name).await?;
            put(&which, &name, &wanted).await
        }
        Command::Allow(Allow {
            name,
            app,
            not,
            which,
        }) => {
            let (allow, forbid) = if not {
                (vec![], vec![app])
            } else {
                (vec![app], vec![])
            };
            let wanted = TenantChange {
                allow,
                forbid,
                ..TenantChange::default()
            };
            let name = known(&which, &name).await?;
            put(&which, &name, &wanted).await
        }
        Command::Webhook(Hook { name, url, which }) => {
            let wanted = TenantChange {
                webhook: Some(url.unwrap_or_default()),
                ..TenantChange::default()
            };
            let name = known(&which, &name).await?;
            put(&which, &name, &wanted).await
        }
        Command::Remove(One { name, which }) => remove(&which, &name).await,
    }
}

/// Asks the running service, else its store.
async fn views(which: &Which) -> Result<Vec<TenantView>> {
    let server = which.server()?;
    if let Some(all) = server.ask(Method::GET, TENANTS, None).await? {
        return Ok(serde_json::from_value(all)?);
    }
    let read = async |store: &dyn Store| Ok(store.tenants().await?);
    let tenants = server.in_store(read).await?;
    Ok(tenants.into_iter().map(TenantView::from).collect())
}

/// The tenant that is meant by a name, or by the beginning of one.
async fn known(which: &Which, given: &str) -> Result<String> {
    let all = views(which).await?.into_iter().map(|it| it.id);
    one(given, all, "tenant", "`reveille tenant list` names them")
}

async fn put(which: &Which, name: &str, wanted: &TenantChange) -> Result<()> {
    let server = which.server()?;
    let order = serde_json::to_value(wanted)?;
    let at = path(&format!("{TENANTS}/"), name);
    let asked = server.ask(Method::PUT, &at, Some(&order)).await?;
    let changed = if let Some(changed) = asked {
        changed
    } else {
        ensure!(
            wanted.webhook.is_none(),
            "no service is running here, which makes the secret of a webhook: start it, and set it then"
        );
        let put = async |store: &dyn Store| {
            let mut known = store.tenants().await?.into_iter();
            let known = known.find(|it| it.id.as_str() == name);
            let (tenant, credentials) = change(name, known, wanted)?;
            let put = Change::PutTenant(Box::new(tenant.clone()));
            accounts::write(store, put).await?;
            Ok(document(&tenant.into(), credentials.as_ref()))
        };
        server.in_store(put).await?
    };
    say!("{}", told(name, &changed));
    Ok(())
}

/// Credentials are shown once.
fn told(name: &str, changed: &Value) -> String {
    if let Some(secret) = changed["webhook_secret"].as_str() {
        return format!(
            "webhook_secret {secret}\nThe secret is not shown again; an address that is set again has another one."
        );
    }
    let text = |key: &str| changed["credentials"][key].as_str();
    match text("client_id").zip(text("client_secret")) {
        Some((id, secret)) => format!(
            "client_id     {id}\nclient_secret {secret}\nThe secret is not shown again; the one before it, if there was one, stays good until the next."
        ),
        None => format!("{name} is changed"),
    }
}

async fn list(which: &Which, json: bool) -> Result<()> {
    let all = views(which).await?;
    if json {
        output::json(&serde_json::to_value(&all)?);
        return Ok(());
    }
    for it in all {
        let since: Vec<_> = it.secrets.iter().map(|at| date::iso8601(*at)).collect();
        say!(
            "{}  {} a minute  secrets since {}  apps {}",
            it.id,
            it.per_minute,
            since.join(", "),
            it.apps.join(", ")
        );
    }
    Ok(())
}

async fn remove(which: &Which, name: &str) -> Result<()> {
    let name = &known(which, name).await?;
    let server = which.server()?;
    let at = path(&format!("{TENANTS}/"), name);
    if server.ask(Method::DELETE, &at, None).await?.is_none() {
        let gone = Change::RemoveTenant(name.as_str().into());
        let remove = async |store: &dyn Store| Ok(accounts::write(store, gone).await?);
        server.in_store(remove).await?;
    }
    say!("{name} is removed, with all that it had queued");
    Ok(())
}
