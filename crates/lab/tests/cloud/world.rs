//! A small world for each test: the clouds on free ports, their keys, tokens that are good.

use crate::client::{H2Client, es256, rs256, unix_seconds};
use lab::cloud::{Ca, CloudConfig, CloudHandle, Clouds, DevCredentials, Fault, Filter, Record};
use serde_json::{Value, json};

pub(crate) const TEAM: &str = "TEAM123456";
pub(crate) const KEY_ID: &str = "LABKEY0001";
pub(crate) const DEVICE: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
pub(crate) const DROID: &str = "dQw4w9WgXcQ:APA91bHun4MxP5egoKMwt2KZFBaFUH-1RYqx";

pub(crate) struct World {
    pub(crate) clouds: Clouds,
    pub(crate) ca: Ca,
    pub(crate) keys: DevCredentials,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut CloudConfig)) -> Self {
        let ca = Ca::new().unwrap();
        let keys = DevCredentials::new();
        let mut config = CloudConfig::dev(&ca, &keys).on_free_ports();
        change(&mut config);
        let clouds = Clouds::start(config).await.unwrap();
        Self { clouds, ca, keys }
    }

    pub(crate) fn handle(&self) -> CloudHandle {
        self.clouds.handle()
    }

    pub(crate) fn order(&self, fault: Fault) {
        self.handle().order(fault).unwrap();
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        self.clouds.notifications(&Filter::default())
    }

    pub(crate) fn last_record(&self) -> Record {
        self.records().pop().expect("something was pushed")
    }

    /// A connection to APNs whose client opens as many streams as it likes from the start.
    pub(crate) async fn apns(&self) -> H2Client {
        H2Client::connect(&self.ca, self.clouds.addresses().apns).await
    }

    pub(crate) async fn fcm(&self) -> H2Client {
        H2Client::connect(&self.ca, self.clouds.addresses().fcm).await
    }

    /// A provider token issued so many seconds ago.
    pub(crate) fn provider_token(&self, seconds_ago: u64) -> String {
        self.signed(
            &json!({ "alg": "ES256", "kid": KEY_ID }),
            &json!({ "iss": TEAM, "iat": unix_seconds() - seconds_ago }),
        )
    }

    /// The same with any header and claims.
    pub(crate) fn signed(&self, header: &Value, claims: &Value) -> String {
        es256(self.keys.apns_key_pem(), header, claims)
    }

    pub(crate) fn token_uri(&self) -> String {
        format!(
            "https://localhost:{}/token",
            self.clouds.addresses().fcm.port()
        )
    }

    /// The claims of a good assertion for `project`.
    pub(crate) fn assertion_claims(&self, project: &str) -> Value {
        let account: Value =
            serde_json::from_str(&self.keys.fcm_service_account(project, &self.token_uri()))
                .unwrap();
        json!({
            "iss": account["client_email"],
            "scope": "https://www.googleapis.com/auth/firebase.messaging",
            "aud": account["token_uri"],
            "iat": unix_seconds(),
            "exp": unix_seconds() + 3600,
        })
    }

    pub(crate) fn assertion(&self, claims: &Value) -> String {
        let account: Value =
            serde_json::from_str(&self.keys.fcm_service_account("example-droid", "")).unwrap();
        rs256(account["private_key"].as_str().unwrap(), claims)
    }

    /// An access token for `project`.
    pub(crate) async fn access_token(&self, client: &mut H2Client, project: &str) -> String {
        let assertion = self.assertion(&self.assertion_claims(project));
        let answer = client.ask_token(&assertion).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body["access_token"].as_str().unwrap().to_owned()
    }
}
