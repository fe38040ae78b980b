//! Apps whose credentials lie in the store, sealed: an operator puts them in, rotates them and takes them away while the server
//! runs, and nobody is shown them again. They are pushed to like those of the configuration
//! (`docs/adr/0017-credentials-in-the-database.md`).

mod seal;

pub(crate) use seal::SealingKey;

use crate::{
    apps, clock,
    config::{self, Config},
    described::Described,
    setup,
};
use anyhow::{Context, Result, ensure};
use domain::{SealedApp, Timestamp, date};
use net::Certificate;
use push::{Credentials, token::VapidSigner};
use ring::digest;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use store::Store;

/// Apps that may be kept.
const MOST: usize = 1_000;
/// Longest name of one, in bytes.
const NAME_BYTES: usize = 255;
/// Most that is kept of one, in bytes: a service account has 3 KiB, a chain of certificates 10.
const BYTES: usize = 64 * 1024;

/// What an operator says of an app: keys of [[push.app]], with the text of a file for its name. What is left out stays as it is.
pub(crate) type AppChange = Map<String, Value>;

/// An app as an operator sees it.
#[derive(Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AppView {
    /// Its name.
    pub app: String,
    /// Whose cloud.
    pub provider: String,
    /// One channel or two.
    pub generation: String,
    /// Which of Apple's clouds.
    pub environment: String,
    /// By what its provider knows us; nothing of it is secret.
    pub known_by: String,
    /// Since when its credentials are in the store; nothing, if they stand in the configuration.
    pub since: Option<Timestamp>,
}

/// Every app there is.
pub(crate) struct All {
    /// Those of the configuration, then those of the store.
    pub(crate) apps: Vec<push::App>,
    /// Says whether what the store has is another than before.
    pub(crate) print: Vec<u8>,
    since: Vec<Timestamp>,
}

impl All {
    /// These and those of the store.
    ///
    /// # Errors
    /// The store cannot be read, or what it has: without the key, with another one, or because the configuration has it too.
    pub(crate) async fn of(
        base: &[push::App],
        push: &config::Push,
        store: &dyn Store,
    ) -> Result<Self> {
        let rows = store.push_apps().await.context("apps in the store")?;
        let mut apps = base.to_vec();
        let mut print = digest::Context::new(&digest::SHA256);
        if !rows.is_empty() {
            let key = SealingKey::of(push)?;
            for row in &rows {
                let name = row.app.as_str();
                ensure_is_none(base, name)?;
                print.update(digest::digest(&digest::SHA256, &row.sealed).as_ref());
                let described = opened(&key, row)?;
                apps.push(described.app(None).with_context(|| name.to_owned())?);
            }
        }
        Ok(Self {
            apps,
            print: print.finish().as_ref().to_vec(),
            since: rows.iter().map(|row| row.made_at).collect(),
        })
    }

    /// All that a server of this configuration would have if it started now; nothing is changed by looking.
    ///
    /// # Errors
    /// As of [`All::of`], and what is wrong with the configuration.
    pub(crate) async fn glance(config: &Config) -> Result<Self> {
        let (base, url) = (setup::apps(&config.push)?, config.store_url());
        // A database that is damaged, or not of this version, is spoken of elsewhere.
        let found = store::glance(&url).ok().flatten();
        let is_known = found.is_some_and(|it| it.schema == it.newest && it.damaged.is_empty());
        let store = store::open(if is_known { &url } else { "memory:" })?;
        let all = Self::of(&base, &config.push, store.as_ref()).await;
        // What a database has beside it while it is open is to be gone when this returns.
        store.close().await?;
        all
    }

    /// For an operator, by name.
    pub(crate) fn views(&self) -> Vec<AppView> {
        let of_configuration = self.apps.len() - self.since.len();
        let since = std::iter::repeat_n(None, of_configuration);
        let since = since.chain(self.since.iter().copied().map(Some));
        let all = self.apps.iter().zip(since);
        let mut views: Vec<_> = all.map(|(app, since)| view(app, since)).collect();
        views.sort_by(|a, b| a.app.cmp(&b.app));
        views
    }
}

fn ensure_is_none(base: &[push::App], name: &str) -> Result<()> {
    let is_one = base.iter().any(|app| app.profile.app.as_str() == name);
    ensure!(
        !is_one,
        "{name} stands in [[push.app]] of the configuration and is to stand in the store as well: take it out there and `reveille reload`, or `reveille push app remove {name}`"
    );
    Ok(())
}

fn opened(key: &SealingKey, row: &SealedApp) -> Result<Described> {
    let text = key.open(row.app.as_str(), &row.sealed)?;
    serde_json::from_slice(&text).with_context(|| format!("the credentials of {}", row.app))
}

/// An app as it is kept after a change. All is checked that can be without asking its provider.
///
/// # Errors
/// What is wrong with what the operator says, and what helps.
pub(crate) fn changed(
    base: &[push::App],
    rows: &[SealedApp],
    (name, change): (&str, &AppChange),
    push: &config::Push,
) -> Result<SealedApp> {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b'"' | b'\\');
    ensure!(
        !name.is_empty() && name.len() <= NAME_BYTES && name.bytes().all(plain),
        "{name:?} is no name of an app: a bundle id or package name, of at most {NAME_BYTES} letters, digits and signs"
    );
    ensure_is_none(base, name)?;
    let key = SealingKey::of(push)?;
    let known = rows.iter().find(|row| row.app.as_str() == name);
    ensure!(
        known.is_some() || rows.len() < MOST,
        "there are {MOST} apps already"
    );
    let known = known.map(|row| opened(&key, row)).transpose()?;
    let described = merged(known, name, change)?;
    ensure!(
        !described.has_no_credentials(),
        "by what does its provider know us? --key-file or --certificate-file (apns), --service-account (fcm), --vapid-key-file (webpush)"
    );
    apps::check(vec![described.app(None)?], push)?;
    let text = serde_json::to_vec(&described)?;
    ensure!(
        text.len() <= BYTES,
        "more than {BYTES} bytes are no credentials of an app"
    );
    Ok(SealedApp {
        app: name.into(),
        sealed: key.seal(name, text)?,
        made_at: clock::now(),
    })
}

fn merged(known: Option<Described>, name: &str, change: &AppChange) -> Result<Described> {
    let is_new = known.is_none();
    let known = serde_json::to_value(known.unwrap_or_default())?;
    let Value::Object(mut table) = known else {
        unreachable!("a struct is an object");
    };
    // APNs knows an app by the one or by the other.
    if change.contains_key("certificate") {
        for key in ["key", "key_id"] {
            table.insert(key.to_owned(), "".into());
        }
    } else if change.contains_key("key") {
        table.insert("certificate".to_owned(), "".into());
    }
    table.extend(change.clone());
    table.insert("app".to_owned(), name.into());
    if is_new && !change.contains_key("provider") {
        table.insert("provider".to_owned(), provider_of(change).into());
    }
    serde_json::from_value(Value::Object(table)).context("the app")
}

/// Whose credentials these are, if nothing is said of it.
fn provider_of(change: &AppChange) -> &'static str {
    match change {
        it if it.contains_key("service_account") => "fcm",
        it if it.contains_key("vapid_key") => "webpush",
        _ => "apns",
    }
}

fn view(app: &push::App, since: Option<Timestamp>) -> AppView {
    AppView {
        app: app.profile.app.to_string(),
        provider: app.profile.provider.name().to_owned(),
        generation: app.profile.generation.name().to_owned(),
        environment: app.environment.name().to_owned(),
        known_by: known_by(&app.credentials),
        since,
    }
}

fn known_by(credentials: &Credentials) -> String {
    match credentials {
        Credentials::Apns {
            team_id, key_id, ..
        } => format!("team {team_id}, key {key_id}"),
        Credentials::ApnsCertificate {
            team_id,
            certificate_pem,
            ..
        } => match Certificate::from_pem(certificate_pem.as_bytes()) {
            Ok(it) => {
                let end = date::iso8601(Timestamp::default().plus(it.not_after));
                format!("team {team_id}, certificate until {end}")
            }
            Err(_) => format!("team {team_id}, certificate"),
        },
        Credentials::Fcm {
            project,
            client_email,
            ..
        } => format!("project {project}, {client_email}"),
        Credentials::WebPush {
            key_pem, contact, ..
        } => match VapidSigner::new(key_pem, contact) {
            Ok(signer) => format!("applicationServerKey {}", signer.public_key()),
            Err(_) => contact.clone(),
        },
        Credentials::Service { at, client_id, .. } => format!("{client_id} at {at}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab::cloud::DevCredentials;

    fn change(text: &str) -> AppChange {
        serde_json::from_str(text).unwrap()
    }

    fn push(folder: &std::path::Path) -> config::Push {
        let file = folder.join("key");
        std::fs::write(&file, "5".repeat(64)).unwrap();
        config::Push {
            credentials_key_file: file,
            ..config::Push::default()
        }
    }

    fn with_key(key: &str, id: &str) -> AppChange {
        let text = serde_json::json!({ "team_id": "TEAM123456", "key_id": id, "key": key });
        change(&text.to_string())
    }

    #[tokio::test]
    async fn what_is_left_out_of_a_change_stays_and_nothing_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let (push, keys) = (push(folder.path()), DevCredentials::new());
        let pem = keys.apns_key_pem();
        let mut first = with_key(pem, "ABC1234567");
        first.insert("environment".to_owned(), "sandbox".into());
        let row = changed(&[], &[], ("app", &first), &push).unwrap();
        let second = change(&serde_json::json!({ "key_id": "XYZ1234567", "key": pem }).to_string());
        let row = changed(&[], &[row], ("app", &second), &push).unwrap();
        let store = store::open("memory:").unwrap();
        let put = domain::Change::PutPushApp(Box::new(row));
        crate::accounts::write(store.as_ref(), put).await.unwrap();
        let all = All::of(&[], &push, store.as_ref()).await.unwrap();
        let view = &all.views()[0];
        assert_eq!(view.environment, "sandbox");
        assert_eq!(view.known_by, "team TEAM123456, key XYZ1234567");
        assert!(!format!("{view:?}").contains("PRIVATE"), "{view:?}");
        // The key is another one, or is not there.
        std::fs::write(&push.credentials_key_file, "6".repeat(64)).unwrap();
        let wrong = All::of(&[], &push, store.as_ref()).await.err().unwrap();
        assert!(
            wrong.to_string().contains("sealed with another key"),
            "{wrong}"
        );
        let none = All::of(&[], &config::Push::default(), store.as_ref()).await;
        let none = none.err().unwrap().to_string();
        assert!(none.contains("push.credentials_key_file"), "{none}");
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_a_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let push = push(folder.path());
        let keys = DevCredentials::new();
        let good = with_key(keys.apns_key_pem(), "ABC1234567");
        let row = changed(&[], &[], ("app", &good), &push).unwrap();
        let opened = opened(&SealingKey::of(&push).unwrap(), &row).unwrap();
        let base = [opened.app(None).unwrap()];
        let said = |base: &[push::App], name: &str, change: &AppChange| {
            let refused = changed(base, &[], (name, change), &push);
            format!("{:#}", refused.err().unwrap())
        };
        for (name, wrong, remedy) in [
            ("app", change("{}"), "--key-file"),
            ("app", change(r#"{"kee": "x"}"#), "unknown field"),
            ("a b", good.clone(), "no name of an app"),
            ("app", with_key("nonsense", "ABC1234567"), "not PEM"),
            ("app", change(r#"{"service_account": "{}"}"#), "project_id"),
        ] {
            let said = said(&[], name, &wrong);
            assert!(said.contains(remedy), "{said}");
        }
        let twice = said(&base, "app", &good);
        assert!(twice.contains("take it out there"), "{twice}");
    }
}
