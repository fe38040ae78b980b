//! What the simulated clouds know and where they listen: teams, keys, apps, projects, limits.

use super::{
    Ca, CaError,
    credentials::{
        ApnsKey, DEV_PROJECTS, DEV_TEAM, DEV_WEB_APP, DevCredentials, service_account_email,
    },
};
use domain::{Generation, Generation::DualChannel, Generation::SingleChannel};
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, time::Duration};

/// The iOS apps of `--dev`.
const DEV_BUNDLES: [(&str, Generation); 6] = [
    ("com.example.phone", DualChannel),
    ("com.example.phone12", SingleChannel),
    ("com.example.jabber", DualChannel),
    ("com.example.jabber12", SingleChannel),
    ("com.example.webex", DualChannel),
    ("com.example.webex12", SingleChannel),
];

/// Which of Apple's two worlds.
#[derive(Copy, Clone, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Environment {
    /// Apps from the store. Every host name that is not the sandbox's.
    Production,
    /// Apps from the developer's machine. A client reaches it by a host name that begins `api.sandbox.` or `sandbox.`.
    Sandbox,
}

/// A team at Apple.
#[derive(Clone, Debug)]
pub struct ApnsTeam {
    /// Ten characters: `iss` of its provider tokens.
    pub team: String,
    /// Its signing keys.
    pub keys: Vec<ApnsKey>,
    /// Certificates by which its apps are known without a provider token.
    pub certificates: Vec<ApnsCertificate>,
    /// Its apps.
    pub apps: Vec<ApnsApp>,
}

/// What one app may be pushed to with, instead of a provider token.
#[derive(Clone, Debug)]
pub struct ApnsCertificate {
    /// The app's bundle id: its topics are that and, with `.voip`, that of its `voip` pushes.
    pub bundle: String,
    /// The certificate, DER.
    pub certificate: Vec<u8>,
    /// Certificate and private key, PEM, for whoever pushes.
    pub pem: String,
}

impl ApnsCertificate {
    /// A new one for `bundle`.
    ///
    /// # Errors
    /// If the CA cannot issue it.
    pub fn issue(ca: &Ca, bundle: &str) -> Result<Self, CaError> {
        let issued = ca.issue(&[])?;
        Ok(Self {
            bundle: bundle.to_owned(),
            certificate: issued.leaf().to_vec(),
            pem: issued.chain_pem + &issued.key_pem,
        })
    }
}

/// An iOS app.
#[derive(Clone, Debug)]
pub struct ApnsApp {
    /// Its bundle id: the topic, and with `.voip` the topic of its `voip` pushes.
    pub bundle: String,
    /// Whether the device kills it for a `voip` push that is no call (dual channel, iOS 13 and newer).
    pub generation: Generation,
    /// Where it is known.
    pub environments: Vec<Environment>,
}

/// A Firebase project.
#[derive(Clone, Debug)]
pub struct FcmProject {
    /// Its id, as in the path of the send request.
    pub project: String,
    /// Who may send: the `iss` of assertions.
    pub service_account: String,
    /// The service account's RSA public key, PKCS#1 DER.
    pub public_key: Vec<u8>,
    /// Its Android apps.
    pub packages: Vec<String>,
}

/// An app that takes Web Push.
#[derive(Clone, Debug)]
pub struct WebApp {
    /// Its id.
    pub app: String,
    /// The P-256 key that its clients subscribe with (`applicationServerKey`), an uncompressed point, 65 bytes.
    pub public_key: Vec<u8>,
}

/// The clouds to start. Port 0 takes a free one.
#[derive(Clone)]
pub struct CloudConfig {
    /// Where the simulated APNs listens.
    pub apns: SocketAddr,
    /// Where the simulated FCM, with its token endpoint, listens.
    pub fcm: SocketAddr,
    /// Where the simulated Web Push service listens.
    pub webpush: SocketAddr,
    /// Where the control API listens, plain HTTP. Loopback only.
    pub control: SocketAddr,
    /// Who vouches for their certificates.
    pub ca: Ca,
    /// Whom the simulated APNs knows.
    pub apns_teams: Vec<ApnsTeam>,
    /// Whom the simulated FCM knows.
    pub fcm_projects: Vec<FcmProject>,
    /// Whose subscriptions the simulated Web Push service hands out.
    pub webpush_apps: Vec<WebApp>,
    /// Keys that the control API hands out, so that anybody's push client can be pointed at the lab.
    pub credentials: Option<DevCredentials>,
    /// Takes what the platforms would refuse, and writes down what they would have said: for a client that is not ready
    /// yet. What was ordered to go wrong still does.
    pub lenient: bool,
    /// By how many seconds their clocks are ahead of this machine's, or behind it: whoever signs tokens here has a clock that is wrong.
    pub ahead_seconds: i64,
    /// How much they take.
    pub limits: Limits,
}

impl CloudConfig {
    /// The clouds of `serve --dev` and `reveille lab`: ports 2197, 2198, 2199 and 2190 on loopback, the apps of the
    /// contract, the keys of `credentials`.
    pub fn dev(ca: &Ca, credentials: &DevCredentials) -> Self {
        let loopback = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let both = || vec![Environment::Production, Environment::Sandbox];
        Self {
            apns: loopback(2197),
            fcm: loopback(2198),
            webpush: loopback(2199),
            control: loopback(2190),
            ca: ca.clone(),
            apns_teams: vec![ApnsTeam {
                team: DEV_TEAM.to_owned(),
                keys: vec![credentials.apns_key()],
                certificates: ApnsCertificate::issue(ca, DEV_BUNDLES[0].0)
                    .into_iter()
                    .collect(),
                apps: DEV_BUNDLES
                    .iter()
                    .map(|&(bundle, generation)| ApnsApp {
                        bundle: bundle.to_owned(),
                        generation,
                        environments: both(),
                    })
                    .collect(),
            }],
            fcm_projects: DEV_PROJECTS
                .iter()
                .map(|&(project, package)| FcmProject {
                    project: project.to_owned(),
                    service_account: service_account_email(project),
                    public_key: credentials.fcm_public_key().to_vec(),
                    packages: vec![package.to_owned()],
                })
                .collect(),
            webpush_apps: vec![WebApp {
                app: DEV_WEB_APP.to_owned(),
                public_key: credentials.vapid_public_key().to_vec(),
            }],
            credentials: Some(credentials.clone()),
            lenient: false,
            ahead_seconds: 0,
            limits: Limits::default(),
        }
    }

    /// The same on free ports of loopback.
    #[must_use]
    pub fn on_free_ports(mut self) -> Self {
        for address in [
            &mut self.apns,
            &mut self.fcm,
            &mut self.webpush,
            &mut self.control,
        ] {
            address.set_port(0);
        }
        self
    }
}

/// How much the clouds take, and what happens then.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections open at once, each cloud for itself; a further one is closed at once.
    pub connections: usize,
    /// A TLS or HTTP/2 handshake that takes longer ends the connection.
    pub handshake: Duration,
    /// A connection without a request in this time gets a GOAWAY (`IdleTimeout`).
    pub idle: Duration,
    /// Streams that an authorised connection may have open at once; further ones are refused (`REFUSED_STREAM`).
    pub streams: u32,
    /// A request's body is read up to here; the rest is not, and the answer says that it is too large.
    pub body_bytes: usize,
    /// Records kept; the oldest go first.
    pub records: usize,
    /// Bytes of payloads and headers in the records kept, roughly; the oldest go first.
    pub record_bytes: usize,
    /// Records that one `GET /notifications` answers with, the oldest first; ask again with `after`.
    pub records_an_answer: usize,
    /// Longest wait for news; a longer one is cut to this.
    pub wait: Duration,
    /// Device tokens registered; a further one is refused.
    pub tokens: usize,
    /// Fates and faults waiting to happen; a further one is refused.
    pub orders: usize,
    /// Bad device tokens in a row on one APNs connection; the next request finds it closed (GOAWAY).
    pub bad_tokens_in_a_row: u32,
    /// FCM messages a project and minute (Google: 600,000); more are answered `QUOTA_EXCEEDED`.
    pub fcm_project_rate: u32,
    /// FCM messages a device and minute (Google: 240); more are answered `QUOTA_EXCEEDED`.
    pub fcm_device_rate: u32,
    /// Collapse keys that FCM keeps for a device (Google: 4); a further one is marked as a violation.
    pub fcm_collapse_keys: usize,
    /// OAuth access tokens that FCM remembers; the oldest is forgotten and so refused.
    pub access_tokens: usize,
    /// A connection told to be silent is closed after this time.
    pub silence: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1_000,
            handshake: Duration::from_secs(10),
            idle: Duration::from_hours(1),
            streams: 1_000,
            body_bytes: 64 * 1024,
            records: 100_000,
            record_bytes: 256 * 1024 * 1024,
            records_an_answer: 10_000,
            wait: Duration::from_mins(5),
            tokens: 1_000_000,
            orders: 100_000,
            bad_tokens_in_a_row: 50,
            fcm_project_rate: 600_000,
            fcm_device_rate: 240,
            fcm_collapse_keys: 4,
            access_tokens: 1_000,
            silence: Duration::from_mins(10),
        }
    }
}
