//! The keys that a push client gets for the lab's clouds, in the forms in which Apple and Google hand theirs out.

use rcgen::KeyPair;
use ring::{rsa, signature::KeyPair as _};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject};

/// `ring` makes no RSA keys, so one is shipped. It opens nothing but the simulated cloud.
const LAB_ONLY_RSA_KEY: &str = include_str!("../../keys/LAB_ONLY_fcm_service_account.pem");

const APNS_KEY_ID: &str = "LABKEY0001";

/// The APNs team of `--dev`.
pub(super) const DEV_TEAM: &str = "TEAM123456";

/// The FCM projects of `--dev`, each with its Android package.
pub(super) const DEV_PROJECTS: [(&str, &str); 3] = [
    ("example-droid", "com.example.droid"),
    ("jabber-droid", "com.example.jabber.droid"),
    ("webex-droid", "com.example.webex.droid"),
];

/// The Web Push app of `--dev`.
pub(super) const DEV_WEB_APP: &str = "com.example.web";

/// A team's signing key.
#[derive(Clone, Debug)]
pub struct ApnsKey {
    /// Ten characters: `kid` of the provider tokens that it signs.
    pub key_id: String,
    /// The P-256 public key as an uncompressed point, 65 bytes.
    pub public_key: Vec<u8>,
}

/// Keys for the simulated clouds: an APNs and a Web Push key of its own for every lab, and the lab's one FCM service-account key.
#[derive(Clone)]
pub struct DevCredentials {
    apns_key_pem: String,
    apns_public_key: Vec<u8>,
    fcm_public_key: Vec<u8>,
    vapid_key_pem: String,
    vapid_public_key: Vec<u8>,
}

impl DevCredentials {
    /// New keys.
    ///
    /// # Panics
    /// If the system has no entropy.
    pub fn new() -> Self {
        let apns = KeyPair::generate().expect("the system has entropy");
        let vapid = KeyPair::generate().expect("the system has entropy");
        Self::of(&apns, &vapid)
    }

    /// The keys of an earlier run, so that push clients that have them go on working. `None` if either is no such key.
    pub fn from_pem(apns_key_pem: &str, vapid_key_pem: &str) -> Option<Self> {
        let apns = KeyPair::from_pem(apns_key_pem).ok()?;
        let vapid = KeyPair::from_pem(vapid_key_pem).ok()?;
        Some(Self::of(&apns, &vapid))
    }

    fn of(apns: &KeyPair, vapid: &KeyPair) -> Self {
        let rsa = PrivatePkcs8KeyDer::from_pem_slice(LAB_ONLY_RSA_KEY.as_bytes())
            .expect("the key in the repository is PEM");
        let rsa = rsa::KeyPair::from_pkcs8(rsa.secret_pkcs8_der())
            .expect("the key in the repository is an RSA key");
        Self {
            apns_key_pem: apns.serialize_pem(),
            apns_public_key: apns.public_key_raw().to_vec(),
            fcm_public_key: rsa.public_key().as_ref().to_vec(),
            vapid_key_pem: vapid.serialize_pem(),
            vapid_public_key: vapid.public_key_raw().to_vec(),
        }
    }

    /// The APNs key as Apple's `.p8` file: P-256, PKCS#8 PEM.
    pub fn apns_key_pem(&self) -> &str {
        &self.apns_key_pem
    }

    /// The id of the APNs key: `kid` of provider tokens.
    pub fn apns_key_id(&self) -> &'static str {
        APNS_KEY_ID
    }

    /// The team of the APNs key: `iss` of provider tokens.
    pub fn apns_team(&self) -> &'static str {
        DEV_TEAM
    }

    /// What the simulated APNs knows of the key.
    pub(super) fn apns_key(&self) -> ApnsKey {
        ApnsKey {
            key_id: APNS_KEY_ID.to_owned(),
            public_key: self.apns_public_key.clone(),
        }
    }

    /// What the simulated FCM knows of the service accounts' key: PKCS#1 DER.
    pub(super) fn fcm_public_key(&self) -> &[u8] {
        &self.fcm_public_key
    }

    /// The service-account JSON of `project`, as Google hands it out. `token_uri` is where the access token is to be
    /// asked for: `https://localhost:2198/token` for the simulated FCM on its usual port.
    pub fn fcm_service_account(&self, project: &str, token_uri: &str) -> String {
        let account = serde_json::json!({
            "type": "service_account",
            "project_id": project,
            "private_key_id": "lab-only",
            "private_key": LAB_ONLY_RSA_KEY,
            "client_email": service_account_email(project),
            "client_id": "100000000000000000001",
            "token_uri": token_uri,
        });
        format!("{account:#}\n")
    }

    /// The key by which Web Push services know us (RFC 8292): P-256, PKCS#8 PEM.
    pub fn vapid_key_pem(&self) -> &str {
        &self.vapid_key_pem
    }

    /// Its public half, which clients subscribe with: an uncompressed point.
    pub fn vapid_public_key(&self) -> &[u8] {
        &self.vapid_public_key
    }

    /// The FCM projects for which there are service accounts.
    pub fn fcm_projects(&self) -> impl Iterator<Item = &'static str> {
        DEV_PROJECTS.iter().map(|&(project, _)| project)
    }
}

impl Default for DevCredentials {
    fn default() -> Self {
        Self::new()
    }
}

/// The `client_email` of the lab's service account in `project`.
pub(super) fn service_account_email(project: &str) -> String {
    format!("lab@{project}.iam.gserviceaccount.com")
}
