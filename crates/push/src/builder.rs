//! From what the operator says of the apps to the ways to them. What apps have in common they share: connections,
//! provider tokens, the TLS configuration.

use crate::{
    App, Credentials, Limits, Problem,
    client::{Apns, Client, Fcm},
    endpoint::Endpoint,
    observe::Observer,
    pool::{Pool, Start},
    token::{ApnsSigner, FcmSigner, apns::ApnsToken, fcm::FcmToken},
};
use http::{HeaderValue, Uri, uri::Authority};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// See the module.
pub(crate) struct Builder<'a> {
    roots: Arc<RootCertStore>,
    limits: &'a Limits,
    observer: &'a Arc<dyn Observer>,
    tls: Option<Arc<ClientConfig>>,
    /// By address and identity: a connection to Apple serves one team only.
    pools: BTreeMap<(String, String), Arc<Pool>>,
    token_pools: BTreeMap<String, Arc<Pool>>,
    /// By team, key id and key: Apple counts how often a team's token changes.
    apns_tokens: HashMap<[String; 3], Arc<ApnsToken>>,
    /// By account, key and where it is good for.
    fcm_tokens: HashMap<[String; 3], Arc<FcmToken>>,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(
        roots: RootCertStore,
        limits: &'a Limits,
        observer: &'a Arc<dyn Observer>,
    ) -> Self {
        Self {
            roots: Arc::new(roots),
            limits,
            observer,
            tls: None,
            pools: BTreeMap::new(),
            token_pools: BTreeMap::new(),
            apns_tokens: HashMap::new(),
            fcm_tokens: HashMap::new(),
        }
    }

    /// The way to an app.
    pub(crate) fn client(&mut self, app: &App) -> Result<Client, Problem> {
        let (profile, credentials) = (app.profile.provider, app.credentials.provider());
        if profile != credentials {
            return Err(Problem::WrongProvider {
                profile,
                credentials,
            });
        }
        match &app.credentials {
            Credentials::Apns {
                team_id,
                key_id,
                key_pem,
            } => Ok(Client::Apns(self.apns(app, team_id, key_id, key_pem)?)),
            Credentials::Fcm {
                project,
                client_email,
                private_key_pem,
                token_uri,
            } => {
                let fcm = self.fcm(app, project, client_email, private_key_pem, token_uri)?;
                Ok(Client::Fcm(fcm))
            }
        }
    }

    /// What carries pushes; and what only gets access tokens.
    pub(crate) fn pools(self) -> (Vec<Arc<Pool>>, Vec<Arc<Pool>>) {
        let pools = self.pools.into_values().collect();
        (pools, self.token_pools.into_values().collect())
    }

    fn apns(
        &mut self,
        app: &App,
        team: &str,
        key_id: &str,
        key_pem: &str,
    ) -> Result<Apns, Problem> {
        let key = [
            id("team_id", team)?,
            id("key_id", key_id)?,
            key_pem.to_owned(),
        ];
        let bundle = id("app", app.profile.app.as_str())?;
        let token = match self.apns_tokens.get(&key) {
            Some(token) => Arc::clone(token),
            None => Arc::new(ApnsToken::new(ApnsSigner::new(team, key_id, key_pem)?)),
        };
        self.apns_tokens.insert(key, Arc::clone(&token));
        let endpoint = app.endpoint();
        Ok(Apns {
            generation: app.profile.generation,
            authority: authority(&endpoint)?,
            topic: header("app", &bundle)?,
            voip_topic: header("app", &format!("{bundle}.voip"))?,
            token,
            pool: self.pool(&endpoint, &format!("{team}/{key_id}"), Start::OneStream)?,
        })
    }

    fn fcm(
        &mut self,
        app: &App,
        project: &str,
        email: &str,
        key_pem: &str,
        token_uri: &str,
    ) -> Result<Fcm, Problem> {
        let project = id("project", project)?;
        let endpoint = app.endpoint();
        let uri = Uri::builder()
            .scheme("https")
            .authority(authority(&endpoint)?)
            .path_and_query(format!("/v1/projects/{project}/messages:send"))
            .build()
            .map_err(|_| bad_id("project", &project))?;
        let account = [email, key_pem, token_uri].map(str::to_owned);
        let token = match self.fcm_tokens.get(&account) {
            Some(token) => Arc::clone(token),
            None => Arc::new(self.fcm_token(email, key_pem, token_uri)?),
        };
        self.fcm_tokens.insert(account, Arc::clone(&token));
        let pool = self.pool(&endpoint, email, Start::Open)?;
        Ok(Fcm { uri, token, pool })
    }

    fn fcm_token(
        &mut self,
        email: &str,
        key_pem: &str,
        token_uri: &str,
    ) -> Result<FcmToken, Problem> {
        let bad = || Problem::TokenUri(token_uri.to_owned());
        let uri: Uri = token_uri.parse().map_err(|_| bad())?;
        if uri.scheme_str() != Some("https") {
            return Err(bad());
        }
        let endpoint: Endpoint = uri
            .authority()
            .ok_or_else(bad)?
            .as_str()
            .parse()
            .map_err(|_| bad())?;
        let signer = FcmSigner::new(email, key_pem, token_uri)?;
        let name = endpoint.to_string();
        let pool = match self.token_pools.get(&name) {
            Some(pool) => Arc::clone(pool),
            None => Arc::new(Pool::new(
                &endpoint,
                &self.tls()?,
                Start::Open,
                self.limits,
                self.observer,
            )),
        };
        self.token_pools.insert(name, Arc::clone(&pool));
        Ok(FcmToken::new(signer, uri, pool))
    }

    fn pool(
        &mut self,
        endpoint: &Endpoint,
        identity: &str,
        start: Start,
    ) -> Result<Arc<Pool>, Problem> {
        let name = (endpoint.to_string(), identity.to_owned());
        let pool = match self.pools.get(&name) {
            Some(pool) => Arc::clone(pool),
            None => Arc::new(Pool::new(
                endpoint,
                &self.tls()?,
                start,
                self.limits,
                self.observer,
            )),
        };
        self.pools.insert(name, Arc::clone(&pool));
        Ok(pool)
    }

    /// TLS 1.2 or better, HTTP/2 and nothing else.
    fn tls(&mut self) -> Result<Arc<ClientConfig>, Problem> {
        if let Some(tls) = &self.tls {
            return Ok(Arc::clone(tls));
        }
        let mut tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(Arc::clone(&self.roots))
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Arc::clone(self.tls.insert(Arc::new(tls))))
    }
}

/// Ids become part of paths and headers; the providers make them of nothing else.
fn id(field: &'static str, value: &str) -> Result<String, Problem> {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
    if value.is_empty() || !value.bytes().all(plain) {
        return Err(bad_id(field, value));
    }
    Ok(value.to_owned())
}

fn bad_id(field: &'static str, value: &str) -> Problem {
    Problem::Id {
        field,
        value: value.to_owned(),
    }
}

fn header(field: &'static str, value: &str) -> Result<HeaderValue, Problem> {
    HeaderValue::from_str(value).map_err(|_| bad_id(field, value))
}

fn authority(endpoint: &Endpoint) -> Result<Authority, Problem> {
    let text = endpoint.to_string();
    // A provider's own port is not part of its name.
    let text = text.strip_suffix(":443").unwrap_or(&text);
    text.parse().map_err(|_| bad_id("endpoint", text))
}
