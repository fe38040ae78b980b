//! Every statement that the backend runs, in one table, so that a test can ask SQLite how it would run each of them.

macro_rules! statements {
    ($($(#[$meta:meta])* $name:ident = $text:expr;)+) => {
        $($(#[$meta])* pub(super) const $name: &str = $text;)+
        #[cfg(test)]
        pub(super) const ALL: &[(&str, &str)] = &[$((stringify!($name), $text)),+];
    };
}

macro_rules! device_columns {
    () => {
        "id, user, app, tokens, key, word, binding, created_at, seen_at"
    };
}

macro_rules! message_columns {
    () => {
        "m.id, m.tracking, m.sender, m.sender_name, m.recipient, m.at, m.content_type, m.body, m.class"
    };
}

statements! {
    // Users.
    PUT_USER = "INSERT INTO users (address, display_name, md5, sha256, forward) VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT (address) DO UPDATE SET display_name = ?2, md5 = ?3, sha256 = ?4, forward = ?5";
    REMOVE_USER = "DELETE FROM users WHERE address = ?1";
    USER = "SELECT address, display_name, md5, sha256, forward FROM users WHERE address = ?1";
    /// In the order of the file, which reads it from front to back; sorted later.
    USERS = "SELECT address, display_name, md5, sha256, forward FROM users";
    USER_EXISTS = "SELECT 1 FROM users WHERE address = ?1";

    // Devices.
    PUT_DEVICE = concat!(
        "INSERT INTO devices (", device_columns!(), ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
        ON CONFLICT (id) DO UPDATE SET app = ?3, tokens = ?4, key = ?5, word = ?6, binding = ?7, created_at = ?8, seen_at = ?9"
    );
    /// A device that changes hands takes nothing along of what was its former user's.
    REMOVE_OTHERS_DEVICE = "DELETE FROM devices WHERE id = ?1 AND user <> ?2";
    REMOVE_DEVICE = "DELETE FROM devices WHERE id = ?1";
    DEVICE = concat!("SELECT ", device_columns!(), " FROM devices WHERE id = ?1");
    /// As `USERS`.
    DEVICES = concat!("SELECT ", device_columns!(), " FROM devices");
    DEVICES_OF_USER = concat!("SELECT ", device_columns!(), " FROM devices WHERE user = ?1 ORDER BY id");
    DEVICE_EXISTS = "SELECT 1 FROM devices WHERE id = ?1";

    // The history of devices.
    ADD_HISTORY = "INSERT INTO history (device, at, what) VALUES (?1, ?2, ?3)";
    HISTORY = "SELECT device, at, what FROM history WHERE device = ?1 ORDER BY number DESC LIMIT ?2";
    PRUNE_HISTORY = "DELETE FROM history WHERE number IN (SELECT number FROM history WHERE at < ?1 ORDER BY at LIMIT ?2)";

    // The archive.
    ARCHIVE = "INSERT INTO messages (id, tracking, sender, sender_name, recipient, at, content_type, body, class)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (id) DO NOTHING";
    MESSAGE = concat!("SELECT ", message_columns!(), " FROM messages m WHERE m.id = ?1");
    MESSAGE_EXISTS = "SELECT 1 FROM messages WHERE id = ?1";
    MESSAGE_NUMBER = "SELECT number FROM messages WHERE id = ?1";
    /// SQLite merges the two halves by number and stops at the limit.
    MESSAGES_OF_USER = concat!(
        "SELECT ", message_columns!(), ", m.number FROM messages m WHERE m.recipient = ?1 AND m.number < ?2
        UNION ALL
        SELECT ", message_columns!(), ", m.number FROM messages m WHERE m.sender = ?1 AND m.recipient <> ?1 AND m.number < ?2
        ORDER BY 10 DESC LIMIT ?3"
    );
    PRUNE_MESSAGES = "DELETE FROM messages WHERE number IN (SELECT m.number FROM messages m WHERE m.at < ?1
        AND NOT EXISTS (SELECT 1 FROM queue WHERE queue.message = m.id)
        ORDER BY m.at LIMIT ?2)";

    // The queues.
    ENQUEUE_FOR_DEVICE = "INSERT INTO queue (device, message) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    ENQUEUE_FOR_USER = "INSERT INTO queue (user, message) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    /// All but the newest `?2`. Walks the index of a queue that is short, and stops at the limit in one that is long.
    SHORTEN_DEVICE_QUEUE = "DELETE FROM queue WHERE device = ?1 AND number <=
        (SELECT number FROM queue WHERE device = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)";
    SHORTEN_USER_QUEUE = "DELETE FROM queue WHERE user = ?1 AND number <=
        (SELECT number FROM queue WHERE user = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)";
    /// What the device has queued already stays behind, for `DISOWN_QUEUE`.
    ADOPT_QUEUE = "UPDATE OR IGNORE queue SET device = ?2, user = NULL WHERE user = ?1";
    DISOWN_QUEUE = "DELETE FROM queue WHERE user = ?1";
    DELIVERED = "DELETE FROM queue WHERE device = ?1 AND message = ?2";
    QUEUED = concat!(
        "SELECT ", message_columns!(), " FROM queue q CROSS JOIN messages m ON m.id = q.message
        WHERE q.device = ?1 ORDER BY q.number LIMIT ?2"
    );
    QUEUE_LENGTH = "SELECT COUNT(*) FROM queue WHERE device = ?1";
    UNREAD = "SELECT m.sender, COUNT(*) FROM queue q CROSS JOIN messages m ON m.id = q.message
        WHERE q.device = ?1 GROUP BY m.sender ORDER BY MIN(q.number)";
    QUEUE_LENGTHS = "SELECT device, COUNT(*) FROM queue WHERE device IS NOT NULL GROUP BY device ORDER BY device";
    UNCLAIMED = "SELECT user, COUNT(*) FROM queue WHERE user IS NOT NULL GROUP BY user ORDER BY user";

    // Owed pushes.
    OWE = "INSERT INTO owed (id, device, purpose, tracking, message, due, until, attempts)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
        ON CONFLICT (id) DO UPDATE SET device = ?2, purpose = ?3, tracking = ?4, message = ?5, due = ?6, until = ?7, attempts = ?8";
    SETTLE = "DELETE FROM owed WHERE id = ?1";
    OWED = "SELECT id, device, purpose, tracking, message, due, until, attempts FROM owed ORDER BY due, id";

    // Stories.
    BEGIN_STORY = "INSERT INTO stories (tracking, began) VALUES (?1, ?2) ON CONFLICT (tracking) DO NOTHING";
    ADD_EVENT = "INSERT INTO events (story, at, step, alias, device, detail)
        SELECT number, ?2, ?3, ?4, ?5, ?6 FROM stories WHERE tracking = ?1";
    EVENTS = "SELECT s.tracking, e.at, e.step, e.alias, e.device, e.detail
        FROM events e JOIN stories s ON s.number = e.story
        WHERE e.story IN (SELECT number FROM stories WHERE tracking = ?1 UNION SELECT story FROM events WHERE alias = ?1)
        ORDER BY e.story, e.number LIMIT ?2";
    RECENT_STORIES = "SELECT s.tracking, s.began, f.step, f.detail, l.step FROM stories s
        JOIN events f ON f.number = (SELECT MIN(number) FROM events WHERE story = s.number)
        JOIN events l ON l.number = (SELECT MAX(number) FROM events WHERE story = s.number)
        ORDER BY s.number DESC LIMIT ?1";
    PRUNE_STORIES = "DELETE FROM stories WHERE number IN (SELECT number FROM stories WHERE began < ?1 ORDER BY began LIMIT ?2)";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::open;

    /// Those that read a whole table because all of it is asked for, or walk it from its end up to their limit.
    const MAY_SCAN: &[(&str, &str)] = &[
        ("USERS", "SCAN users"),
        ("DEVICES", "SCAN devices"),
        ("OWED", "SCAN owed"),
        ("QUEUE_LENGTHS", "SCAN queue USING COVERING INDEX"),
        ("UNCLAIMED", "SCAN queue USING COVERING INDEX"),
        ("RECENT_STORIES", "SCAN s"),
    ];

    /// Those that sort, and why that is bounded: what is owed at start-up; the writers in one queue; the steps of one story.
    const MAY_SORT: &[&str] = &["OWED", "UNREAD", "EVENTS"];

    fn plan(connection: &rusqlite::Connection, statement: &str) -> Vec<String> {
        let mut explain = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {statement}"))
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
        for (name, statement) in ALL {
            for step in plan(&connection, statement) {
                let may_scan = MAY_SCAN
                    .iter()
                    .any(|(scans, how)| scans == name && step.starts_with(how));
                assert!(!step.starts_with("SCAN") || may_scan, "{name}: {step}");
                let sorts = step.contains("TEMP B-TREE");
                assert!(!sorts || MAY_SORT.contains(name), "{name}: {step}");
                assert!(!step.contains("AUTOMATIC"), "{name}: {step}");
                // A scan in disguise.
                assert!(!step.contains("PRIMARY KEY (rowid<"), "{name}: {step}");
            }
        }
    }
}
