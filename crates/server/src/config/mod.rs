//! The configuration: every key with its meaning and its default, in one table a section. The example file, the check
//! for unknown keys and the environment overrides are made from these tables.

mod example;
mod load;
mod values;

pub use example::example;
pub use load::{ConfigError, load};
pub use values::{Addresses, Span, Words};

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A key of a section, for the example and for suggestions.
#[derive(Copy, Clone, Debug)]
pub struct Key {
    /// As written in the file.
    pub name: &'static str,
    /// What it means.
    pub doc: &'static str,
}

macro_rules! section {
    (
        $(#[doc = $section_doc:literal])+
        $name:ident { $( $(#[doc = $doc:literal])+ $key:ident: $type:ty = $default:expr, )+ }
    ) => {
        $(#[doc = $section_doc])+
        #[derive(Clone, Debug, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name { $( $(#[doc = $doc])+ pub $key: $type, )+ }

        impl $name {
            /// Its keys, in the order of the example.
            pub const KEYS: &[Key] = &[$( Key { name: stringify!($key), doc: concat!($($doc, "\n"),+) } ),+];
            /// What the section is for.
            pub const DOC: &str = concat!($($section_doc, "\n"),+);
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $key: $default, )+ }
            }
        }
    };
}

/// Most shards: their number has two hexadecimal digits in a Via.
const MOST_SHARDS: usize = 256;

section! {
    /// Who we are.
    Server {
        /// Domains whose users are ours.
        domains: Words = Words::of(&["localhost"]),
        /// Tasks that users are split over; 0: one a core.
        shards: usize = 0,
        /// What this process does. Today: call.
        roles: Words = Words::of(&["call"]),
        /// Where the database, generated keys and the admin token live.
        data_dir: PathBuf = PathBuf::from("/var/lib/reveille"),
        /// Host name that phones reach this server by; empty: the first domain. It stands in pushes and in Record-Route.
        node: String = String::new(),
    }
}

section! {
    /// Where we listen. A list of addresses each; an empty list switches it off.
    Listen {
        /// SIP over UDP.
        sip_udp: Addresses = Addresses::of(&["0.0.0.0:5060"]),
        /// SIP over TCP.
        sip_tcp: Addresses = Addresses::of(&["0.0.0.0:5060"]),
        /// SIP over TLS; needs [tls].
        sip_tls: Addresses = Addresses::of(&[]),
        /// XMPP, with STARTTLS; needs [tls].
        xmpp_tcp: Addresses = Addresses::of(&[]),
        /// XMPP in TLS from the start; needs [tls].
        xmpp_tls: Addresses = Addresses::of(&[]),
        /// Admin API and device API, plain HTTP: keep it on loopback, or behind a proxy that ends TLS.
        admin: Addresses = Addresses::of(&["127.0.0.1:8080"]),
        /// /healthz, /readyz and /metrics.
        health: Addresses = Addresses::of(&["127.0.0.1:9090"]),
        /// Simulated APNs, with --dev only.
        apns: Addresses = Addresses::of(&["127.0.0.1:2197"]),
        /// Simulated FCM, with --dev only.
        fcm: Addresses = Addresses::of(&["127.0.0.1:2198"]),
        /// Control API of the simulated clouds, with --dev only.
        lab: Addresses = Addresses::of(&["127.0.0.1:2190"]),
    }
}

section! {
    /// Our certificate. Both files are read again when they change.
    Tls {
        /// Certificate chain, PEM.
        certificate: PathBuf = PathBuf::new(),
        /// Private key, PEM.
        key: PathBuf = PathBuf::new(),
    }
}

section! {
    /// Where state is kept.
    Store {
        /// "sqlite:PATH" or "memory:"; empty: reveille.db in `server.data_dir`.
        url: String = String::new(),
    }
}

section! {
    /// Calls and SIP messages.
    Call {
        /// The caller hears ringing after this, though no phone has answered yet.
        ringing_after: Span = Span::seconds(5),
        /// No phone has come back after this: the wake has failed.
        wake_timeout: Span = Span::seconds(13),
        /// A phone that rings so long is not going to be answered.
        no_answer: Span = Span::seconds(60),
        /// Where a call goes that reaches nobody and whose user set no forward, as "sip:voicemail@example.org"; empty:
        /// the caller hears 480.
        fallback: String = String::new(),
        /// Addresses or networks (10.1.0.0/16) of servers that may call and write without a password: a PBX, a trunk.
        trusted: Words = Words::of(&[]),
        /// Whether callers from other domains may reach our users without a password.
        strangers: bool = false,
        /// Shortest registration taken; a shorter one is answered 423.
        min_expires: Span = Span::seconds(60),
        /// For a phone that does not say how long.
        default_expires: Span = Span::seconds(3600),
        /// Longest registration granted. A sleeping phone can be woken for as long as its registration lives.
        max_expires: Span = Span::seconds(7 * 86_400),
        /// A phone that has not acknowledged a message by then counts as asleep.
        message_ack: Span = Span::seconds(5),
        /// One push a conversation in this window.
        message_collapse: Span = Span::seconds(5),
    }
}

section! {
    /// The apps that are pushed to, one [[push.app]] each.
    Push {
        /// A CA file, PEM, to trust instead of the public ones: for a test lab.
        ca: PathBuf = PathBuf::new(),
        /// The apps.
        app: Vec<App> = Vec::new(),
    }
}

section! {
    /// An app profile: bundle or package id, its cloud, and our credentials there.
    App {
        /// Bundle id (Apple) or package name (Google).
        app: String = String::new(),
        /// "apns" or "fcm".
        provider: String = "apns".to_owned(),
        /// "dual-channel" (iOS 13 and newer, Android) or "single-channel" (iOS 12 and older).
        generation: String = "dual-channel".to_owned(),
        /// APNs: "production" or "sandbox".
        environment: String = "production".to_owned(),
        /// APNs: the team, ten characters.
        team_id: String = String::new(),
        /// APNs: the id of the signing key.
        key_id: String = String::new(),
        /// APNs: the signing key, a .p8 file.
        key_file: PathBuf = PathBuf::new(),
        /// FCM: the service account, a JSON file.
        service_account: PathBuf = PathBuf::new(),
        /// "host:port" of another cloud than the platform's own: for a test lab.
        endpoint: String = String::new(),
    }
}

section! {
    /// What we tell the operator.
    Observe {
        /// Log filter, as "info" or "info,reveille=debug"; the environment variable `RUST_LOG` goes first.
        log: String = "info".to_owned(),
        /// Traces, delivered messages and device history older than this are removed.
        retention: Span = Span::seconds(30 * 86_400),
    }
}

section! {
    /// Everything has a limit.
    Limits {
        /// Devices a user; for one more the one that is out of reach for longest is forgotten, or it is refused.
        devices_per_user: usize = 10,
        /// Messages that wait for one device; one more is refused if no other device can take it.
        messages_per_device: usize = 1000,
        /// Contacts that a user may list; one more is refused.
        contacts_per_user: usize = 1000,
        /// Rosters that a shard keeps in memory; for one more the one that was used longest ago is read again when it is needed.
        rosters: usize = 10_000,
        /// SIP message, bytes; a longer one is answered 513.
        message_bytes: usize = 65_535,
        /// Calls that wait to be answered; one more is answered 503.
        held_calls: usize = 20_000,
        /// Pushes on their way to the clouds; one more fails at once.
        pushes_in_flight: usize = 10_000,
        /// Accepted SIP connections; one more is closed at once.
        connections: usize = 100_000,
        /// Accepted SIP connections from one IP address; one more is closed at once.
        connections_per_peer: usize = 2_000,
    }
}

macro_rules! config {
    ($( $section:ident: $type:ident, )+) => {
        /// The whole configuration.
        #[derive(Clone, Debug, Default, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Config { $( #[doc = concat!("The section `", stringify!($section), "`.")] pub $section: $type, )+ }

        /// Every section: its name, what it is for, its keys.
        pub const SECTIONS: &[(&str, &str, &[Key])] = &[$( (stringify!($section), $type::DOC, $type::KEYS) ),+];
    };
}

config! {
    server: Server,
    listen: Listen,
    tls: Tls,
    store: Store,
    call: Call,
    push: Push,
    observe: Observe,
    limits: Limits,
}

impl Listen {
    /// Whether XMPP is served.
    pub fn serves_xmpp(&self) -> bool {
        !self.xmpp_tcp.0.is_empty() || !self.xmpp_tls.0.is_empty()
    }

    /// Whether anything needs our certificate.
    pub fn needs_tls(&self) -> bool {
        self.serves_xmpp() || !self.sip_tls.0.is_empty()
    }
}

impl Config {
    /// The database, with its default filled in.
    pub fn store_url(&self) -> String {
        if self.store.url.is_empty() {
            format!(
                "sqlite:{}",
                self.server.data_dir.join("reveille.db").display()
            )
        } else {
            self.store.url.clone()
        }
    }

    /// How many tasks users are split over.
    pub fn shards(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        match self.server.shards {
            0 => cores().min(MOST_SHARDS),
            shards => shards.min(MOST_SHARDS),
        }
    }

    /// The first domain: the realm of passwords.
    pub fn domain(&self) -> &str {
        self.server
            .domains
            .0
            .first()
            .map_or("localhost", String::as_str)
    }

    /// The host name that phones reach us by.
    pub fn node(&self) -> &str {
        if self.server.node.is_empty() {
            self.domain()
        } else {
            &self.server.node
        }
    }
}
