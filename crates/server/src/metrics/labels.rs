//! What the samples of a metric are told apart by.

use prometheus_client::encoding::EncodeLabelSet;

macro_rules! labels {
    ($($(#[doc = $doc:literal])+ $name:ident { $($label:ident: $type:ty),+ })+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Debug, Eq, Hash, PartialEq, EncodeLabelSet)]
        pub(super) struct $name { $(pub(super) $label: $type),+ }
    )+};
}

labels! {
    /// Of a push.
    PushLabels { provider: &'static str, channel: &'static str, outcome: &'static str }
    /// Of the way to an app's cloud.
    ReachLabels { provider: &'static str, environment: &'static str, app: String }
    /// Of anything that ends one way or another.
    OutcomeLabels { outcome: &'static str }
    /// Of what a tenant is told.
    AnswerLabels { answer: &'static str }
    /// Of how a push of the queue ended.
    EndLabels { end: &'static str }
    /// Of an app.
    AppLabels { app: String }
    /// Of a stage of a wake.
    StageLabels { stage: &'static str }
    /// Of a SIP request.
    RequestLabels { method: &'static str, transport: &'static str }
    /// Of a connection.
    ConnectionLabels { protocol: &'static str, transport: &'static str }
    /// Of where somebody signs in.
    DoorLabels { door: &'static str }
    /// Of who banned a source.
    ByLabels { by: &'static str }
    /// Of a tunnel.
    EdgeLabels { edge: String }
    /// Of a media relay.
    RelayLabels { relay: String }
    /// Of why something was refused.
    ReasonLabels { reason: &'static str }
    /// Of a certificate.
    CertificateLabels { certificate: String }
}

/// Where somebody signs in.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Door {
    /// A phone.
    Sip,
    /// A client.
    Xmpp,
    /// An app, at the device API.
    Device,
    /// An operator, at the admin API.
    Admin,
    /// A tenant, at the push service.
    Push,
}

impl Door {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Sip, Self::Xmpp, Self::Device, Self::Admin, Self::Push];

    /// The name in the metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sip => "sip",
            Self::Xmpp => "xmpp",
            Self::Device => "device_api",
            Self::Admin => "admin_api",
            Self::Push => "push_service",
        }
    }
}
