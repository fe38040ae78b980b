//! What a simulated phone is: whose it is, which platform it runs, and where its servers are.

use std::net::SocketAddr;
use std::time::Duration;

use domain::device::UUID_URN;
use domain::{Channel, Generation, Platform};
use push::seal::KeyPair;
use sip::endpoint::Transport;
use xmpp::sasl::scram::ClientSettings;
use xmpp::stream::Framing;

use crate::rng::Rng;

/// Everything about one phone.
#[derive(Clone, Debug)]
pub struct PhoneConfig {
    /// The user's name, left of the `@`.
    pub user: String,
    /// The name that others see; may be empty.
    pub display_name: String,
    /// The user's password, for SIP and the device API.
    pub password: String,
    /// The SIP domain; over TLS also the name that the server's certificate must have.
    pub domain: String,
    /// Where the phone registers.
    pub server: (Transport, SocketAddr),
    /// Certificates to trust, PEM; needed over TLS only.
    pub ca: Option<String>,
    /// Whose cloud pushes to it. It also says the platform.
    pub service: PushService,
    /// One push channel or two.
    pub generation: Generation,
    /// What the phone calls itself: `Jabber`, `Webex`. A label, no more.
    pub client: String,
    /// The push tokens. Android and single-channel phones have one for both channels.
    pub tokens: Tokens,
    /// The lab's control API, where the pushes come from: `http://127.0.0.1:2190`. Without it none come.
    pub lab: Option<String>,
    /// The device API: `http://127.0.0.1:8080`, or `https://…` with a certificate of `ca`. Without it the server gets no key and is
    /// told no mode.
    pub device_api: Option<String>,
    /// Names this installation for good: a UUID, without `urn:uuid:`.
    pub instance: String,
    /// Opens what the server seals for this phone. The public half is handed over by the device API.
    pub keys: Option<KeyPair>,
    /// Answer every call after so much ringing.
    pub auto_answer: Option<Duration>,
    /// Whether it has a SIP door at all.
    pub sip: bool,
    /// Its XMPP door, if it has one.
    pub xmpp: Option<XmppDoor>,
    /// Whether it registers at all: a server that only calls and is called does not, and opens a connection.
    pub registers: bool,
    /// Whether it registers where the push that wakes it says (`register_at`): that port, over that transport, at an address or by the
    /// server's name, which is `domain` and leads where the phone is to the host of `server`. Where a push says nothing of use it cannot
    /// register. Else always at `server`.
    pub registers_where_pushed: bool,
    /// Lifetime that it asks for its registration.
    pub expires: Duration,
    /// How long a pushed call may stay without its INVITE. Then the CallKit screen of an iPhone would never close.
    pub call_patience: Duration,
}

/// Where a phone finds its servers from where it is: inside a network and outside of it the same name leads to other hosts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// As [`PhoneConfig::server`].
    pub server: (Transport, SocketAddr),
    /// As [`XmppDoor::server`].
    pub xmpp: Option<SocketAddr>,
    /// As [`PhoneConfig::device_api`].
    pub device_api: Option<String>,
}

/// How a phone is reached over XMPP.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says of one extension whether the client uses it, and none depends on another"
)]
pub struct XmppDoor {
    /// Where it signs in, by TLS from the start.
    pub server: SocketAddr,
    /// Over TCP (XEP-0368), or over a WebSocket (RFC 7395), as pages do.
    pub framing: Framing,
    /// What it puts up with of the server when it signs in.
    pub scram: ClientSettings,
    /// Whether it hands its tokens over in its stream (XEP-0357); then not with its registration. They wake it for calls by the
    /// door at which they were handed over.
    pub pushes: bool,
    /// Whether it tells who asks that a message is there (XEP-0184).
    pub receipts: bool,
    /// Whether it says what its user has read, and asks others to say so of what it writes (XEP-0333).
    pub markers: bool,
    /// Whether it hears by copies what its user's other clients say (XEP-0280). Else they tell each other who takes a call, as
    /// versions of XEP-0353 before 0.4 have it; all clients of a user do the same.
    pub copies: bool,
}

impl XmppDoor {
    /// At this server; every field can be set afterwards.
    pub fn new(server: SocketAddr) -> Self {
        Self {
            server,
            framing: Framing::Tcp,
            scram: ClientSettings::default(),
            pushes: false,
            receipts: true,
            markers: false,
            copies: false,
        }
    }
}

/// Whose cloud carries the pushes, and the app's name there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PushService {
    /// Apple.
    Apns {
        /// Ten characters.
        team: String,
        /// Bundle id, without `.voip`.
        bundle: String,
    },
    /// Google.
    Fcm {
        /// Firebase project.
        project: String,
        /// Package name.
        package: String,
    },
    /// Whoever makes the browser: its app is a page.
    WebPush {
        /// The app's id in the server's configuration.
        app: String,
        /// The origin of the push service: `https://localhost:2199`.
        service: String,
    },
}

/// Push tokens, as the platform gave them to the app.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tokens {
    /// For calls.
    pub voip: String,
    /// For messages.
    pub message: String,
}

impl PhoneConfig {
    /// A dual-channel phone without a key, its tokens and its instance drawn from `rng`; every field can be set
    /// afterwards.
    pub fn drawn(
        user: &str,
        password: &str,
        domain: &str,
        server: (Transport, SocketAddr),
        service: PushService,
        rng: &mut Rng,
    ) -> Self {
        let tokens = Tokens::drawn(&service, Generation::DualChannel, rng);
        Self {
            user: user.to_owned(),
            display_name: capitalised(user),
            password: password.to_owned(),
            domain: domain.to_owned(),
            server,
            ca: None,
            service,
            generation: Generation::DualChannel,
            client: "Phone".to_owned(),
            tokens,
            lab: None,
            device_api: None,
            instance: rng.uuid(),
            keys: None,
            auto_answer: None,
            sip: true,
            xmpp: None,
            registers: true,
            registers_where_pushed: false,
            expires: Duration::from_hours(1),
            call_patience: Duration::from_secs(20),
        }
    }

    /// Where it is when it is switched on.
    pub fn place(&self) -> Place {
        Place {
            server: self.server,
            xmpp: self.xmpp.as_ref().map(|door| door.server),
            device_api: self.device_api.clone(),
        }
    }

    /// What it runs.
    pub fn platform(&self) -> Platform {
        match self.service {
            PushService::Apns { .. } => Platform::Ios,
            PushService::Fcm { .. } => Platform::Android,
            PushService::WebPush { .. } => Platform::Web,
        }
    }

    /// The app's id in the server's configuration: bundle, package or whatever a page is called there.
    pub fn app(&self) -> &str {
        match &self.service {
            PushService::Apns { bundle, .. } => bundle,
            PushService::Fcm { package, .. } => package,
            PushService::WebPush { app, .. } => app,
        }
    }

    /// Its address: `sip:user@domain`.
    pub fn address(&self) -> String {
        format!("sip:{}@{}", self.user, self.domain)
    }

    /// What its XMPP client wants to be called among its user's clients (RFC 6120 §7.7): the same for as long as the app is
    /// installed. Beside a SIP door it is the instance itself, by which the server knows that both lead to one device
    /// (`behaviour.md` 16.6).
    pub fn resource(&self) -> String {
        if self.sip {
            return format!("{UUID_URN}{}", self.instance);
        }
        let installation = self.instance.get(..8).unwrap_or(&self.instance);
        format!("{}-{installation}", self.client)
    }

    /// Its address with the name, as it stands in From.
    pub(super) fn name_and_address(&self) -> String {
        let address = self.address();
        if self.display_name.is_empty() {
            return format!("<{address}>");
        }
        let name = self.display_name.replace('\\', "\\\\").replace('"', "\\\"");
        format!("\"{name}\" <{address}>")
    }

    /// Does the platform kill the app for a `voip` push that is no call (iOS 13 and newer)?
    pub fn has_callkit_rule(&self) -> bool {
        self.platform() == Platform::Ios && self.generation == Generation::DualChannel
    }

    /// A page cannot come to the front by itself: what a push tells it of a call it shows, and its user opens it.
    pub fn waits_for_a_tap(&self) -> bool {
        self.platform() == Platform::Web
    }

    /// The parameters of its Contact URI (RFC 8599 §4.1); none, if its tokens go over its stream.
    pub(super) fn push_params(&self) -> String {
        if self.xmpp.as_ref().is_some_and(|door| door.pushes) {
            return String::new();
        }
        let Tokens { voip, message } = &self.tokens;
        match (&self.service, self.generation) {
            (PushService::Apns { team, bundle }, Generation::DualChannel) => format!(
                ";pn-provider=apns;pn-param={team}.{bundle}.voip&remote;pn-prid={voip}:voip&{message}:remote"
            ),
            (PushService::Apns { team, bundle }, Generation::SingleChannel) => {
                format!(";pn-provider=apns;pn-param={team}.{bundle}.voip;pn-prid={voip}")
            }
            (PushService::Fcm { project, .. }, _) => {
                format!(";pn-provider=fcm;pn-param={project};pn-prid={voip}")
            }
            // A page has a door to XMPP alone.
            (PushService::WebPush { .. }, _) => String::new(),
        }
    }

    /// The tokens with the channel that a push to each takes. `None`: one token for both, the payload tells.
    pub(in crate::phone) fn token_channels(&self) -> Vec<(String, Option<Channel>)> {
        let Tokens { voip, message } = &self.tokens;
        if voip == message {
            return vec![(voip.clone(), None)];
        }
        vec![
            (voip.clone(), Some(Channel::Voip)),
            (message.clone(), Some(Channel::Message)),
        ]
    }
}

/// `alice` as people write her.
fn capitalised(user: &str) -> String {
    let mut letters = user.chars();
    let first = letters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(letters).collect()
}

impl Tokens {
    /// Tokens as the platform's look: two for a dual-channel iPhone, else one.
    pub fn drawn(service: &PushService, generation: Generation, rng: &mut Rng) -> Self {
        let mut token = || match service {
            PushService::Apns { .. } => rng.hex(32),
            PushService::Fcm { .. } => format!("{}:APA91b{}", rng.hex(11), rng.hex(64)),
            PushService::WebPush { service, .. } => format!("{service}/push/{}", rng.hex(32)),
        };
        let voip = token();
        let two =
            matches!(service, PushService::Apns { .. }) && generation == Generation::DualChannel;
        Self {
            message: if two { token() } else { voip.clone() },
            voip,
        }
    }
}
