//! Every metric there is: its name, its labels, what it means and when to look at it. The registry and the catalogue in the
//! docs are made of this.

use prometheus_client::registry::Unit;

/// How a metric behaves.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Grows only.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by how long something took.
    Histogram,
}

impl Kind {
    /// As Prometheus calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric.
#[derive(Debug)]
pub struct Row {
    /// Its whole name; a histogram's without `_bucket`, `_sum` and `_count`.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// What it is counted in, if not in things: a part of the name.
    pub unit: Option<&'static str>,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it means.
    pub meaning: &'static str,
    /// What to do about it, or what to look at; nothing, if there is nothing to be done.
    pub act: &'static str,
}

impl Row {
    /// As the registry wants it: the unit and what the kind puts behind it are its own affair.
    pub(super) fn registered(&self) -> (&'static str, Option<Unit>) {
        let name = self.name.strip_suffix("_total").unwrap_or(self.name);
        let Some(unit) = self.unit else {
            return (name, None);
        };
        let bare = name
            .strip_suffix(unit)
            .and_then(|it| it.strip_suffix('_'))
            .unwrap_or(name);
        (bare, Some(Unit::Other(unit.to_owned())))
    }
}

macro_rules! rows {
    ($($id:ident = $name:literal, $kind:ident, $unit:expr, [$($label:literal),*], $meaning:literal, $act:literal;)+) => {
        $(pub(super) const $id: &Row = &Row {
            name: $name,
            kind: Kind::$kind,
            unit: $unit,
            labels: &[$($label),*],
            meaning: $meaning,
            act: $act,
        };)+

        /// All of them.
        pub const METRICS: &[&Row] = &[$($id),+];
    };
}

const SECONDS: Option<&str> = Some("seconds");
const BYTES: Option<&str> = Some("bytes");
const DAYS: Option<&str> = Some("days");

rows! {
    WAKE = "reveille_wake_total", Counter, None, ["outcome"],
        "calls that ended, by how",
        "of what did not end as `answered`, `reveille trace` tells the stories";
    WAKE_SECONDS = "reveille_wake_seconds", Histogram, SECONDS, ["stage"],
        "how long the stages of a wake took: `invite_to_push`, `push_to_register`, `register_to_invite`, `invite_to_ring`",
        "`invite_to_push` is ours; a long `push_to_register` is the cloud's or the phone's";
    PUSH_REQUESTS = "reveille_push_requests_total", Counter, None, ["provider", "channel", "outcome"],
        "pushes by what became of them",
        "`unavailable` and `unauthorized` raise alarms; `refused` is named in the story";
    PUSH_TOKENS_DEAD = "reveille_push_tokens_dead_total", Counter, None, [],
        "tokens that a provider declared dead",
        "many at once: see the alarm `push_settings_suspect`";
    PUSH_REACHABLE = "reveille_push_reachable", Gauge, None, ["provider", "environment", "app"],
        "1 while the cloud of an app answers (a PING each 30 s), 0 while it does not",
        "see the alarm `push_unreachable`";
    PUSHES_OWED = "reveille_pushes_owed", Gauge, None, [],
        "pushes that are owed and not settled",
        "grows while a cloud cannot be reached; else look at the outcomes";
    PUSH_QUEUE = "reveille_push_queue", Gauge, None, [],
        "pushes in the queue of the push service",
        "grows while a cloud cannot be reached, or a tenant sends more than its apps' clouds take";
    PUSH_QUEUE_AGE = "reveille_push_queue_age_seconds", Gauge, SECONDS, [],
        "how long the oldest push of that queue waits",
        "more than minutes: a cloud does not answer, or a tenant's quota or an app's room is used up; see `reveille_push_left_alone` and the alarms";
    PUSH_ANSWERS = "reveille_push_service_answers_total", Counter, None, ["answer"],
        "what tenants of the push service were told: an outcome, `queued`, `replaced` or `expired`; or why nothing was done: `not_let` (no such app of theirs), `busy` (more than they may have), `not_saved`",
        "`busy`: see the alarm `push_tenant_refused`; `not_saved`: see `store_failed`";
    PUSH_ENDS = "reveille_push_queue_ends_total", Counter, None, ["end"],
        "how pushes of the queue ended: an outcome, `replaced` by a newer one, or `expired`",
        "`expired` was dropped: its time was over before its cloud took it";
    PUSH_LEFT_ALONE = "reveille_push_left_alone", Gauge, None, ["app"],
        "1 while an app is left alone by the push service, since its cloud fails or refuses its credentials",
        "see the alarms `push_unreachable` and `push_credentials_refused`";
    PUSHES_UNDER_WAY = "reveille_pushes_under_way", Gauge, None, [],
        "pushes of the push service that wait for their cloud's answer",
        "";
    REGISTRATIONS = "reveille_registrations", Gauge, None, [],
        "devices with a binding",
        "falls at once if phones cannot reach us";
    CALLS = "reveille_calls", Gauge, None, [],
        "calls that wait to be answered",
        "at `limits.held_calls` the next ones are refused";
    SIP_REQUESTS = "reveille_sip_requests_total", Counter, None, ["method", "transport"],
        "SIP requests taken in",
        "";
    SIP_MALFORMED = "reveille_sip_malformed_total", Counter, None, [],
        "SIP messages that could not be read",
        "with `observe.log` at `debug` the log says from where and why";
    MESSAGES = "reveille_messages_total", Counter, None, ["outcome"],
        "messages by what became of them: `stored` and then, for each device, `delivered`, `refused` or `unacknowledged`; or `not_stored`, which their writer was told",
        "`not_stored`: the store fails, or a user's queue is full (`limits.messages_per_device`)";
    MESSAGES_QUEUED = "reveille_messages_queued", Gauge, None, [],
        "messages that wait for devices",
        "";
    CONNECTIONS = "reveille_connections", Gauge, None, ["protocol", "transport"],
        "open connections",
        "what they come up against is in the log at the start (`open files`), and `reveille_refused_total{reason=\"connections\"}`";
    AUTH_FAILURES = "reveille_auth_failures_total", Counter, None, ["door"],
        "wrong users, passwords, tokens and secrets, by where they were tried",
        "see the alarm `guessing`; the log names the sources";
    BANS = "reveille_bans", Gauge, None, ["by"],
        "sources that are kept out, by who banned them",
        "`reveille ban list`";
    REFUSED = "reveille_refused_total", Counter, None, ["reason"],
        "what was refused to protect the server or a user, by reason; over SIP `no_room`, `calls`, `caller`, `requests`, `waiting` and `overloaded` are answered 503",
        "see the alarms `limits_reached`, `strangers_flood`, `guessing`, `user_floods`, `silent_connections` and `store_overloaded`";
    STORE_COMMIT_SECONDS = "reveille_store_commit_seconds", Histogram, SECONDS, [],
        "how long transactions took, from their first change to the disk's word",
        "tens of milliseconds: the disk is slow, and everything that is kept waits for it";
    STORE_BYTES = "reveille_store_bytes", Gauge, BYTES, [],
        "how large the database and its log are on the disk",
        "`observe.retention` says how long stories and messages are kept";
    STORE_WAITING = "reveille_store_waiting", Gauge, None, [],
        "steps that wait to be saved; at 8192 the next is refused",
        "see `reveille_store_commit_seconds`";
    STORE_FAILURES = "reveille_store_failures_total", Counter, None, [],
        "how often something could not be saved",
        "see the alarm `store_failed`";
    STORE_NOTES_DROPPED = "reveille_store_notes_dropped_total", Counter, None, [],
        "steps of stories and entries of history that were not written, since too many waited or the store failed",
        "stories have gaps";
    EDGE_CONNECTIONS = "reveille_edge_connections", Gauge, None, ["edge"],
        "clients over each tunnel: inside by where the edge is dialled, at an edge by the inside's key",
        "falls to 0 with its tunnel; the clients come back by another edge";
    EDGE_REFUSED = "reveille_edge_refused_total", Counter, None, ["reason"],
        "clients that an edge sent away: `not_signed_in`, `bad_token` (forged, too old, or refused inside before), `another_user` (spoke for another user than its token is of), `too_long`, `too_many_tries`, `crowded` (too many of one source were signing in or showed bad tokens, or too many by one user), `no_inside`; inside, `not_taken` (no room, banned, or at an address of call.trusted)",
        "`no_inside`: see the alarms `tunnel_down` and `edge_unreachable`; `not_taken` of all clients: the edge sees a proxy's address in place of theirs; the others are strangers";
    MEDIA_RELAYED = "reveille_media_relayed_total", Counter, None, [],
        "offers and answers of calls with somebody outside that a media relay took",
        "0 with clients outside: see whether call.media is \"rtpengine\"";
    MEDIA_MISSING = "reveille_media_missing_total", Counter, None, ["reason"],
        "the same that none took: `down` (no daemon of rtpengine answers any more), `unanswered` (the last one did not), `refused` (the log says why)",
        "see the alarm `media_relay_down`; the story of the call has a step `media_not_relayed`";
    MEDIA_RELAY_UP = "reveille_media_relay_up", Gauge, None, ["relay"],
        "1 while a daemon of rtpengine answers",
        "see the alarm `media_relay_down`";
    EDGE_TUNNEL_UP = "reveille_edge_tunnel_up", Gauge, None, ["edge"],
        "1 while a tunnel is up",
        "see the alarms `edge_unreachable` and `tunnel_down`";
    EDGE_TUNNEL_RTT_SECONDS = "reveille_edge_tunnel_rtt_seconds", Gauge, SECONDS, ["edge"],
        "how long a packet takes through a tunnel and back",
        "each message of a client outside takes half of it longer";
    CERTIFICATE_DAYS = "reveille_certificate_days", Gauge, DAYS, ["certificate"],
        "days until a certificate expires, below nought since it has: `tls`, `push.ca`, or the app whose it is",
        "see the alarms `certificate_expires` and `push_credentials_expire`";
    TOKEN_KEY_AGE_DAYS = "reveille_token_key_age_days", Gauge, DAYS, [],
        "days since the key was made by which access and refresh tokens are signed",
        "`reveille tokens rotate` makes another one, and nobody has to sign in anew";
    ALARM_ACTIVE = "reveille_alarm_active", Gauge, None, ["name"],
        "1 while an alarm stands",
        "`reveille alarms` says what happened and what to do";
    PROCESS_CPU_SECONDS = "process_cpu_seconds_total", Counter, SECONDS, [],
        "processor time that the process has used",
        "";
    PROCESS_RESIDENT_MEMORY = "process_resident_memory_bytes", Gauge, BYTES, [],
        "memory that the process has in RAM",
        "";
    PROCESS_OPEN_FDS = "process_open_fds", Gauge, None, [],
        "files and connections that the process has open",
        "";
    PROCESS_MAX_FDS = "process_max_fds", Gauge, None, [],
        "how many it may have open",
        "raise `LimitNOFILE=` in the unit if `process_open_fds` comes near it";
    PROCESS_START_TIME = "process_start_time_seconds", Gauge, SECONDS, [],
        "when the process started, since the Unix epoch",
        "";
}
