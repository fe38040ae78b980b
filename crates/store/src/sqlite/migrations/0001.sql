-- Schema 1. Times are milliseconds since the Unix epoch. JSON columns are opaque to SQL: nothing is searched by them.

CREATE TABLE users (
    address      TEXT PRIMARY KEY,
    display_name TEXT NOT NULL,
    md5          TEXT NOT NULL,
    sha256       TEXT NOT NULL,
    forward      TEXT
) STRICT;

CREATE TABLE devices (
    id         TEXT PRIMARY KEY,
    user       TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    app        TEXT,
    tokens     TEXT NOT NULL, -- JSON
    key        TEXT,          -- JSON
    word       TEXT,          -- JSON
    binding    TEXT,          -- JSON
    created_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX devices_user ON devices (user, id);

CREATE TABLE history (
    number INTEGER PRIMARY KEY,
    device TEXT NOT NULL REFERENCES devices ON DELETE CASCADE,
    at     INTEGER NOT NULL,
    what   TEXT NOT NULL
) STRICT;
CREATE INDEX history_device ON history (device);
CREATE INDEX history_at ON history (at);

-- The archive, in the order of arrival.
CREATE TABLE messages (
    number       INTEGER PRIMARY KEY,
    id           TEXT NOT NULL UNIQUE,
    tracking     TEXT NOT NULL,
    sender       TEXT NOT NULL,
    sender_name  TEXT NOT NULL,
    recipient    TEXT NOT NULL,
    at           INTEGER NOT NULL,
    content_type TEXT NOT NULL,
    body         BLOB NOT NULL,
    class        TEXT NOT NULL
) STRICT;
CREATE INDEX messages_sender ON messages (sender);
CREATE INDEX messages_recipient ON messages (recipient);
CREATE INDEX messages_at ON messages (at);

-- What waits for whom, in the order of queueing: for a device, or for a user of whom no device is known. A device that
-- adopts a user's queue takes the rows over with their numbers.
CREATE TABLE queue (
    number  INTEGER PRIMARY KEY,
    device  TEXT REFERENCES devices ON DELETE CASCADE,
    user    TEXT REFERENCES users ON DELETE CASCADE,
    message TEXT NOT NULL REFERENCES messages (id),
    CHECK ((device IS NULL) <> (user IS NULL))
) STRICT;
CREATE INDEX queue_device ON queue (device) WHERE device IS NOT NULL;
CREATE INDEX queue_user ON queue (user) WHERE user IS NOT NULL;
CREATE UNIQUE INDEX queue_device_once ON queue (message, device);
CREATE UNIQUE INDEX queue_user_once ON queue (message, user) WHERE user IS NOT NULL;

CREATE TABLE owed (
    id       TEXT PRIMARY KEY,
    device   TEXT NOT NULL REFERENCES devices ON DELETE CASCADE,
    purpose  TEXT NOT NULL, -- JSON
    tracking TEXT NOT NULL,
    message  TEXT,
    due      INTEGER NOT NULL,
    until    INTEGER NOT NULL,
    attempts INTEGER NOT NULL
) STRICT;
CREATE INDEX owed_device ON owed (device);

-- One row for each call or message that is traced, in the order in which they began.
CREATE TABLE stories (
    number   INTEGER PRIMARY KEY,
    tracking TEXT NOT NULL UNIQUE,
    began    INTEGER NOT NULL
) STRICT;
CREATE INDEX stories_began ON stories (began);

-- The steps of the stories. They outlive the devices that they name.
CREATE TABLE events (
    number INTEGER PRIMARY KEY,
    story  INTEGER NOT NULL REFERENCES stories ON DELETE CASCADE,
    at     INTEGER NOT NULL,
    step   TEXT NOT NULL,
    alias  TEXT,
    device TEXT,
    detail TEXT NOT NULL
) STRICT;
CREATE INDEX events_story ON events (story);
CREATE INDEX events_alias ON events (alias) WHERE alias IS NOT NULL;
