-- Schema 2. Times are milliseconds since the Unix epoch. `keys` is made by the migration: the key of each device that
-- schema 1 knows (`database::key`).

DROP INDEX devices_user;
DROP INDEX history_device;
DROP INDEX history_at;
DROP INDEX messages_sender;
DROP INDEX messages_recipient;
DROP INDEX messages_at;
DROP INDEX queue_device;
DROP INDEX queue_user;
DROP INDEX queue_device_once;
DROP INDEX queue_user_once;
DROP INDEX owed_device;
DROP INDEX stories_began;
DROP INDEX events_story;
DROP INDEX events_alias;
ALTER TABLE users RENAME TO users_1;
ALTER TABLE devices RENAME TO devices_1;
ALTER TABLE history RENAME TO history_1;
ALTER TABLE messages RENAME TO messages_1;
ALTER TABLE queue RENAME TO queue_1;
ALTER TABLE owed RENAME TO owed_1;
ALTER TABLE stories RENAME TO stories_1;
ALTER TABLE events RENAME TO events_1;

CREATE TABLE users (
    address      TEXT PRIMARY KEY,
    display_name TEXT NOT NULL,
    md5          TEXT NOT NULL,
    sha256       TEXT NOT NULL,
    forward      TEXT
) STRICT, WITHOUT ROWID;
INSERT INTO users SELECT address, display_name, md5, sha256, forward FROM users_1 ORDER BY address;

-- The key is made of the id, so that nothing is asked before something is written. A token's `through` is the door that
-- it was handed over through, if any.
CREATE TABLE devices (
    key                  INTEGER PRIMARY KEY,
    id                   TEXT NOT NULL,
    user                 TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    app                  TEXT,
    voip                 TEXT,
    voip_given_at        INTEGER,
    voip_dead_since      INTEGER,
    voip_dead_reason     TEXT,
    voip_on_probation    INTEGER,
    voip_through         INTEGER,
    message              TEXT,
    message_given_at     INTEGER,
    message_dead_since   INTEGER,
    message_dead_reason  TEXT,
    message_on_probation INTEGER,
    message_through      INTEGER,
    p256dh               TEXT,
    auth                 TEXT,
    created_at           INTEGER NOT NULL,
    seen_at              INTEGER NOT NULL
) STRICT;
CREATE INDEX devices_user ON devices (user);
INSERT INTO devices SELECT
    k.key, d.id, d.user, d.app,
    tokens ->> '$.voip.value', tokens ->> '$.voip.given_at',
    tokens ->> '$.voip.dead.at', tokens ->> '$.voip.dead.reason',
    CASE WHEN tokens -> '$.voip.value' IS NOT NULL THEN 0 END,
    CASE tokens ->> '$.voip.handed' WHEN 'in_registration' THEN 0 END,
    tokens ->> '$.message.value', tokens ->> '$.message.given_at',
    tokens ->> '$.message.dead.at', tokens ->> '$.message.dead.reason',
    CASE WHEN tokens -> '$.message.value' IS NOT NULL THEN 0 END,
    CASE tokens ->> '$.message.handed' WHEN 'in_registration' THEN 0 END,
    d.key ->> '$.p256dh', d.key ->> '$.auth',
    d.created_at, d.seen_at
    FROM devices_1 d JOIN keys k ON k.id = d.id ORDER BY k.key;

CREATE TABLE doors (
    device     INTEGER NOT NULL REFERENCES devices ON DELETE CASCADE,
    number     INTEGER NOT NULL,
    opened_at  INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    q          INTEGER NOT NULL,
    data       BLOB NOT NULL,
    PRIMARY KEY (device, number)
) STRICT, WITHOUT ROWID;
-- What a registration left is one door. Only its role reads what is behind a door, and a REGISTER that says the same is
-- what any version of it can read: so a device that sleeps stays in reach. `source` is like tcp/192.0.2.1:5060.
INSERT INTO doors SELECT key, 0, seen_at, expires_at, q, CAST(
    'REGISTER sip:localhost SIP/2.0' || char(13, 10) ||
    'Via: SIP/2.0/' || upper(replace(source, '/', ' ')) || char(13, 10) ||
    'From: <sip:localhost>' || char(13, 10) ||
    'To: <sip:localhost>' || char(13, 10) ||
    'Call-ID: ' || call_id || char(13, 10) ||
    'CSeq: ' || cseq || ' REGISTER' || char(13, 10) ||
    'Contact: ' || contact || printf(';q=%d.%03d', q / 1000, q % 1000) || char(13, 10) ||
    path || user_agent || char(13, 10) AS BLOB)
    FROM (SELECT
        k.key, d.seen_at, binding ->> '$.expires_at' AS expires_at, binding ->> '$.q' AS q,
        binding ->> '$.source' AS source, binding ->> '$.contact' AS contact,
        binding ->> '$.call_id' AS call_id, binding ->> '$.cseq' AS cseq,
        coalesce((SELECT group_concat('Path: ' || value || char(13, 10), '') FROM json_each(binding, '$.path')), '')
            AS path,
        coalesce('User-Agent: ' || nullif(binding ->> '$.user_agent', '') || char(13, 10), '') AS user_agent
        FROM devices_1 d JOIN keys k ON k.id = d.id)
    WHERE expires_at || q || source || contact || call_id || cseq IS NOT NULL;

CREATE TABLE history (
    number INTEGER PRIMARY KEY,
    device INTEGER NOT NULL REFERENCES devices ON DELETE CASCADE,
    at     INTEGER NOT NULL,
    what   TEXT NOT NULL
) STRICT;
CREATE INDEX history_device ON history (device);
INSERT INTO history SELECT h.number, k.key, h.at, h.what
    FROM history_1 h JOIN keys k ON k.id = h.device ORDER BY h.number;

-- The archive, in the order of arrival.
CREATE TABLE messages (
    number       INTEGER PRIMARY KEY,
    id           TEXT NOT NULL UNIQUE,
    tracking     TEXT NOT NULL,
    sender       TEXT NOT NULL,
    sender_name  TEXT NOT NULL,
    recipient    TEXT NOT NULL,
    at           INTEGER NOT NULL,
    class        TEXT NOT NULL,
    content_type TEXT NOT NULL,
    body         BLOB NOT NULL
) STRICT;
INSERT INTO messages SELECT
    number, id, tracking, sender, sender_name, recipient, at, class ->> '$', content_type, body
    FROM messages_1 ORDER BY number;

-- What waits for a device, and for a user of whom no device is known, in the order of the archive.
CREATE TABLE queue (
    device  INTEGER NOT NULL REFERENCES devices ON DELETE CASCADE,
    message INTEGER NOT NULL,
    PRIMARY KEY (device, message)
) STRICT, WITHOUT ROWID;
CREATE INDEX queue_message ON queue (message);
INSERT INTO queue SELECT k.key, m.number
    FROM queue_1 q JOIN keys k ON k.id = q.device JOIN messages m ON m.id = q.message;

CREATE TABLE unclaimed (
    user    TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    message INTEGER NOT NULL,
    PRIMARY KEY (user, message)
) STRICT, WITHOUT ROWID;
CREATE INDEX unclaimed_message ON unclaimed (message);
INSERT INTO unclaimed SELECT q.user, m.number
    FROM queue_1 q JOIN messages m ON m.id = q.message WHERE q.user IS NOT NULL;

-- `about` names the call or the conversation.
CREATE TABLE owed (
    id          TEXT PRIMARY KEY,
    device      INTEGER NOT NULL REFERENCES devices ON DELETE CASCADE,
    purpose     TEXT NOT NULL,
    about       TEXT,
    register_at TEXT,
    unread      INTEGER,
    tracking    TEXT NOT NULL,
    message     TEXT,
    due         INTEGER NOT NULL,
    until       INTEGER NOT NULL,
    attempts    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX owed_device ON owed (device);
INSERT INTO owed SELECT
    o.id, k.key, purpose ->> '$.kind', coalesce(purpose ->> '$.call', purpose ->> '$.conversation'),
    purpose ->> '$.register_at', purpose ->> '$.unread', o.tracking, o.message, o.due, o.until, o.attempts
    FROM owed_1 o JOIN keys k ON k.id = o.device;

-- One row for each call or message that is traced, in the order in which they began.
CREATE TABLE stories (
    number   INTEGER PRIMARY KEY,
    tracking TEXT NOT NULL UNIQUE,
    began    INTEGER NOT NULL
) STRICT;
INSERT INTO stories SELECT number, tracking, began FROM stories_1 ORDER BY number;

-- The steps of the stories. They outlive the devices that they name.
CREATE TABLE events (
    story  INTEGER NOT NULL REFERENCES stories ON DELETE CASCADE,
    number INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    step   TEXT NOT NULL,
    alias  TEXT,
    device TEXT,
    detail TEXT NOT NULL,
    PRIMARY KEY (story, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX events_alias ON events (alias) WHERE alias IS NOT NULL;
INSERT INTO events SELECT story, number, at, step, alias, device, detail FROM events_1 ORDER BY story, number;

DROP TABLE events_1;
DROP TABLE stories_1;
DROP TABLE owed_1;
DROP TABLE queue_1;
DROP TABLE messages_1;
DROP TABLE history_1;
DROP TABLE devices_1;
DROP TABLE users_1;
DROP TABLE keys;
