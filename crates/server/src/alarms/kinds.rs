//! Every alarm there is: its name, how bad it is, what it means and what to do. The catalogue in the docs is made of this.

use serde::{Deserialize, Serialize};
use store::StoreError;

/// How bad it is.
#[derive(Copy, Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Something is to be done within weeks.
    Notice,
    /// Something is to be done within days, or somebody is kept from something.
    Warning,
    /// Calls or messages do not arrive, or soon will not.
    Critical,
}

impl Severity {
    /// The name in the API, in logs and docs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

macro_rules! alarms {
    ($($(#[doc = $meaning:literal])+ $kind:ident = $name:literal, $severity:ident, $remedy:literal;)+) => {
        /// A condition that an operator should know of.
        #[derive(Copy, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum Alarm { $($(#[doc = $meaning])+ $kind),+ }

        impl Alarm {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// The name in metrics and logs.
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name),+ }
            }

            /// How bad it is, if nothing else is said of one that stands.
            pub fn severity(self) -> Severity {
                match self { $(Self::$kind => Severity::$severity),+ }
            }

            /// What it means.
            pub fn meaning(self) -> String {
                let lines: &[&str] = match self { $(Self::$kind => &[$($meaning),+]),+ };
                lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
            }

            /// What the operator can do, if nothing else is said of one that stands.
            pub fn remedy(self) -> &'static str {
                match self { $(Self::$kind => $remedy),+ }
            }
        }
    };
}

alarms! {
    /// A push cloud cannot be reached: it does not answer, gives no access token, or fails.
    PushUnreachable = "push_unreachable", Critical,
        "check the network to the push cloud, and its status page; of an app's own server, that it is connected";
    /// A push cloud refuses our credentials.
    PushCredentials = "push_credentials_refused", Critical,
        "check the key or service account of this app in [[push.app]] and `reveille reload`, or put another into the store (`reveille push app rotate`); it may have been revoked, or the clock of this machine may be wrong (`timedatectl`)";
    /// A certificate by which a push cloud knows us, or we know it, expires within 30 days; a warning within 7, critical within one.
    PushCredentialsExpire = "push_credentials_expire", Notice,
        "make a new certificate for the app in Apple's developer account, put it in the place of certificate_file, and `reveille reload`; or `reveille push app rotate`, if the store has it";
    /// One token after another of an app is declared dead: our settings are wrong rather than all its phones.
    PushSettings = "push_settings_suspect", Critical,
        "check environment, bundle or project and credentials of this app in [[push.app]]; when they are right, each phone gets one new chance with its next registration";
    /// The queue of a tenant of the push service is nearly full: what comes when it is full is refused.
    PushQueueNearlyFull = "push_queue_nearly_full", Warning,
        "see whether a cloud of its apps cannot be reached (`reveille alarms`, reveille_push_left_alone); else it sends more than the clouds take: speak to whoever runs that server";
    /// A tenant of the push service was refused pushes within the last minute, since it hands in more than it may, or more waits than may.
    PushTenantRefused = "push_tenant_refused", Notice,
        "speak to whoever runs that server; give it more by `per_minute` of PUT /api/v1/tenants/{id} if it needs it (docs/operations/push-service.md)";
    /// Devices cannot be woken because their tokens are dead.
    TokensDead = "tokens_dead", Notice,
        "`reveille device list` names them; each heals when its app registers with a new token";
    /// An XMPP server whose component the push service is ([[push.component]]) cannot be reached, or does not let it in: what that server
    /// publishes is not pushed.
    ComponentRefused = "push_component_refused", Warning,
        "the detail says what it answers: see that it runs, that its component port is the one in `server`, and that `domain` and the secret are those of its configuration";
    /// A tenant's webhook has taken nothing for ten minutes. Nothing is lost that `GET /v1/feedback` still has.
    WebhookFails = "webhook_fails", Warning,
        "the detail says what it answers: tell the tenant, whose address it is, or set another with `reveille tenant webhook`";
    /// The store cannot be written: nothing new is taken. It stands until a write of ordinary size has succeeded.
    StoreFailed = "store_failed", Critical,
        "the detail says what the database said: check the disk (`dmesg`), and the permissions of server.data_dir";
    /// The file that keeps a second server off the same data was removed while this one runs: another that is started finds nobody, and each
    /// loses what the other promises.
    LockLost = "lock_lost", Critical,
        "end any other server with this server.data_dir (`pgrep -a reveille`), and start this one again, which makes the file anew; never remove it: no crash leaves it locked";
    /// Rows of the store cannot be read: those that were found when the server started were set aside.
    StoreDamaged = "store_damaged", Critical,
        "check the disk; `reveille store check` names the rows, or says that more is damaged: put a backup in the store's place (`reveille restore FILE`), or go on without those rows (docs/operations/backup.md)";
    /// The store has more to do than it can take, so requests are answered 503.
    StoreOverloaded = "store_overloaded", Warning,
        "the disk is too slow for what is asked: see reveille_store_commit_seconds, and what else uses the disk of server.data_dir";
    /// Our certificate expires within 30 days, or has expired; a warning within 7 days, critical within one.
    CertificateExpires = "certificate_expires", Notice,
        "renew it in the place of tls.certificate and tls.key: it is taken by itself within 30 s";
    /// Inside: nothing answers where an edge is dialled, so clients outside are not let in by it. A warning while another edge is there.
    EdgeUnreachable = "edge_unreachable", Critical,
        "see that the edge runs, that its name leads to it from inside, and that its listen.tunnel (UDP) is let through";
    /// Inside: an edge answers and there is no tunnel; at an edge: an inside that may dial it is not there. Clients outside are not let in by it;
    /// a warning while another tunnel is up.
    TunnelDown = "tunnel_down", Critical,
        "the detail says what the other side said: each needs the other's line of `reveille edge pair`, and the same release; at an edge see that the inside runs, and has this edge in edge.edges";
    /// The clocks of an edge and of an inside differ by five seconds or more: one of them is wrong. An edge that is ahead refuses tokens that
    /// are good still, one that is behind lets old ones through. Critical from five minutes on, which is what is borne.
    ClocksDiffer = "clocks_differ", Warning,
        "`timedatectl` at each end says which clock is not synchronised: set that right there (chrony, systemd-timesyncd), and the alarm ends by itself";
    /// A daemon of rtpengine does not answer: calls with clients outside go by another one, or, when there is none (then it is critical),
    /// as `media.missing` says.
    MediaRelayDown = "media_relay_down", Warning,
        "see that it runs (`systemctl status rtpengine-daemon`), and that its listen-ng is this address and reached from here; `reveille doctor` asks it";
    /// What was put in the place of our certificate cannot be used: the one before is shown until it expires.
    CertificateRefused = "certificate_refused", Warning,
        "put a chain and its key there that fit together and are good now (`reveille check` says what is wrong): they are taken by themselves within 30 s";
    /// Very many requests come from nobody in particular.
    StrangersFlood = "strangers_flood", Warning,
        "they are challenged and cost no memory; unless all your phones register at once, keep the sources out before they reach this host (docs/operations/strangers.md)";
    /// The kernel drops datagrams, of SIP or at listen.tunnel: more come at once than are read, and their buffer is full.
    DatagramsLost = "datagrams_lost", Warning,
        "they are sent again by whoever sent them, and calls take longer; where strangers_flood stands as well it is that flood, else this host has too little processor time for what comes (`top`), or comes to it in bursts";
    /// Something is refused since a limit of the whole server is reached.
    LimitsReached = "limits_reached", Warning,
        "raise the limit in [limits] if your users need more; reveille_refused_total says which reason grows";
    /// Passwords are guessed.
    Guessing = "guessing", Warning,
        "the log names the sources; `reveille ban add ADDRESS` keeps one out, fail2ban does so by itself (docs/operations/strangers.md)";
    /// One user calls, is called, or asks more than anybody may.
    UserFloods = "user_floods", Warning,
        "the log names who it is; give a machine that calls much an address in call.trusted, or change limits.calls_*, limits.requests_per_source and limits.stanzas_per_user_minute";
    /// Connections are opened, and nothing comes over them.
    SilentConnections = "silent_connections", Warning,
        "each is closed after ten seconds; `ss -tn` shows where they come from, and `reveille ban add ADDRESS` keeps a source out";
}

/// Why a store cannot be written, and what helps against that.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct StoreCause {
    /// The name.
    pub name: &'static str,
    /// What the operator can do.
    pub remedy: &'static str,
}

/// All that have a remedy of their own.
pub const STORE_CAUSES: [StoreCause; 4] = [
    StoreCause {
        name: "full",
        remedy: "free space on the disk of server.data_dir (`df -h`); it goes on by itself",
    },
    StoreCause {
        name: "busy",
        remedy: "another process keeps the database locked: `fuser` with the database's path names it, end it; it goes on by itself",
    },
    StoreCause {
        name: "read-only",
        remedy: "the file system or the file may not be written: `dmesg` and `mount` say why; mount it for writing, and see that the file belongs to the server's user",
    },
    StoreCause {
        name: "corrupt",
        remedy: "the disk or another program damaged it: stop the server, `reveille store check` says where, `reveille restore FILE` puts a backup in its place (docs/operations/backup.md)",
    },
];

impl StoreCause {
    /// Of what the store said; `None` where its own words are all there is.
    pub fn of(error: &StoreError) -> Option<Self> {
        let [full, busy, read_only, corrupt] = STORE_CAUSES;
        match error {
            StoreError::DiskFull => Some(full),
            StoreError::Busy => Some(busy),
            StoreError::ReadOnly => Some(read_only),
            StoreError::Damaged(_) => Some(corrupt),
            _ => None,
        }
    }
}
