//! Every event of the log at the levels that are written unless somebody wants more: error, warn and info. A test holds the
//! table against the sources.

/// An event.
#[derive(Debug)]
pub struct Event {
    /// `error`, `warn` or `info`.
    pub level: &'static str,
    /// What it says, as it stands in the source: what is in braces is filled in.
    pub says: &'static str,
    /// What to do; nothing, if there is nothing to be done.
    pub act: &'static str,
}

const fn error(says: &'static str, act: &'static str) -> Event {
    Event {
        level: "error",
        says,
        act,
    }
}

const fn warn(says: &'static str, act: &'static str) -> Event {
    Event {
        level: "warn",
        says,
        act,
    }
}

const fn info(says: &'static str) -> Event {
    Event {
        level: "info",
        says,
        act: "",
    }
}

/// All of them, the worst first.
pub const EVENTS: &[Event] = &[
    error(
        "a call has no fallback",
        "do what `remedy` says: call.fallback leads nowhere",
    ),
    error(
        "a card could not be read",
        "see the alarms `store_failed` and `store_damaged`",
    ),
    error(
        "a damaged row of the store is set aside",
        "see the alarm `store_damaged`",
    ),
    error(
        "a queue could not be read: it waits for the device's next registration",
        "see the alarms `store_failed` and `store_damaged`",
    ),
    error(
        "a registration in the store cannot be read: its device must register again",
        "",
    ),
    error(
        "a request of ours to ourselves cannot be read: please report this",
        "please report this",
    ),
    error(
        "a roster could not be read: what it was wanted for is not done",
        "see the alarms `store_failed` and `store_damaged`",
    ),
    error(
        "a session in the store cannot be read: its client signs in anew",
        "`reveille store check` says what else is damaged",
    ),
    error(
        "a shard ended badly",
        "please report this, with the log above it",
    ),
    error(
        "accounts could not be read again",
        "what another process changed is not taken over yet; it is tried again",
    ),
    error(
        "alarm",
        "do what `remedy` says; the level follows the severity",
    ),
    error(
        "an archive could not be read",
        "see the alarms `store_failed` and `store_damaged`; as a warning: the store has more to do than it can take",
    ),
    error(
        "bans are not kept: they end with the server",
        "see that server.data_dir can be written",
    ),
    error(
        "grants that are too old could not be removed",
        "see the alarm `store_failed`; it is tried again within the hour",
    ),
    error(
        "its host cannot be found",
        "do what `remedy` says: the host of call.fallback has no address",
    ),
    error(
        "reload in part: {error:#}",
        "mend what is named, and reload again: all else counts already",
    ),
    error(
        "reload: nothing has changed: {error:#}",
        "mend the file; `reveille check` reads it as well",
    ),
    error(
        "the changed certificate cannot be used: the old one stays",
        "`error` says why; mend the files, they are read again every 30 s",
    ),
    error(
        "the keys of tokens cannot be looked at: they stay as they are",
        "`error` names token-keys.json of server.data_dir: see that it is whole, and that the server may read and write it",
    ),
    error(
        "the keys of tokens have changed, but that may not outlive a crash",
        "`error` says what the disk did not do: see that server.data_dir is sound; the keys count, and `reveille tokens list` says which",
    ),
    error(
        "the last bans are not kept",
        "see that server.data_dir can be written",
    ),
    error(
        "the push service beside us ended badly",
        "`error` says how; only `reveille demo --split` has one",
    ),
    error(
        "the push service ended badly",
        "please report this, with the log above it",
    ),
    error(
        "the push service's queue could not be saved",
        "see the alarm `store_failed`",
    ),
    error(
        "the store was not closed well",
        "`reveille store check`, if the next start says anything",
    ),
    error(
        "the system gives no random numbers",
        "the system is broken: see its log. The server stops",
    ),
    error(
        "the system has no randomness for the id of a stream",
        "the system is broken: see its log",
    ),
    error("transactions fail", "see the alarm `store_failed`"),
    error(
        "what a client signs in with could not be read",
        "see the alarms `store_failed` and `store_damaged`",
    ),
    error(
        "what is too old could not be removed",
        "see the alarm `store_failed`",
    ),
    error(
        "what is unread could not be counted: all that waits is taken for it",
        "see the alarms `store_failed` and `store_damaged`",
    ),
    warn(
        "a component sends more than it may",
        "see limits.component_stanzas_minute",
    ),
    warn(
        "a connection could not be accepted",
        "as a rule there are no files left: raise LimitNOFILE= in the unit",
    ),
    warn(
        "a form to sign in was sent by another page than ours",
        "once a minute at most: if people cannot sign in by the page, they reach it by another name than `expected`, which is oauth.issuer (docs/operations/edge.md)",
    ),
    warn(
        "a request inside a dialog was not forwarded",
        "the connection of one side is gone",
    ),
    warn(
        "a session is not kept: a restart would end it",
        "see the alarm `store_failed`",
    ),
    warn(
        "a tunnel is down: its clients connect again",
        "see the alarms `edge_unreachable` and `tunnel_down`",
    ),
    warn(
        "a user has as many unanswered requests as may be: one more is dropped",
        "they answer or refuse the requests that they have",
    ),
    warn(
        "a user sends more than they may",
        "one of their clients floods others: see limits.stanzas_per_user_minute",
    ),
    warn(
        "a watcher was not told",
        "presence shown there is out of date until the next change",
    ),
    warn(
        "alarm",
        "do what `remedy` says; the level follows the severity",
    ),
    warn(
        "an archive could not be read",
        "see the alarms `store_failed` and `store_damaged`; as a warning: the store has more to do than it can take",
    ),
    warn(
        "an XMPP server cannot be pushed for: it is dialled again",
        "`error` says why: [[push.component]] names the server, its domain there and the secret",
    ),
    warn(
        "as many subscriptions as may be: one more is refused",
        "the user's phones watch very many people, or one of them asks again and again",
    ),
    warn(
        "banned after too many wrong passwords",
        "`reveille ban lift ADDRESS` lets it in again",
    ),
    warn(
        "a call with somebody outside has no media relay",
        "see the alarm `media_relay_down`; `why` says what rtpengine did not like",
    ),
    warn(
        "calls are refused: there are too many",
        "see limits.calls_*; a machine that calls much belongs into call.trusted",
    ),
    warn(
        "calls with phones outside ring, and audio finds its way only by ICE and TURN: call.media is none",
        "run rtpengine and set call.media (docs/operations/media.md)",
    ),
    warn(
        "connecting refused: limit of outgoing connections reached",
        "raise the hard limit on open files (LimitNOFILE= in the unit)",
    ),
    warn(
        "edge.insides is empty: nobody can be reached from here; take the line that `reveille edge pair` prints inside",
        "docs/operations/edge.md",
    ),
    warn(
        "edge.drain is over: who is still there is cut off",
        "a call lasted longer than edge.drain; make that longer if calls must not be cut",
    ),
    warn(
        "phones come by an edge at a port that listen.sip_tls does not have",
        "pushes name that port: listen at it, or a phone that is woken inside finds no server (docs/operations/edge.md)",
    ),
    warn("finished a restore that was cut short", ""),
    warn(
        "rtpengine does not answer",
        "see the alarm `media_relay_down`",
    ),
    warn(
        "limits.connections is more than there are files: raise the hard limit (LimitNOFILE= in the unit, or ulimit -Hn)",
        "as it says",
    ),
    warn(
        "it goes on: refused in the last minute",
        "a line a minute while an alarm about refusals stands, with their reasons; see its remedy",
    ),
    warn(
        "limits.messages_per_device is reached on every device: a message is refused",
        "forget devices that nobody uses (`reveille device list`), or raise the limit",
    ),
    warn(
        "no [[push.app]] is configured: sleeping phones cannot be woken",
        "add one: docs/operations/clients.md",
    ),
    warn(
        "no tunnel to the edge: it is dialled again and again",
        "see the alarms `edge_unreachable` and `tunnel_down`",
    ),
    warn("not forwarded", "`error` says why a request went nowhere"),
    warn(
        "nothing can be sealed with a device's key: its push says nothing personal",
        "its app hands over a key that is none (RFC 8291)",
    ),
    warn(
        "push parameters of no configured app",
        "a phone wants pushes for an app that [[push.app]] does not name: add it, or correct its team, project or id",
    ),
    warn(
        "a code or a refresh token was used twice: somebody has a copy, and no token follows on it",
        "its user signs in again there; `reveille user sign-out` ends what else they have",
    ),
    warn("reload: {changed} needs a restart", "restart when it suits"),
    warn(
        "requests are refused: too many wait for their answer",
        "one user or source asks more than limits.requests_per_source",
    ),
    warn(
        "systemd cannot be told",
        "the unit is not Type=notify, or NOTIFY_SOCKET cannot be written",
    ),
    warn(
        "the addresses of this machine cannot be read",
        "phones without a connection of their own may not be told from us; see the permissions of the unit",
    ),
    warn(
        "the end of a call could not be shown",
        "the phone rings on until it gives up by itself; `why` says what failed",
    ),
    warn(
        "the fallback could not be called",
        "see that what call.fallback names is there",
    ),
    warn(
        "the limit on open files cannot be read: 1024 is assumed",
        "",
    ),
    warn(
        "the provider says that the token is dead: this device is not pushed to until it registers again",
        "it heals when its app registers with a new token",
    ),
    warn(
        "the push gateway's tenant may not push to its app: homeservers are told to try again",
        "`reveille tenant add` or `reveille tenant allow`, as [[push.matrix]] names them",
    ),
    warn(
        "the push service stops while pushes are under way: those of the queue go again",
        "",
    ),
    warn(
        "the write-ahead log stays as long as it is",
        "it is tried again; if it goes on, another process reads the database for very long",
    ),
    warn(
        "there is no token-keys.json: users' tokens are signed by the first key",
        "nothing, where a release before keys could be rotated ran until now; else put the file back from where you keep a copy; and if one was ever dropped as stolen, `reveille tokens rotate --drop-old` at once",
    ),
    warn(
        "tokens are signed by a new key, and those of all others are good no more: clients sign in anew",
        "somebody ran `reveille tokens rotate --drop-old`",
    ),
    warn(
        "what was under way was not done in time: the store, or another shard, did not answer",
        "what was answered is kept; callers and senders whose requests had no answer try again",
    ),
    warn(
        "wrong user or password",
        "see docs/operations/strangers.md; fail2ban reads this line",
    ),
    warn(
        "{fault}",
        "what `reveille check` says of the configuration: it names the key and what to do",
    ),
    info("clients are sent away; a second signal ends this at once"),
    info("a component is connected"),
    info("a component is sent away"),
    info("a tenant of the push service is changed"),
    info("a tenant of the push service is removed"),
    info("a tunnel is up"),
    info("a tunnel to an edge is up"),
    info("alarm is over"),
    info("an account is made by invitation"),
    info("an account is removed"),
    info("an XMPP server is pushed for"),
    info("another process changed the store: accounts are taken over"),
    info("banned by an operator"),
    info("credentials of an app are in the store"),
    info("credentials of an app are removed"),
    info("forgotten: its user has too many devices"),
    info("forgotten: out of reach for too long"),
    info("new certificate"),
    info("open files"),
    info("other keys of tokens count from now on"),
    info("registration expired"),
    info("rtpengine answers again"),
    info("reload: nothing has changed"),
    info("reload: {changed}"),
    info("stopping"),
    info("the device does not answer: it is suspended"),
    info("tokens have another key, which signs after so many seconds"),
    info("whoever registered so is signed out"),
    info("whoever signed in over this connection is signed out"),
    info("the push service has stopped: what is queued goes at the next start"),
    info("this host has no IPv6"),
];
