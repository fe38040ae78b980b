//! From what the operator says of the apps to the ways to them. What apps have in common they share: connections,
//! provider tokens, the TLS configuration.

use crate::{
    App, Credentials, Limits, Problem, Proxy, Route,
    client::{Apns, Client, Fcm},
    endpoint::Endpoint,
    observe::Observer,
    pool::{Pool, Start, Way},
    rest,
    token::{
        ApnsSigner, FcmSigner, VapidSigner, apns::ApnsToken, fcm::FcmToken, vapid::VapidTokens,
    },
    webpush::{Hosts, Services, WebPush},
};
use http::{HeaderValue, Uri, uri::Authority};
use rustls::{
    ClientConfig, ConfigBuilder, RootCertStore,
    client::WantsClientCert,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// HTTP/2 and nothing else.
const ALPN: &[u8] = b"h2";

/// See the module.
pub(crate) struct Builder<'a> {
    roots: Arc<RootCertStore>,
    proxy: Option<Arc<Proxy>>,
    limits: &'a Limits,
    observer: &'a Arc<dyn Observer>,
    way: Option<Way>,
    /// By address and identity: a connection to Apple serves one team only.
    pools: BTreeMap<(String, String), Arc<Pool>>,
    token_pools: BTreeMap<String, Arc<Pool>>,
    /// By team, key id and key: Apple counts how often a team's token changes.
    apns_tokens: HashMap<[String; 3], Arc<ApnsToken>>,
    /// By account, key and where it is good for.
    fcm_tokens: HashMap<[String; 3], Arc<FcmToken>>,
    /// By address, tenant and secret.
    services: HashMap<[String; 3], Arc<rest::Service>>,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(route: Route, limits: &'a Limits, observer: &'a Arc<dyn Observer>) -> Self {
        Self {
            roots: Arc::new(route.roots),
            proxy: route.proxy.map(Arc::new),
            limits,
            observer,
            way: None,
            pools: BTreeMap::new(),
            token_pools: BTreeMap::new(),
            apns_tokens: HashMap::new(),
            fcm_tokens: HashMap::new(),
            services: HashMap::new(),
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
            Credentials::ApnsCertificate {
                certificate_pem,
                key_pem,
                ..
            } => {
                let apns = self.apns_by_certificate(app, certificate_pem, key_pem)?;
                Ok(Client::Apns(apns))
            }
            Credentials::Fcm {
                project,
                client_email,
                private_key_pem,
                token_uri,
            } => {
                let fcm = self.fcm(app, project, client_email, private_key_pem, token_uri)?;
                Ok(Client::Fcm(fcm))
            }
            Credentials::WebPush {
                key_pem,
                contact,
                hosts,
            } => {
                let client = self.web_push(key_pem, contact, hosts)?;
                Ok(Client::WebPush(Box::new(client)))
            }
            Credentials::Service {
                at,
                client_id,
                client_secret,
                ..
            } => {
                let service = self.service(at, client_id, client_secret)?;
                service.pool().serves(app.served());
                Ok(Client::Service(service))
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
        let token = match self.apns_tokens.get(&key) {
            Some(token) => Arc::clone(token),
            None => Arc::new(ApnsToken::new(ApnsSigner::new(team, key_id, key_pem)?)),
        };
        self.apns_tokens.insert(key, Arc::clone(&token));
        let identity = format!("{team}/{key_id}");
        let pool = self.pool(&app.endpoint(), &identity, Start::OneStream)?;
        pool.serves(app.served());
        apns(app, Some(token), pool)
    }

    /// Its connections are this app's alone, and authorised by TLS: as many streams as SETTINGS allow from the start.
    fn apns_by_certificate(
        &mut self,
        app: &App,
        certificate_pem: &str,
        key_pem: &str,
    ) -> Result<Apns, Problem> {
        let bad = |error: &dyn ToString| Problem::Certificate(error.to_string());
        let chain = CertificateDer::pem_slice_iter(certificate_pem.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| bad(&error))?;
        let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|error| bad(&error))?;
        let mut tls = self
            .tls()?
            .with_client_auth_cert(chain, key)
            .map_err(|error| bad(&error))?;
        tls.alpn_protocols = vec![ALPN.to_vec()];
        let way = Way {
            tls: Arc::new(tls),
            proxy: self.proxy.clone(),
        };
        let endpoint = app.endpoint();
        let pool = Arc::new(Pool::new(
            &endpoint,
            &way,
            Start::Open,
            self.limits,
            self.observer,
        ));
        pool.serves(app.served());
        let name = (
            endpoint.to_string(),
            format!("certificate of {}", app.profile.app),
        );
        self.pools.insert(name, Arc::clone(&pool));
        apns(app, None, pool)
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
        pool.serves(app.served());
        Ok(Fcm { uri, token, pool })
    }

    fn web_push(
        &mut self,
        key_pem: &str,
        contact: &str,
        hosts: &[String],
    ) -> Result<WebPush, Problem> {
        // RFC 8292 §2.1.
        if !contact.starts_with("mailto:") && !contact.starts_with("https:") {
            return Err(Problem::Contact(contact.to_owned()));
        }
        Ok(WebPush {
            hosts: Hosts::read(hosts)?,
            tokens: VapidTokens::new(VapidSigner::new(key_pem, contact)?),
            services: Services::new(self.way()?, self.limits, self.observer),
        })
    }

    /// All apps of a tenant share its connections and its token.
    fn service(
        &mut self,
        at: &Endpoint,
        client_id: &str,
        secret: &str,
    ) -> Result<Arc<rest::Service>, Problem> {
        let name = [
            at.to_string(),
            id("client_id", client_id)?,
            secret.to_owned(),
        ];
        if let Some(service) = self.services.get(&name) {
            return Ok(Arc::clone(service));
        }
        let pool = self.pool(at, client_id, Start::Open)?;
        let service = rest::Service::new(&authority(at)?, (client_id, secret), pool)
            .map_err(|_| bad_id("client_secret", client_id))?;
        let service = Arc::new(service);
        self.services.insert(name, Arc::clone(&service));
        Ok(service)
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
                &self.way()?,
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
                &self.way()?,
                start,
                self.limits,
                self.observer,
            )),
        };
        self.pools.insert(name, Arc::clone(&pool));
        Ok(pool)
    }

    /// TLS 1.2 or better.
    fn tls(&self) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, Problem> {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        Ok(builder
            .with_safe_default_protocol_versions()?
            .with_root_certificates(Arc::clone(&self.roots)))
    }

    /// How a provider is reached that knows us by what is in our requests.
    fn way(&mut self) -> Result<Way, Problem> {
        if let Some(way) = &self.way {
            return Ok(way.clone());
        }
        let mut tls = self.tls()?.with_no_client_auth();
        tls.alpn_protocols = vec![ALPN.to_vec()];
        let way = Way {
            tls: Arc::new(tls),
            proxy: self.proxy.clone(),
        };
        Ok(self.way.insert(way).clone())
    }
}

fn apns(app: &App, token: Option<Arc<ApnsToken>>, pool: Arc<Pool>) -> Result<Apns, Problem> {
    let bundle = id("app", app.profile.app.as_str())?;
    Ok(Apns {
        generation: app.profile.generation,
        authority: authority(&app.endpoint())?,
        topic: header("app", &bundle)?,
        voip_topic: header("app", &format!("{bundle}.voip"))?,
        token,
        pool,
    })
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
