//! What the operator says of an app that can be pushed to: its profile, its credentials, where its cloud is.
//! Everything is checked when the [`Pusher`](crate::Pusher) is made, so that a bad key is an error at start and not
//! at the first call.

use crate::{endpoint::Endpoint, environment::Environment, observe::Served, token::KeyError};
use domain::{AppId, AppProfile, Provider};
use serde::Deserialize;
use std::fmt;
use thiserror::Error;

/// An app and all that a push to it needs.
#[derive(Clone, Debug)]
pub struct App {
    /// Its identity, platform and generation.
    pub profile: AppProfile,
    /// By what the provider knows us.
    pub credentials: Credentials,
    /// Which of Apple's clouds; Google has only one.
    pub environment: Environment,
    /// Another place than the provider's own, such as a simulated cloud.
    pub endpoint: Option<Endpoint>,
}

/// By what a provider knows us. `Debug` shows no key.
#[derive(Clone)]
pub enum Credentials {
    /// Apple's token-based authentication.
    Apns {
        /// Ten characters, from the developer account.
        team_id: String,
        /// Ten characters, the name of the key.
        key_id: String,
        /// The `.p8` file: PEM, PKCS#8, P-256.
        key_pem: String,
    },
    /// Apple's certificate-based authentication: one app's certificate instead of the team's key.
    ApnsCertificate {
        /// Ten characters, from the developer account.
        team_id: String,
        /// The certificate, then those between it and Apple's root, PEM.
        certificate_pem: String,
        /// Its private key, PEM.
        key_pem: String,
    },
    /// A Google service account, see [`Credentials::from_service_account`].
    Fcm {
        /// The Firebase project's id.
        project: String,
        /// Who we are.
        client_email: String,
        /// PEM, PKCS#8, RSA.
        private_key_pem: String,
        /// Where an assertion is exchanged for an access token (RFC 7523 §2.1); `https`.
        token_uri: String,
    },
    /// What we are known by at every push service (RFC 8292).
    WebPush {
        /// PEM, PKCS#8, P-256. Its public half is what clients subscribe with (`applicationServerKey`).
        key_pem: String,
        /// Whom a push service may ask about us: `mailto:` or `https:` (RFC 8292 §2.1).
        contact: String,
        /// Whose push services may be called: `host`, `host:port`, or `*.domain`. Nobody makes us call elsewhere.
        hosts: Vec<String>,
    },
    /// A tenant's credentials at the push service of the app's publisher, who alone has the platform's.
    Service {
        /// Where it is: HTTP/2 over TLS.
        at: Endpoint,
        /// The tenant.
        client_id: String,
        /// Its secret.
        client_secret: String,
        /// Whose cloud carries the app's pushes in the end.
        provider: Provider,
        /// What SIP clients of the app say in `pn-param` (RFC 8599 §4.1).
        param: String,
    },
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Apns {
                team_id, key_id, ..
            } => f
                .debug_struct("Apns")
                .field("team_id", team_id)
                .field("key_id", key_id)
                .finish_non_exhaustive(),
            Self::ApnsCertificate { team_id, .. } => f
                .debug_struct("ApnsCertificate")
                .field("team_id", team_id)
                .finish_non_exhaustive(),
            Self::Fcm {
                project,
                client_email,
                token_uri,
                ..
            } => f
                .debug_struct("Fcm")
                .field("project", project)
                .field("client_email", client_email)
                .field("token_uri", token_uri)
                .finish_non_exhaustive(),
            Self::Service { at, client_id, .. } => f
                .debug_struct("Service")
                .field("at", at)
                .field("client_id", client_id)
                .finish_non_exhaustive(),
            Self::WebPush { contact, hosts, .. } => f
                .debug_struct("WebPush")
                .field("contact", contact)
                .field("hosts", hosts)
                .finish_non_exhaustive(),
        }
    }
}

/// The fields of a service account's JSON file that are needed here.
#[derive(Deserialize)]
struct ServiceAccount {
    project_id: String,
    client_email: String,
    private_key: String,
    token_uri: String,
}

impl Credentials {
    /// Reads the JSON file that Google's console gives out for a service account. The error names the missing field.
    pub fn from_service_account(json: &str) -> Result<Self, serde_json::Error> {
        let account: ServiceAccount = serde_json::from_str(json)?;
        Ok(Self::Fcm {
            project: account.project_id,
            client_email: account.client_email,
            private_key_pem: account.private_key,
            token_uri: account.token_uri,
        })
    }

    /// Whose they are.
    pub fn provider(&self) -> Provider {
        match self {
            Self::Apns { .. } | Self::ApnsCertificate { .. } => Provider::Apns,
            Self::Fcm { .. } => Provider::Fcm,
            Self::WebPush { .. } => Provider::WebPush,
            Self::Service { provider, .. } => *provider,
        }
    }
}

impl App {
    /// Whom what is known of its cloud concerns.
    pub(crate) fn served(&self) -> Served {
        Served {
            app: self.profile.app.clone(),
            provider: self.profile.provider,
            environment: self.environment,
        }
    }

    /// Where its pushes go: the override, or the provider's own cloud.
    pub fn endpoint(&self) -> Endpoint {
        let host = match (self.profile.provider, self.environment) {
            (Provider::Apns, Environment::Production) => "api.push.apple.com",
            (Provider::Apns, Environment::Sandbox) => "api.sandbox.push.apple.com",
            (Provider::Fcm, _) => "fcm.googleapis.com",
            // Each subscription names its own; this is where none goes.
            (Provider::WebPush | Provider::AppServer, _) => "webpush.invalid",
        };
        self.endpoint.clone().unwrap_or_else(|| Endpoint {
            host: host.to_owned(),
            port: 443,
        })
    }
}

/// An app cannot be pushed to as it is configured. The operator must act; the text says how.
#[derive(Debug, Error)]
#[error("app {app}: {problem}")]
pub struct ConfigError {
    /// Which app.
    pub app: AppId,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What can be wrong with an app's configuration.
#[derive(Debug, Error)]
pub enum Problem {
    /// The same app twice.
    #[error("configured twice; remove one of the two profiles")]
    Duplicate,
    /// Credentials of one provider for an app of the other.
    #[error("its provider is {} but its credentials are for {}; give it the other's", .profile.name(), .credentials.name())]
    WrongProvider {
        /// What the profile says.
        profile: Provider,
        /// What the credentials are for.
        credentials: Provider,
    },
    /// The private key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The certificate or its key cannot be used.
    #[error(
        "the certificate cannot be used ({0}); export it anew, with its key, as Apple's .p12 or as PEM"
    )]
    Certificate(String),
    /// The token address cannot be used.
    #[error(
        "token_uri {0:?} is not an https address; copy it from the service account's JSON file"
    )]
    TokenUri(String),
    /// An id goes into a header or a path and cannot.
    #[error(
        "{field} {value:?} has characters that it cannot have; copy it from the provider's console"
    )]
    Id {
        /// Which one.
        field: &'static str,
        /// What it is.
        value: String,
    },
    /// Web Push wants somebody to ask.
    #[error("vapid_contact {0:?} is neither mailto: nor https:; name whom a push service may ask")]
    Contact(String),
    /// No rule about hosts.
    #[error(
        "{0:?} in hosts is no host; write push.example.net, push.example.net:8443 or *.example.net"
    )]
    Host(String),
    /// TLS cannot be set up at all.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_account_file_is_read_and_its_key_is_never_shown() {
        let json = r#"{"type": "service_account", "project_id": "p", "private_key_id": "k", "private_key": "SECRET",
            "client_email": "c@p.example", "client_id": "1", "token_uri": "https://oauth.example/token"}"#;
        let read = Credentials::from_service_account(json).unwrap();
        assert_eq!(read.provider(), Provider::Fcm);
        let shown = format!("{read:?}");
        assert!(
            shown.contains("c@p.example") && !shown.contains("SECRET"),
            "{shown}"
        );
        let error = Credentials::from_service_account("{}")
            .unwrap_err()
            .to_string();
        assert!(error.contains("project_id"), "{error}");
    }
}
