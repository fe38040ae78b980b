//! An app as somebody describes it: its profile, and what its provider knows us by, as text. [[push.app]] of the configuration
//! comes to this once its files are read, and so does what an operator puts in while the server runs. Whatever is wrong with it
//! is said by the names of the configuration's keys.

use crate::config;
use anyhow::{Context, Result, bail, ensure};
use domain::{AppId, AppProfile, Generation, Platform, Provider};
use push::Credentials;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// See the module. It holds keys, so nobody shows it.
#[derive(Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Described {
    pub(crate) app: String,
    pub(crate) provider: String,
    pub(crate) generation: String,
    pub(crate) environment: String,
    pub(crate) team_id: String,
    pub(crate) key_id: String,
    /// The .p8 file.
    pub(crate) key: String,
    /// Certificate and key, PEM.
    pub(crate) certificate: String,
    /// The JSON file.
    pub(crate) service_account: String,
    pub(crate) project: String,
    /// PEM.
    pub(crate) vapid_key: String,
    pub(crate) vapid_contact: String,
    pub(crate) hosts: Vec<String>,
    pub(crate) endpoint: String,
}

impl Default for Described {
    fn default() -> Self {
        Self::without_files(&config::App::default())
    }
}

/// A push service that has the credentials of our apps, and who we are there.
pub(crate) struct Elsewhere {
    pub(crate) at: push::Endpoint,
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
}

/// A file that the configuration names.
pub(crate) fn read(path: &Path, key: &str) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| {
        format!(
            "{key}: cannot read {:?}: check the path and that this user may read it",
            path.display().to_string()
        )
    })
}

/// Whose an app is, what it runs on, and by what its provider knows us.
type Known = (Provider, Platform, Credentials);

impl Described {
    fn without_files(app: &config::App) -> Self {
        Self {
            app: app.app.clone(),
            provider: app.provider.clone(),
            generation: app.generation.clone(),
            environment: app.environment.clone(),
            team_id: app.team_id.clone(),
            key_id: app.key_id.clone(),
            key: String::new(),
            certificate: String::new(),
            service_account: String::new(),
            project: app.project.clone(),
            vapid_key: String::new(),
            vapid_contact: app.vapid_contact.clone(),
            hosts: app.hosts.0.clone(),
            endpoint: app.endpoint.clone(),
        }
    }

    /// With the files that the configuration names.
    pub(crate) fn read(app: &config::App) -> Result<Self> {
        let text = |path: &Path, key| {
            if path.as_os_str().is_empty() {
                return Ok(String::new());
            }
            read(path, key)
        };
        Ok(Self {
            key: text(&app.key_file, "key_file")?,
            certificate: certificate(app)?,
            service_account: text(&app.service_account, "service_account")?,
            vapid_key: text(&app.vapid_key_file, "vapid_key_file")?,
            ..Self::without_files(app)
        })
    }

    /// The app, which goes through `service` if it has no credentials of its own.
    pub(crate) fn app(&self, service: Option<&Elsewhere>) -> Result<push::App> {
        let (provider, platform, credentials) = self.credentials(service)?;
        let generation = match self.generation.as_str() {
            "dual-channel" => Generation::DualChannel,
            "single-channel" => Generation::SingleChannel,
            other => bail!(
                "generation {other:?} is not known: write \"dual-channel\" or \"single-channel\""
            ),
        };
        let environment = match self.environment.as_str() {
            "production" => push::Environment::Production,
            "sandbox" => push::Environment::Sandbox,
            other => {
                bail!("environment {other:?} is not known: write \"production\" or \"sandbox\"")
            }
        };
        ensure!(
            !self.app.is_empty(),
            "app is needed: the bundle id or package name"
        );
        let endpoint = Some(&self.endpoint)
            .filter(|endpoint| !endpoint.is_empty())
            .map(|endpoint| endpoint.parse())
            .transpose()
            .context("endpoint")?;
        let profile = AppProfile {
            app: AppId::from(&*self.app),
            platform,
            provider,
            generation,
        };
        Ok(push::App {
            profile,
            credentials,
            environment,
            endpoint,
        })
    }

    /// Whether it says nothing by what its provider knows us.
    pub(crate) fn has_no_credentials(&self) -> bool {
        let texts = [
            &self.key,
            &self.certificate,
            &self.service_account,
            &self.vapid_key,
        ];
        texts.into_iter().all(String::is_empty)
    }

    fn credentials(&self, service: Option<&Elsewhere>) -> Result<Known> {
        if let Some(service) = service.filter(|_| self.has_no_credentials()) {
            return self.through(service);
        }
        match self.provider.as_str() {
            "apns" if self.certificate.is_empty() => self.apns(),
            "apns" => self.apns_by_certificate(),
            "fcm" => self.fcm(),
            "webpush" => self.web_push(),
            other => bail!(not_known(other)),
        }
    }

    fn through(&self, service: &Elsewhere) -> Result<Known> {
        let (provider, platform, param) = match self.provider.as_str() {
            "apns" => {
                ensure!(
                    !self.team_id.is_empty(),
                    "team_id is needed for APNs: iPhones say it in pn-param"
                );
                let param = format!("{}.{}", self.team_id, self.app);
                (Provider::Apns, Platform::Ios, param)
            }
            "fcm" => {
                ensure!(
                    !self.project.is_empty(),
                    "project is needed for FCM: phones say it in pn-param"
                );
                (Provider::Fcm, Platform::Android, self.project.clone())
            }
            "webpush" => (Provider::WebPush, Platform::Web, String::new()),
            other => bail!(not_known(other)),
        };
        let credentials = Credentials::Service {
            at: service.at.clone(),
            client_id: service.client_id.clone(),
            client_secret: service.client_secret.clone(),
            provider,
            param,
        };
        Ok((provider, platform, credentials))
    }

    fn apns(&self) -> Result<Known> {
        let (team_id, key_id) = (self.team_id.clone(), self.key_id.clone());
        ensure!(
            !team_id.is_empty() && !key_id.is_empty(),
            "team_id and key_id are needed for APNs: both are in Apple's developer account"
        );
        ensure!(
            !self.key.is_empty(),
            "key_file is needed for APNs: the .p8 file of that key"
        );
        let credentials = Credentials::Apns {
            team_id,
            key_id,
            key_pem: self.key.clone(),
        };
        Ok((Provider::Apns, Platform::Ios, credentials))
    }

    fn apns_by_certificate(&self) -> Result<Known> {
        ensure!(
            self.key_id.is_empty() && self.key.is_empty(),
            "certificate_file, or key_id and key_file: APNs knows an app by the one or the other"
        );
        ensure!(
            !self.team_id.is_empty(),
            "team_id is needed for APNs: it is in Apple's developer account"
        );
        let credentials = Credentials::ApnsCertificate {
            team_id: self.team_id.clone(),
            certificate_pem: self.certificate.clone(),
            key_pem: self.certificate.clone(),
        };
        Ok((Provider::Apns, Platform::Ios, credentials))
    }

    fn fcm(&self) -> Result<Known> {
        ensure!(
            !self.service_account.is_empty(),
            "service_account is needed for FCM: the JSON file from Google's console"
        );
        let credentials = Credentials::from_service_account(&self.service_account)
            .context("service_account: this is no service account's JSON file")?;
        Ok((Provider::Fcm, Platform::Android, credentials))
    }

    fn web_push(&self) -> Result<Known> {
        ensure!(
            self.generation == "dual-channel" && self.endpoint.is_empty(),
            "Web Push has two channels and no endpoint of its own: take generation and endpoint out"
        );
        ensure!(
            !self.vapid_key.is_empty(),
            "vapid_key_file is needed for Web Push: `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256` makes one"
        );
        let credentials = Credentials::WebPush {
            key_pem: self.vapid_key.clone(),
            contact: self.vapid_contact.clone(),
            hosts: self.hosts.clone(),
        };
        Ok((Provider::WebPush, Platform::Web, credentials))
    }
}

/// The certificate with its key; empty: there is none.
fn certificate(app: &config::App) -> Result<String> {
    if app.certificate_file.as_os_str().is_empty() {
        return Ok(String::new());
    }
    crate::pkcs12::certificate(&app.certificate_file, &app.certificate_password_file)
}

fn not_known(provider: &str) -> String {
    format!("provider {provider:?} is not known: write \"apns\", \"fcm\" or \"webpush\"")
}
