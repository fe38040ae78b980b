//! A phone with its registrar and its cloud.

use lab::phone::{Phone, PhoneConfig, PhoneEvent, PushService};
use serde_json::{Value, json};
use sip::endpoint::Transport;

use crate::cloud::Cloud;
use crate::registrar::{Order, PATIENCE, Registrar};

pub struct World {
    pub phone: Phone,
    pub registrar: Registrar,
    pub cloud: Cloud,
}

pub fn iphone() -> PushService {
    PushService::Apns {
        team: "TEAM123456".to_owned(),
        bundle: "com.example.phone".to_owned(),
    }
}

pub fn android() -> PushService {
    PushService::Fcm {
        project: "example-droid".to_owned(),
        package: "com.example.droid".to_owned(),
    }
}

impl World {
    /// A registered phone over TCP.
    pub async fn registered(
        service: PushService,
        change: impl FnOnce(PhoneConfig) -> PhoneConfig,
    ) -> Self {
        let world = Self::new(Transport::Tcp, service, change).await;
        world.phone.register().await.unwrap();
        world
    }

    pub async fn new(
        transport: Transport,
        service: PushService,
        change: impl FnOnce(PhoneConfig) -> PhoneConfig,
    ) -> Self {
        let registrar = Registrar::start(transport).await;
        let cloud = Cloud::start().await;
        let mut config = PhoneConfig::new(
            "bob",
            "wakeup",
            "localhost",
            (transport, registrar.address),
            service,
        );
        config.lab = Some(cloud.url.clone());
        let phone = Phone::start(change(config)).await.unwrap();
        Self {
            phone,
            registrar,
            cloud,
        }
    }

    /// Waits for an event.
    pub async fn sees(&self, wanted: impl FnMut(&PhoneEvent) -> bool) -> PhoneEvent {
        self.phone.wait_for(wanted, PATIENCE).await.unwrap().event
    }

    pub async fn sees_event(&self, event: PhoneEvent) {
        self.sees(|seen| *seen == event).await;
    }

    pub fn has_seen(&self, wanted: impl Fn(&PhoneEvent) -> bool) -> bool {
        self.phone.events().iter().any(|entry| wanted(&entry.event))
    }

    /// The events of `names`, in the order in which they happened.
    pub fn order_of(&self, names: &[&str]) -> Vec<String> {
        let events = self.phone.events();
        let names_of = events
            .iter()
            .map(|entry| json!(entry.event)["event"].as_str().unwrap().to_owned());
        names_of
            .filter(|name| names.contains(&name.as_str()))
            .collect()
    }

    /// A push on the voip channel, as APNs or FCM delivers it.
    pub fn push_voip(&self, data: Value) {
        self.push(&self.phone.config().tokens.voip, data);
    }

    pub fn push_message(&self, data: Value) {
        self.push(&self.phone.config().tokens.message, data);
    }

    pub fn push_call(&self, call: &str) {
        self.push_voip(json!({ "kind": "call", "call": call, "tracking": "t-1" }));
    }

    fn push(&self, token: &str, data: Value) {
        let payload = match self.phone.config().service {
            PushService::Apns { .. } => data,
            PushService::Fcm { .. } => json!({ "message": { "token": token, "data": data } }),
            PushService::WebPush { .. } => unreachable!("a page has no SIP"),
        };
        self.cloud.push(token, &payload);
    }

    /// The registrar calls the phone.
    pub fn invite(&self, call: &str) {
        self.registrar.order(Order::Invite {
            call: call.to_owned(),
        });
    }
}
