//! The configuration: every key with its meaning and its default, in one table a section. The example file, the check
//! for unknown keys and the environment overrides are made from these tables.

mod clients;
mod error;
mod example;
mod load;
mod sound;
mod values;

pub(crate) use clients::without_port;
pub use error::ConfigError;
pub use example::{example, example_with};
pub use load::load;
pub use sound::log_filter;
pub use values::{Addresses, LogFormat, Span, Words};

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
        /// What this process does: call (SIP and XMPP), push (the push service, for other servers), edge (lets clients outside in, and has nothing else).
        roles: Words = Words::of(&["call"]),
        /// Where the database, generated keys and the admin token live.
        data_dir: PathBuf = PathBuf::from("/var/lib/reveille"),
        /// Host name that phones reach this server by; empty: the first domain. It stands in pushes and in Record-Route.
        node: String = String::new(),
    }
}

section! {
    /// Where we listen. A list of addresses each; an empty list switches it off. `[::]` is every IPv6 address, and is left out where the system has none.
    Listen {
        /// SIP over UDP.
        sip_udp: Addresses = Addresses::of(&["0.0.0.0:5060", "[::]:5060"]),
        /// SIP over TCP.
        sip_tcp: Addresses = Addresses::of(&["0.0.0.0:5060", "[::]:5060"]),
        /// SIP over TLS; needs [tls].
        sip_tls: Addresses = Addresses::of(&[]),
        /// XMPP, with STARTTLS; needs [tls].
        xmpp_tcp: Addresses = Addresses::of(&[]),
        /// XMPP in TLS from the start; needs [tls].
        xmpp_tls: Addresses = Addresses::of(&[]),
        /// XMPP over WebSocket at /xmpp-websocket, plain: for a proxy that ends TLS, on this machine or of `im.websocket_proxies`.
        xmpp_ws: Addresses = Addresses::of(&[]),
        /// XMPP over WebSocket in TLS, at /xmpp-websocket; needs [tls].
        xmpp_wss: Addresses = Addresses::of(&[]),
        /// Components of XMPP (XEP-0114), in the clear: keep it on loopback, or in a network that you trust. Open where there is an [[im.component]].
        component: Addresses = Addresses::of(&["127.0.0.1:5347"]),
        /// Admin API and device API, plain HTTP: keep it on loopback, or behind a proxy that ends TLS.
        admin: Addresses = Addresses::of(&["127.0.0.1:8080"]),
        /// A Unix socket for the admin API alone, as "/run/reveille/admin.sock"; empty: none. Over it no token is needed: who may open the file is an operator. The command line uses it.
        admin_socket: PathBuf = PathBuf::new(),
        /// Who may open it: "0600" (its owner) or "0660" (its group, too).
        admin_socket_mode: String = "0600".to_owned(),
        /// Device API alone, plain HTTP: then listen.admin has the admin API alone. With neither this nor `device_tls` both are at listen.admin.
        device: Addresses = Addresses::of(&[]),
        /// The same in TLS; needs [tls]. At an edge: the device API for clients outside.
        device_tls: Addresses = Addresses::of(&[]),
        /// /healthz, /readyz and /metrics.
        health: Addresses = Addresses::of(&["127.0.0.1:9090"]),
        /// The push service, plain HTTP/1.1 and HTTP/2, with the role push: keep it on loopback, or behind a proxy that ends TLS.
        push: Addresses = Addresses::of(&["127.0.0.1:8088"]),
        /// The push service over TLS, with the role push; needs [tls].
        push_tls: Addresses = Addresses::of(&[]),
        /// Where the inside dials this edge (QUIC, UDP), with the role edge; one address.
        tunnel: Addresses = Addresses::of(&["0.0.0.0:4433"]),
        /// Simulated APNs, with --dev only.
        apns: Addresses = Addresses::of(&["127.0.0.1:2197"]),
        /// Simulated FCM, with --dev only.
        fcm: Addresses = Addresses::of(&["127.0.0.1:2198"]),
        /// Simulated Web Push, with --dev only.
        webpush: Addresses = Addresses::of(&["127.0.0.1:2199"]),
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
        /// How audio and video pass between parties of whom one came by an edge: "none" (as they can, by ICE and TURN), or "rtpengine" (through a relay, [media]).
        media: String = "none".to_owned(),
    }
}

section! {
    /// The media relays, with `call.media = "rtpengine"`.
    Media {
        /// Where daemons of rtpengine are asked (their `listen-ng`, UDP), as "127.0.0.1:2223". What goes there is in the clear: let it be this host, or a network that you trust.
        rtpengine: Addresses = Addresses::of(&[]),
        /// The name of rtpengine's interface that parties inside reach (`interface = NAME/ADDRESS`); empty: it has one for all.
        inside: String = String::new(),
        /// The same for parties outside.
        outside: String = String::new(),
        /// A daemon that has not answered by then is passed over, and the next one is asked.
        answer_within: Span = Span::seconds(1),
        /// What becomes of a call that needs a relay when none answers: "refuse" (its caller hears 503, unless somebody inside answers), or "pass" (it rings, and may be silent).
        missing: String = "refuse".to_owned(),
    }
}

section! {
    /// XMPP.
    Im {
        /// A client that has lost its connection may go on where it was for so long.
        hibernation: Span = Span::seconds(300),
        /// The same for one that can be woken by a push.
        hibernation_with_push: Span = Span::seconds(72 * 3600),
        /// While a client in front was used so lately, and after the user's other devices, those are not pushed to for messages.
        idle_after: Span = Span::seconds(300),
        /// Web pages that may connect over WebSocket, as `https://chat.example.org`, beside those of `server.domains`; "*": all.
        websocket_origins: Words = Words::of(&[]),
        /// Addresses or networks (10.1.0.0/16) of proxies that may connect to `listen.xmpp_ws` and are believed whom they connect for
        /// (X-Forwarded-For); those on this machine are known.
        websocket_proxies: Words = Words::of(&[]),
        /// Where clients find the WebSocket, for /.well-known/host-meta; empty: as `listen.xmpp_wss` has it, by `server.node`.
        websocket_url: String = String::new(),
        /// Servers beside this one.
        component: Vec<Component> = Vec::new(),
    }
}

section! {
    /// A component (XEP-0114): a server beside this one with a domain of its own, such as an app's push server (XEP-0357). It connects to `listen.component`.
    Component {
        /// Its domain, which is none of ours.
        domain: String = String::new(),
        /// A file with the secret that it shows.
        secret_file: PathBuf = PathBuf::new(),
        /// Instead of the file, the environment variable that has the secret.
        secret_variable: String = String::new(),
    }
}

section! {
    /// The apps that are pushed to, one [[push.app]] each.
    Push {
        /// A CA file, PEM, to trust instead of the public ones: for a test lab.
        ca: PathBuf = PathBuf::new(),
        /// An HTTP proxy through which the clouds are reached, as "proxy.example.net:3128" or "user:password@proxy.example.net:3128".
        proxy: String = String::new(),
        /// The push service of whoever publishes your app, as "push.example.net" or "push.example.net:8443", over TLS. Apps below that have no credentials of their own go through it.
        url: String = String::new(),
        /// Your tenant there.
        client_id: String = String::new(),
        /// A file with its secret.
        client_secret_file: PathBuf = PathBuf::new(),
        /// A file with the key by which credentials that `reveille push app` puts into the store are sealed: 64 hexadecimal digits (`openssl rand -hex 32`). Else the environment variable `REVEILLE_CREDENTIALS_KEY` has it.
        credentials_key_file: PathBuf = PathBuf::new(),
        /// The apps.
        app: Vec<App> = Vec::new(),
        /// Apps to which homeservers of Matrix push.
        matrix: Vec<Matrix> = Vec::new(),
        /// XMPP servers that push through us.
        component: Vec<PushComponent> = Vec::new(),
    }
}

section! {
    /// An XMPP server that pushes through us, with the role push: we dial it as a component (XEP-0114), the push service (XEP-0357) of its users' apps.
    PushComponent {
        /// Our domain there, as "push.example.org".
        domain: String = String::new(),
        /// Host and port of its components, as "127.0.0.1:5347". What goes there is in the clear: let it be this host, or a network that you trust.
        server: String = String::new(),
        /// A file with the secret that it wants.
        secret_file: PathBuf = PathBuf::new(),
        /// Instead of the file, the environment variable that has the secret.
        secret_variable: String = String::new(),
    }
}

section! {
    /// An app to which homeservers of Matrix push through us, with the role push: at /_matrix/push/v1/notify of `listen.push` and `listen.push_tls`.
    Matrix {
        /// What the app calls itself when it registers a pusher, as "com.example.phone.ios".
        app_id: String = String::new(),
        /// The [[push.app]] that it is; empty: the one of the same name.
        app: String = String::new(),
        /// The tenant whose notifications these are; let it be none that a server has.
        tenant: String = String::new(),
        /// Addresses or networks (10.1.0.0/16) of the homeservers that may push; "*": any, which is for apps whose users are at servers that you do not know.
        homeservers: Words = Words::of(&[]),
        /// Keys of the pusher's `default_payload` that the app must see, as "cs": ids, and no texts.
        payload_keys: Words = Words::of(&[]),
    }
}

section! {
    /// An app profile: bundle or package id, its cloud, and our credentials there.
    App {
        /// Bundle id (Apple), package name (Google), or any name of yours (Web Push).
        app: String = String::new(),
        /// "apns", "fcm" or "webpush".
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
        /// APNs: instead of `key_id` and `key_file`, the app's certificate with its key: Apple's .p12, or PEM.
        certificate_file: PathBuf = PathBuf::new(),
        /// APNs: the file with the password of that .p12.
        certificate_password_file: PathBuf = PathBuf::new(),
        /// FCM: the service account, a JSON file.
        service_account: PathBuf = PathBuf::new(),
        /// FCM through `push.url`: the Firebase project, which stands in the service account otherwise.
        project: String = String::new(),
        /// Web Push: the key that clients subscribe with (VAPID), PEM; `reveille check` prints its public half.
        vapid_key_file: PathBuf = PathBuf::new(),
        /// Web Push: whom a push service may ask about us, as "mailto:push@example.net".
        vapid_contact: String = String::new(),
        /// Web Push: whose push services may be called, as "push.example.net", "push.example.net:8443" or "*.example.net". Clients choose theirs, so nothing else is.
        hosts: Words = Words::of(&push::webpush::KNOWN_HOSTS),
        /// "host:port" of another cloud than the platform's own: for a test lab.
        endpoint: String = String::new(),
    }
}

section! {
    /// The edge: clients outside reach us by a process in the DMZ, which the inside dials.
    Edge {
        /// Inside: the edges that are dialled, as "edge.example.org:4433#KEY"; `reveille edge pair` at the edge prints it.
        edges: Words = Words::of(&[]),
        /// At an edge: the keys of the insides that may dial it; `reveille edge pair` inside prints it.
        insides: Words = Words::of(&[]),
        /// At an edge: whether clients may sign in by password. What they try goes on to the inside, a few at a time from each source; nothing else does before they have signed in.
        passwords: bool = true,
        /// At an edge that is told to stop: so long at most its clients are sent away to another edge, one after the other, and nobody in a call before that is over. A second signal ends this at once.
        drain: Span = Span::seconds(60),
    }
}

section! {
    /// Tokens that clients sign in with, in place of a password (OAuth).
    Oauth {
        /// Where clients get them: by the name by which they find this server, as `https://sip.example.org`; the same inside and at its edges. Phones are told of it (RFC 8898); empty: nobody is.
        issuer: String = String::new(),
        /// How long one to sign in with is good.
        access: Span = Span::seconds(3600),
        /// How long one to get new ones by is good: a client that does not ask for so long wants the password again.
        refresh: Span = Span::seconds(60 * 24 * 3600),
        /// The apps whose users sign in by a page of ours, at /oauth/authorize; the same inside and at its edges.
        client: Vec<Client> = Vec::new(),
    }
}

section! {
    /// An app whose users sign in by our page in their browser, and not by a password that the app has (authorization code with PKCE). It has no secret.
    Client {
        /// What it calls itself (`client_id`), as "org.example.phone".
        id: String = String::new(),
        /// What people call it; empty: the id.
        name: String = String::new(),
        /// Where a browser may take the answer to, to the letter, as `org.example.phone:/signed-in` or `https://app.example.org/signed-in`; `http://127.0.0.1/signed-in` with any port.
        redirect_uris: Words = Words::of(&[]),
    }
}

section! {
    /// A TURN server, by which clients with ICE find a way for audio and video themselves; for users, by the device API and by XMPP (XEP-0215).
    Turn {
        /// Where it is, as "turn:turn.example.org:3478?transport=udp", "turns:turn.example.org:5349" or "stun:turn.example.org".
        urls: Words = Words::of(&[]),
        /// A file with the secret that it shares with us (`static-auth-secret` of coturn).
        secret_file: PathBuf = PathBuf::new(),
        /// How long what a client is given lets it in. A call goes on for longer than that only if its client asks again.
        ttl: Span = Span::seconds(86_400),
    }
}

section! {
    /// What we tell the operator.
    Observe {
        /// Log filter, as "info", "info,stories=debug" (each step of each call and message), "info,access=debug" (each request to the push service) or "info,reveille=debug"; the environment variable `RUST_LOG` goes first.
        log: String = "info".to_owned(),
        /// How each line is written: "text", "json", "journald" (the priority in front, no time), or "auto": "journald" where systemd's journal reads it, else "text", with colours at a terminal.
        log_format: LogFormat = LogFormat::Auto,
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
        /// Stanzas for others that the XMPP clients of one user may begin a minute; one more is answered resource-constraint. Answers do not count.
        stanzas_per_user_minute: u32 = 6_000,
        /// Stanzas that a component may begin a minute; one more is answered resource-constraint. Answers do not count.
        component_stanzas_minute: u32 = 6_000,
        /// SIP message, bytes; a longer one is answered 513.
        message_bytes: usize = 65_535,
        /// Calls that wait to be answered; one more is answered 503.
        held_calls: usize = 20_000,
        /// Requests of one user, or of one source where no user is known, that are not over, in each shard (an INVITE is over 32 s after it was answered); one more is answered 503. Servers of call.trusted may have any number.
        requests_per_source: u32 = 1000,
        /// Calls of one caller that wait to be answered; one more is answered 503. Servers of call.trusted have limits of their own.
        calls_per_caller: u32 = 20,
        /// Calls that one caller may begin a minute; one more is answered 503.
        calls_per_caller_minute: u32 = 60,
        /// Calls of one server of call.trusted (a PBX, a trunk) that wait to be answered, in each shard; one more is answered 503.
        calls_per_trusted: u32 = 2_000,
        /// Calls that one server of call.trusted may begin a minute, in each shard; one more is answered 503.
        calls_per_trusted_minute: u32 = 12_000,
        /// Calls to one user that wait to be answered, whoever calls; one more is answered 480.
        calls_per_callee: u32 = 20,
        /// Calls that may be begun to one user a minute, whoever calls; one more is answered 480.
        calls_per_callee_minute: u32 = 100,
        /// Messages of strangers that are looked at in a second, for each processor; others wait in turn, and a datagram is dropped when its sender has a share that waits.
        strangers_per_second: u32 = 5_000,
        /// TLS handshakes of strangers for which keys are made in a second, for each processor; others wait in turn.
        handshakes_per_second: u32 = 250,
        /// Pushes on their way to the clouds; one more fails at once.
        pushes_in_flight: usize = 10_000,
        /// Requests of one homeserver, or of one source that says so, to the push gateway of Matrix a minute; one more is answered 429.
        gateway_requests_minute: u32 = 6_000,
        /// Pushkeys a minute that such a source names and that are none any more; then it is answered 429 for a while. Clouds shut out who pushes to many of those.
        gateway_dead_minute: u32 = 120,
        /// Accepted SIP and XMPP connections; one more is closed at once. A quarter of them is for sources from which somebody has signed in.
        connections: usize = 100_000,
        /// The same from one source, an IPv4 address or the /64 of an IPv6 address.
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
    im: Im,
    push: Push,
    edge: Edge,
    oauth: Oauth,
    media: Media,
    turn: Turn,
    observe: Observe,
    limits: Limits,
}

impl Listen {
    /// Whether XMPP is served.
    pub fn serves_xmpp(&self) -> bool {
        !self.xmpp_ws.0.is_empty() || self.xmpp_needs_tls()
    }

    fn xmpp_needs_tls(&self) -> bool {
        let all = [&self.xmpp_tcp, &self.xmpp_tls, &self.xmpp_wss];
        all.into_iter().any(|it| !it.0.is_empty())
    }

    /// Whether anything needs our certificate.
    pub fn needs_tls(&self) -> bool {
        let others = [&self.sip_tls, &self.device_tls, &self.push_tls];
        self.xmpp_needs_tls() || others.into_iter().any(|it| !it.0.is_empty())
    }
}

impl Oauth {
    /// Where clients get tokens, if they are to be told.
    pub fn issuer(&self) -> Option<&str> {
        Some(&*self.issuer).filter(|it| !it.is_empty())
    }
}

impl Config {
    /// Whether this process has a role.
    pub fn has_role(&self, role: &str) -> bool {
        self.server.roles.0.iter().any(|it| it == role)
    }

    /// Whether media of parties outside go by a relay.
    pub fn relays_media(&self) -> bool {
        self.call.media == "rtpengine"
    }

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
