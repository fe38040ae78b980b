//! `reveille push app`: by what the apps' providers know us, in the store instead of in files.

use super::{
    admin::{Admin, Listing, Which, one, path},
    output,
};
use crate::{
    accounts,
    kept_apps::{All, AppChange, AppView, changed},
    setup,
};
use anyhow::{Context, Result, bail};
use domain::{Change, date};
use http::Method;
use std::path::PathBuf;
use store::Store;

/// The apps of the admin API.
const APPS: &str = "/api/v1/push/apps";

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Put an app with its credentials into the store, sealed; nobody is shown them again
    Add(Box<Put>),
    /// List the apps that are pushed to, of the store and of the configuration
    List(Listing),
    /// Put other credentials in the place of an app's; what is not named stays
    Rotate(Box<Put>),
    /// Remove an app and its credentials from the store
    Remove(One),
}

#[derive(Debug, clap::Args)]
pub(super) struct Put {
    /// Bundle id (Apple), package name (Google), or any name of yours (Web Push)
    app: String,
    /// apns, fcm or webpush; else as the credentials are
    #[arg(long, value_name = "P")]
    provider: Option<String>,
    /// dual-channel (iOS 13 and newer, Android) or single-channel
    #[arg(long, value_name = "G")]
    generation: Option<String>,
    /// APNs: production or sandbox
    #[arg(long, value_name = "E")]
    environment: Option<String>,
    /// APNs: the team, ten characters
    #[arg(long, value_name = "ID")]
    team_id: Option<String>,
    /// APNs: the id of the signing key
    #[arg(long, value_name = "ID")]
    key_id: Option<String>,
    /// APNs: the signing key, a .p8 file
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// APNs: certificate and key, .p12 or PEM, instead of a signing key
    #[arg(long, value_name = "FILE")]
    certificate_file: Option<PathBuf>,
    /// APNs: the file with the password of that .p12
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    certificate_password_file: Option<PathBuf>,
    /// FCM: the service account, a JSON file
    #[arg(long, value_name = "FILE")]
    service_account: Option<PathBuf>,
    /// Web Push: the key that clients subscribe with, PEM
    #[arg(long, value_name = "FILE")]
    vapid_key_file: Option<PathBuf>,
    /// Web Push: whom a push service may ask about us
    #[arg(long, value_name = "URI")]
    vapid_contact: Option<String>,
    /// Web Push: whose push services may be called
    #[arg(long, value_name = "HOST", value_delimiter = ',')]
    hosts: Vec<String>,
    /// host:port of another cloud, for a test lab
    #[arg(long, value_name = "AT")]
    endpoint: Option<String>,
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, clap::Args)]
pub(super) struct One {
    app: String,
    #[command(flatten)]
    which: Which,
}

pub(super) async fn run(command: Command) -> Result<()> {
    match command {
        Command::Add(wanted) => {
            let server = wanted.which.server()?;
            if kept(&server).await?.contains(&wanted.app) {
                bail!(
                    "{0} is in the store already: `reveille push app rotate {0}` puts other credentials in",
                    wanted.app
                );
            }
            put(&server, &wanted.app, &wanted).await
        }
        Command::List(Listing { json, which }) => list(&which.server()?, json).await,
        Command::Rotate(wanted) => {
            let server = wanted.which.server()?;
            let name = known(&server, &wanted.app).await?;
            put(&server, &name, &wanted).await
        }
        Command::Remove(One { app, which }) => {
            let server = which.server()?;
            remove(&server, &app).await
        }
    }
}

/// What was said, with what is in the files.
fn change(wanted: &Put) -> Result<AppChange> {
    let mut change = AppChange::new();
    let texts = [
        ("provider", &wanted.provider),
        ("generation", &wanted.generation),
        ("environment", &wanted.environment),
        ("team_id", &wanted.team_id),
        ("key_id", &wanted.key_id),
        ("vapid_contact", &wanted.vapid_contact),
        ("endpoint", &wanted.endpoint),
    ];
    for (key, text) in texts {
        if let Some(text) = text {
            change.insert(key.to_owned(), text.as_str().into());
        }
    }
    let files = [
        ("key", &wanted.key_file),
        ("service_account", &wanted.service_account),
        ("vapid_key", &wanted.vapid_key_file),
    ];
    for (key, file) in files {
        if let Some(file) = file {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("cannot read {}: it must be text", file.display()))?;
            change.insert(key.to_owned(), text.into());
        }
    }
    if let Some(file) = &wanted.certificate_file {
        let password = wanted.certificate_password_file.clone().unwrap_or_default();
        let text = crate::pkcs12::certificate(file, &password)?;
        change.insert("certificate".to_owned(), text.into());
    }
    if !wanted.hosts.is_empty() {
        change.insert("hosts".to_owned(), wanted.hosts.clone().into());
    }
    Ok(change)
}

async fn put(server: &Admin, name: &str, wanted: &Put) -> Result<()> {
    let change = change(wanted)?;
    let at = path(&format!("{APPS}/"), name);
    let order = change.clone().into();
    let asked = server.ask(Method::PUT, &at, Some(&order)).await?;
    if asked.is_none() {
        let push = &server.config().push;
        let put = async |store: &dyn Store| {
            let (base, rows) = (setup::apps(push)?, store.push_apps().await?);
            let row = changed(&base, &rows, (name, &change), push)?;
            Ok(accounts::write(store, Change::PutPushApp(Box::new(row))).await?)
        };
        server.in_store(put).await?;
    }
    say!(
        "{name} is in the store, sealed; its files are not needed any more. `reveille push app list` shows it"
    );
    Ok(())
}

/// Asks the running server, else its store.
async fn views(server: &Admin) -> Result<Vec<AppView>> {
    if let Some(all) = server.ask(Method::GET, APPS, None).await? {
        return Ok(serde_json::from_value(all)?);
    }
    let push = &server.config().push;
    let base = setup::apps(push)?;
    let read = async |store: &dyn Store| All::of(&base, push, store).await;
    Ok(server.in_store(read).await?.views())
}

/// The names of those in the store, for which no key is needed while nothing runs.
async fn kept(server: &Admin) -> Result<Vec<String>> {
    if let Some(all) = server.ask(Method::GET, APPS, None).await? {
        let all: Vec<AppView> = serde_json::from_value(all)?;
        let kept = all.into_iter().filter(|it| it.since.is_some());
        return Ok(kept.map(|it| it.app).collect());
    }
    let read = async |store: &dyn Store| Ok(store.push_apps().await?);
    let rows = server.in_store(read).await?;
    Ok(rows.iter().map(|row| row.app.to_string()).collect())
}

/// The app that is meant by a name, or by the beginning of one.
async fn known(server: &Admin, given: &str) -> Result<String> {
    let all = kept(server).await?;
    let remedy = "`reveille push app list` names those that are in the store";
    one(given, all, "app", remedy)
}

async fn list(server: &Admin, json: bool) -> Result<()> {
    let all = views(server).await?;
    if json {
        output::json(&serde_json::to_value(&all)?);
        return Ok(());
    }
    let names = ["app", "provider", "known by", "credentials"];
    let mut rows = vec![output::heading(&names)];
    for it in all {
        let since = match it.since {
            Some(at) => format!("in the store since {}", date::iso8601(at)),
            None => "of the configuration".to_owned(),
        };
        let provider = format!("{} {} {}", it.provider, it.environment, it.generation);
        rows.push(vec![it.app, provider, it.known_by, since]);
    }
    output::table(&rows);
    Ok(())
}

async fn remove(server: &Admin, given: &str) -> Result<()> {
    let name = &known(server, given).await?;
    let at = path(&format!("{APPS}/"), name);
    if server.ask(Method::DELETE, &at, None).await?.is_none() {
        let gone = Change::RemovePushApp(name.as_str().into());
        let remove = async |store: &dyn Store| Ok(accounts::write(store, gone).await?);
        server.in_store(remove).await?;
    }
    say!("{name} is removed from the store, and its credentials are overwritten");
    Ok(())
}
