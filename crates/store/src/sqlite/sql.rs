//! Every statement that the backend runs, in one table: a connection holds each of them prepared, and a test has SQLite
//! plan it.

macro_rules! statements {
    ($($(#[doc = $doc:literal])* $name:ident = $text:expr;)+) => {
        /// Names a statement of the table.
        #[derive(Copy, Clone, Debug)]
        pub(super) enum Sql { $($(#[doc = $doc])* $name),+ }

        impl Sql {
            /// All of them, in the order of the enum.
            pub(super) const ALL: &[Self] = &[$(Self::$name),+];

            pub(super) fn text(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }
        }
    };
}

macro_rules! user_columns {
    () => {
        "address, display_name, md5, sha256, forward, scram, mark"
    };
}

macro_rules! contact_columns {
    () => {
        "user, peer, name, groups, \"to\", \"from\", approved, listed, asked"
    };
}

macro_rules! device_columns {
    () => {
        "key, id, user, app,
        voip, voip_given_at, voip_dead_since, voip_dead_reason, voip_on_probation, voip_through,
        message, message_given_at, message_dead_since, message_dead_reason, message_on_probation, message_through,
        p256dh, auth, created_at, seen_at"
    };
}

macro_rules! door_columns {
    () => {
        "device, number, opened_at, expires_at, q, data"
    };
}

macro_rules! message_columns {
    () => {
        "m.id, m.tracking, m.sender, m.sender_name, m.recipient, m.at, m.class, m.content_type, m.body, m.subject, m.lang"
    };
}

/// A page of one era, from either end: what is not wanted is passed over without a look at the message.
macro_rules! archive_page {
    ($order:literal) => {
        concat!(
            "SELECT ",
            message_columns!(),
            " FROM archive a CROSS JOIN messages m ON m.number = a.number
            WHERE a.era = ?1 AND a.owner = ?2 AND a.number > ?3 AND a.number < ?4 AND a.at >= ?5 AND a.at <= ?6
            AND (?7 IS NULL OR a.peer = ?7) ORDER BY a.number ",
            $order,
            " LIMIT ?8"
        )
    };
}

macro_rules! owed_columns {
    () => {
        "device, id, purpose, about, register_at, unread, tracking, message, due, until, attempts"
    };
}

macro_rules! queued_columns {
    () => {
        "tenant, id, app, token, channel, purpose, about, register_at, unread, tracking, ttl, collapse, badge, sealed,
        at, due, attempts"
    };
}

statements! {
    // Transactions.
    Begin = "BEGIN IMMEDIATE";
    BeginReading = "BEGIN";
    Commit = "COMMIT";
    Rollback = "ROLLBACK";
    SetSavepoint = "SAVEPOINT step";
    BackToSavepoint = "ROLLBACK TO step";
    ReleaseSavepoint = "RELEASE step";

    // Probes.
    PutProbe = "INSERT INTO probes VALUES (1, zeroblob(?1))";
    RemoveProbe = "DELETE FROM probes WHERE number = 1";

    // Accounts.
    PutUser = concat!("INSERT INTO users (", user_columns!(), ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
        ON CONFLICT (address) DO UPDATE SET display_name = ?2, md5 = ?3, sha256 = ?4, forward = ?5, scram = ?6, mark = ?7");
    RemoveUser = "DELETE FROM users WHERE address = ?1";
    User = concat!("SELECT ", user_columns!(), " FROM users WHERE address = ?1");
    Users = concat!("SELECT ", user_columns!(), " FROM users ORDER BY address");
    UserExists = "SELECT 1 FROM users WHERE address = ?1";

    // Rosters.
    PutContact = concat!("INSERT INTO contacts (", contact_columns!(), ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
        ON CONFLICT (user, peer) DO UPDATE SET name = ?3, groups = ?4, \"to\" = ?5, \"from\" = ?6, approved = ?7, listed = ?8,
        asked = ?9");
    RemoveContact = "DELETE FROM contacts WHERE user = ?1 AND peer = ?2";
    Roster = concat!("SELECT ", contact_columns!(), " FROM contacts WHERE user = ?1 ORDER BY peer LIMIT ?2");

    // Blocks.
    Block = "INSERT INTO blocks VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    Unblock = "DELETE FROM blocks WHERE user = ?1 AND peer = ?2";
    BlockedBy = "SELECT peer FROM blocks WHERE user = ?1 ORDER BY peer LIMIT ?2";
    Blocked = "SELECT user, peer FROM blocks ORDER BY user, peer";

    // Cards.
    PutCard = "INSERT INTO cards VALUES (?1, ?2, ?3) ON CONFLICT (user) DO UPDATE SET card = ?2, avatar = ?3";
    Card = "SELECT card, avatar FROM cards WHERE user = ?1";
    Avatars = "SELECT user, avatar FROM cards WHERE avatar IS NOT NULL";

    // Tokens to sign in with.
    PutSignInTokens = "INSERT INTO sign_in_tokens (user, client, at, data) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (user, client) DO UPDATE SET at = ?3, data = ?4";
    RemoveSignInTokens = "DELETE FROM sign_in_tokens WHERE user = ?1 AND client = ?2";
    LimitSignInTokens = "DELETE FROM sign_in_tokens WHERE user = ?1 AND client IN (SELECT client FROM sign_in_tokens
        WHERE user = ?1 ORDER BY at DESC, client DESC LIMIT -1 OFFSET ?2)";
    SignInTokens = "SELECT user, client, at, data FROM sign_in_tokens WHERE user = ?1 AND client = ?2";

    // Grants of tokens.
    PutGrant = "INSERT INTO grants (user, id, turn, at) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (user, id) DO UPDATE SET turn = ?3, at = ?4";
    RemoveGrant = "DELETE FROM grants WHERE user = ?1 AND id = ?2";
    EndGrants = "DELETE FROM grants WHERE user = ?1
        AND EXISTS (SELECT 1 FROM users WHERE address = ?1 AND (sha256 <> ?2 OR mark <> ?3))";
    LimitGrants = "DELETE FROM grants WHERE user = ?1 AND id IN (SELECT id FROM grants
        WHERE user = ?1 AND id <> ?2 ORDER BY turn > 0 DESC, at DESC, id DESC LIMIT -1 OFFSET ?3)";
    Grant = "SELECT user, id, turn, at FROM grants WHERE user = ?1 AND id = ?2";
    OldGrants = "SELECT user, id, turn, at FROM grants WHERE at < ?1 LIMIT ?2";

    // Sessions without a connection.
    PutSession = "INSERT INTO sessions (user, name, until, data) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (user, name) DO UPDATE SET until = ?3, data = ?4";
    RemoveSession = "DELETE FROM sessions WHERE user = ?1 AND name = ?2";
    SessionsOf = "SELECT user, name, until, data FROM sessions WHERE user = ?1 ORDER BY name LIMIT ?2";
    Sessions = "SELECT user, name, until, data FROM sessions ORDER BY user, name";

    // Invitations.
    Invite = "INSERT INTO invitations VALUES (?1, ?2, ?3, ?4) ON CONFLICT (token) DO UPDATE SET inviter = ?2, address = ?3, expires_at = ?4";
    Invitation = "SELECT token, inviter, address, expires_at FROM invitations WHERE token = ?1";
    Redeem = "DELETE FROM invitations WHERE token = ?1";
    RemoveInvitations = "DELETE FROM invitations WHERE expires_at < ?1";

    // Devices. One that is another user's is not replaced.
    PutDevice = concat!(
        "INSERT INTO devices (", device_columns!(), ")
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)
        ON CONFLICT (key) DO UPDATE SET app = ?4,
        voip = ?5, voip_given_at = ?6, voip_dead_since = ?7, voip_dead_reason = ?8, voip_on_probation = ?9, voip_through = ?10,
        message = ?11, message_given_at = ?12, message_dead_since = ?13, message_dead_reason = ?14,
        message_on_probation = ?15, message_through = ?16, p256dh = ?17, auth = ?18, created_at = ?19, seen_at = ?20
        WHERE id = ?2 AND user = ?3"
    );
    RemoveDevice = "DELETE FROM devices WHERE key = ?1 AND id = ?2";
    Device = concat!("SELECT ", device_columns!(), " FROM devices WHERE key = ?1");
    /// In the order of the file, which reads it from front to back.
    Devices = concat!("SELECT ", device_columns!(), " FROM devices ORDER BY key");
    DevicesOfUser = concat!("SELECT ", device_columns!(), " FROM devices WHERE user = ?1");
    DeviceExists = "SELECT 1 FROM devices WHERE key = ?1";

    // Doors.
    PutDoor = concat!("INSERT INTO doors (", door_columns!(), ") VALUES (?1, ?2, ?3, ?4, ?5, ?6)
        ON CONFLICT (device, number) DO UPDATE SET opened_at = ?3, expires_at = ?4, q = ?5, data = ?6");
    RemoveDoor = "DELETE FROM doors WHERE device = ?1 AND number = ?2";
    DoorsOfDevice = concat!("SELECT ", door_columns!(), " FROM doors WHERE device = ?1 ORDER BY number");
    Doors = concat!("SELECT ", door_columns!(), " FROM doors ORDER BY device, number");

    // The history of devices.
    AddHistory = "INSERT INTO history (device, at, what) SELECT key, ?2, ?3 FROM devices WHERE key = ?1";
    History = "SELECT at, what FROM history WHERE device = ?1 ORDER BY number DESC LIMIT ?2";
    OldestHistory = "SELECT number, at FROM history ORDER BY number LIMIT ?1";
    RemoveHistory = "DELETE FROM history WHERE number = ?1";

    // The archive.
    Archive = "INSERT INTO messages (id, tracking, sender, sender_name, recipient, at, class, content_type, body, subject, lang)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT (id) DO NOTHING";
    Message = concat!("SELECT ", message_columns!(), " FROM messages m WHERE m.id = ?1");
    MessageExists = "SELECT 1 FROM messages WHERE id = ?1";
    OldestMessages = "SELECT number, at,
        EXISTS (SELECT 1 FROM queue WHERE queue.message = messages.number)
        OR EXISTS (SELECT 1 FROM unclaimed WHERE unclaimed.message = messages.number)
        OR EXISTS (SELECT 1 FROM devices d CROSS JOIN overflow o ON o.device = d.key
            WHERE d.user = messages.recipient AND o.message <= messages.number),
        sender, recipient FROM messages WHERE number > ?2 ORDER BY number LIMIT ?1";
    RemoveMessage = "DELETE FROM messages WHERE number = ?1";

    // The archive by whose it is. A user of ours has a row there, and nobody else.
    Index = "INSERT OR REPLACE INTO archive (era, owner, number, at, peer) SELECT ?1, ?2, ?3, ?4, ?5 FROM users WHERE address = ?6";
    Unindex = "DELETE FROM archive WHERE era = ?1 AND owner = ?2 AND number = ?3";
    IsIndexed = "SELECT 1 FROM archive WHERE era = ?1 AND owner = ?2 AND number = ?3";
    FirstEra = "SELECT MIN(era) FROM archive";
    LastEra = "SELECT MAX(era) FROM archive";
    ForgetEra = "DELETE FROM archive WHERE era = ?1 AND owner = ?2";
    ArchivePlace = "SELECT m.number FROM messages m CROSS JOIN archive a ON a.era = m.number >> 10 AND a.number = m.number
        WHERE m.id = ?2 AND a.owner = ?1";
    ArchiveFirst = archive_page!("ASC");
    ArchiveLast = archive_page!("DESC");

    // The queues.
    Enqueue = "INSERT INTO queue (device, message) SELECT ?1, number FROM messages WHERE id = ?2 ON CONFLICT DO NOTHING";
    EnqueueForUser = "INSERT INTO unclaimed (user, message) SELECT ?1, number FROM messages WHERE id = ?2 ON CONFLICT DO NOTHING";
    ReturnQueue = "INSERT INTO unclaimed (user, message, read) SELECT d.user, q.message, q.read FROM devices d JOIN queue q ON q.device = d.key
        WHERE d.key = ?1 ON CONFLICT DO NOTHING";
    ForgetQueue = "DELETE FROM queue WHERE device = ?1";
    AdoptQueue = "INSERT INTO queue (device, message, read) SELECT ?2, message, read FROM unclaimed WHERE user = ?1 ON CONFLICT DO NOTHING";
    DisownQueue = "DELETE FROM unclaimed WHERE user = ?1";
    Delivered = "DELETE FROM queue WHERE device = ?1 AND message = (SELECT number FROM messages WHERE id = ?2)";
    Queued = concat!(
        "SELECT ", message_columns!(), " FROM queue q CROSS JOIN messages m ON m.number = q.message
        WHERE q.device = ?1 ORDER BY q.message LIMIT ?2"
    );
    Unread = "SELECT COUNT(*), COUNT(*) FILTER (WHERE m.sender = (SELECT sender FROM messages WHERE id = ?2))
        FROM queue q CROSS JOIN messages m ON m.number = q.message WHERE q.device = ?1 AND q.read = 0 AND m.class = 'chat'";
    MarkRead = "UPDATE queue SET read = 1 WHERE device IN (SELECT key FROM devices WHERE user = ?1)
        AND message <= (SELECT number FROM messages WHERE id = ?3)
        AND (SELECT sender FROM messages WHERE number = queue.message) = ?2";
    QueueLengths = "SELECT device, COUNT(*) FROM queue GROUP BY device ORDER BY device";
    Unclaimed = "SELECT user, COUNT(*) FROM unclaimed GROUP BY user ORDER BY user";

    // What went over.
    GoOver = "INSERT INTO overflow (device, message, messages) SELECT ?1, number, 1 FROM messages WHERE id = ?2
        ON CONFLICT (device) DO UPDATE SET messages = messages + 1";
    Overflow = "SELECT d.user, o.message, o.messages FROM overflow o JOIN devices d ON d.key = o.device WHERE o.device = ?1";
    GotBehind = "SELECT a.number FROM archive a CROSS JOIN messages m ON m.number = a.number
        WHERE a.era = ?1 AND a.owner = ?2 AND a.number >= ?3 AND m.recipient = ?4 ORDER BY a.number LIMIT ?5";
    QueueNumber = "INSERT INTO queue (device, message) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    MoveOverflow = "UPDATE overflow SET message = ?2, messages = ?3 WHERE device = ?1";
    RemoveOverflow = "DELETE FROM overflow WHERE device = ?1";
    Overflows = "SELECT device, messages FROM overflow ORDER BY device";

    // Owed pushes.
    Owe = concat!("INSERT INTO owed (", owed_columns!(), ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
        ON CONFLICT (id) DO UPDATE SET device = ?1, purpose = ?3, about = ?4, register_at = ?5, unread = ?6,
        tracking = ?7, message = ?8, due = ?9, until = ?10, attempts = ?11");
    Settle = "DELETE FROM owed WHERE id = ?1";
    OwedToDevice = concat!("SELECT ", owed_columns!(), " FROM owed WHERE device = ?1 ORDER BY id");
    Owed = concat!("SELECT ", owed_columns!(), " FROM owed ORDER BY device, id");

    // The push service.
    PutTenant = "INSERT INTO tenants VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET per_minute = ?2";
    RemoveTenant = "DELETE FROM tenants WHERE id = ?1";
    TenantExists = "SELECT 1 FROM tenants WHERE id = ?1";
    Tenants = "SELECT id, per_minute FROM tenants ORDER BY id";
    PutTenantSecret = "INSERT INTO tenant_secrets VALUES (?1, ?2, ?3, ?4)";
    RemoveTenantSecrets = "DELETE FROM tenant_secrets WHERE tenant = ?1";
    TenantSecrets = "SELECT digest, made_at FROM tenant_secrets WHERE tenant = ?1 ORDER BY place";
    PutWebhook = "INSERT INTO webhooks VALUES (?1, ?2, ?3, ?4)";
    RemoveWebhook = "DELETE FROM webhooks WHERE tenant = ?1";
    Webhook = "SELECT url, since, heard FROM webhooks WHERE tenant = ?1";
    PutTenantApp = "INSERT INTO tenant_apps VALUES (?1, ?2, ?3)";
    RemoveTenantApps = "DELETE FROM tenant_apps WHERE tenant = ?1";
    TenantApps = "SELECT app FROM tenant_apps WHERE tenant = ?1 ORDER BY place";
    PutPushApp = "INSERT INTO push_apps VALUES (?1, ?2, ?3) ON CONFLICT (app) DO UPDATE SET sealed = ?2, made_at = ?3";
    RemovePushApp = "DELETE FROM push_apps WHERE app = ?1";
    PushApps = "SELECT app, sealed, made_at FROM push_apps ORDER BY app";
    QueuePush = concat!("INSERT INTO push_queue (", queued_columns!(), ")
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
        ON CONFLICT (tenant, id) DO UPDATE SET app = ?3, token = ?4, channel = ?5, purpose = ?6, about = ?7, register_at = ?8,
        unread = ?9, tracking = ?10, ttl = ?11, collapse = ?12, badge = ?13, sealed = ?14, at = ?15, due = ?16, attempts = ?17");
    UnqueuePush = "DELETE FROM push_queue WHERE tenant = ?1 AND id = ?2";
    PushQueue = concat!("SELECT ", queued_columns!(), " FROM push_queue WHERE (tenant, id) > (?1, ?2) ORDER BY tenant, id LIMIT ?3");
    SettlePush = "INSERT OR REPLACE INTO push_ends (tenant, id, at, \"end\") VALUES (?1, ?2, ?3, ?4)";
    ForgetPushEnds = "DELETE FROM push_ends WHERE at < ?2 AND number IN
        (SELECT number FROM push_ends WHERE tenant = ?1 ORDER BY number LIMIT ?3)";
    PushEnd = "SELECT number, tenant, id, at, \"end\" FROM push_ends WHERE tenant = ?1 AND id = ?2";
    PushEnds = "SELECT number, tenant, id, at, \"end\" FROM push_ends WHERE tenant = ?1 AND number > ?2 ORDER BY number LIMIT ?3";

    // Stories.
    BeginStory = "INSERT INTO stories (tracking, began) VALUES (?1, ?2)";
    StoryNumber = "SELECT number FROM stories WHERE tracking = ?1";
    AddEvent = "INSERT INTO events (story, number, at, step, alias, device, detail)
        VALUES (?1, 1 + coalesce((SELECT MAX(number) FROM events WHERE story = ?1), 0), ?2, ?3, ?4, ?5, ?6)";
    Events = "SELECT s.tracking, e.at, e.step, e.alias, e.device, e.detail
        FROM events e JOIN stories s ON s.number = e.story
        WHERE e.story IN (SELECT number FROM stories WHERE tracking = ?1 UNION SELECT story FROM events WHERE alias = ?1)
        ORDER BY e.story, e.number LIMIT ?2";
    StoriesBeginning = "SELECT tracking FROM stories WHERE tracking >= ?1 AND tracking < ?2 LIMIT ?3";
    CallsBeginning = "SELECT DISTINCT alias FROM events WHERE alias >= ?1 AND alias < ?2 LIMIT ?3";
    RecentStories = "SELECT s.tracking, s.began, f.step, f.detail, l.step FROM stories s
        JOIN events f ON f.story = s.number AND f.number = (SELECT MIN(number) FROM events WHERE story = s.number)
        JOIN events l ON l.story = s.number AND l.number = (SELECT MAX(number) FROM events WHERE story = s.number)
        ORDER BY s.number DESC LIMIT ?1";
    OldestStories = "SELECT number, began FROM stories ORDER BY number LIMIT ?1";
    StoriesBehind = "SELECT number FROM stories WHERE number > ?1 ORDER BY number LIMIT ?2";
    EventsOfStory = "SELECT s.tracking, e.at, e.step, e.alias, e.device, e.detail
        FROM events e JOIN stories s ON s.number = e.story WHERE e.story = ?1 ORDER BY e.number LIMIT ?2";
    RemoveStoryOfMessage = "DELETE FROM stories WHERE tracking = (SELECT tracking FROM messages WHERE number = ?1)";
    RemoveStory = "DELETE FROM stories WHERE number = ?1";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::open;

    /// Those that read a whole table because all of it is asked for, or walk it from one end up to their limit.
    const MAY_SCAN: &[&str] = &[
        "Users SCAN users",
        "Avatars SCAN cards",
        "Blocked SCAN blocks",
        "Sessions SCAN sessions",
        "RemoveInvitations SCAN invitations",
        "OldGrants SCAN grants",
        "Tenants SCAN tenants",
        "PushApps SCAN push_apps",
        "Devices SCAN devices",
        "Doors SCAN doors",
        "Owed SCAN owed USING INDEX owed_device",
        "QueueLengths SCAN queue",
        "Unclaimed SCAN unclaimed",
        "Overflows SCAN overflow",
        "OldestHistory SCAN history",
        "OldestStories SCAN stories",
        "RecentStories SCAN s",
    ];

    /// Those that sort, and why that is bounded: the steps of the stories of one name; the grants of one user.
    const MAY_SORT: &[&str] = &["Events", "LimitGrants"];

    fn plan(connection: &rusqlite::Connection, statement: Sql) -> Vec<String> {
        let mut explain = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {}", statement.text()))
            .unwrap();
        let count = explain.parameter_count();
        let rows = explain
            .query_map(rusqlite::params_from_iter(vec![1; count]), |row| row.get(3))
            .unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn every_statement_finds_its_rows_by_an_index() {
        let directory = tempfile::tempdir().unwrap();
        let connection = open::for_writing(&directory.path().join("db")).unwrap();
        for &statement in Sql::ALL {
            let name = format!("{statement:?}");
            for step in plan(&connection, statement) {
                let told = format!("{name} {step}");
                let may_scan = MAY_SCAN.iter().any(|scan| told.starts_with(scan));
                assert!(!step.starts_with("SCAN") || may_scan, "{told}");
                let sorts = step.contains("TEMP B-TREE");
                assert!(!sorts || MAY_SORT.contains(&name.as_str()), "{told}");
                assert!(!step.contains("AUTOMATIC"), "{told}");
            }
        }
    }
}
