-- Schema 5: the push service: its tenants, what it has promised to deliver, and what became of that.

CREATE TABLE tenants (
    id         TEXT PRIMARY KEY,
    per_minute INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tenant_secrets (
    tenant  TEXT NOT NULL REFERENCES tenants ON DELETE CASCADE,
    place   INTEGER NOT NULL,
    digest  TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, place)
) STRICT, WITHOUT ROWID;

CREATE TABLE tenant_apps (
    tenant TEXT NOT NULL REFERENCES tenants ON DELETE CASCADE,
    place  INTEGER NOT NULL,
    app    TEXT NOT NULL,
    PRIMARY KEY (tenant, place)
) STRICT, WITHOUT ROWID;

-- A row goes when its push ends: nothing of a push is kept longer.
CREATE TABLE push_queue (
    tenant      TEXT NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id          TEXT NOT NULL,
    app         TEXT NOT NULL,
    token       TEXT NOT NULL,
    channel     TEXT NOT NULL,
    purpose     TEXT NOT NULL,
    about       TEXT,
    register_at TEXT,
    unread      INTEGER,
    tracking    TEXT NOT NULL,
    ttl         INTEGER NOT NULL,
    collapse    TEXT,
    badge       INTEGER,
    sealed      BLOB,
    at          INTEGER NOT NULL,
    due         INTEGER NOT NULL,
    attempts    INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;

-- AUTOINCREMENT: a number is never given twice, also when the last row is gone.
CREATE TABLE push_ends (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id     TEXT NOT NULL,
    at     INTEGER NOT NULL,
    "end"  TEXT NOT NULL,
    UNIQUE (tenant, id)
) STRICT;

CREATE INDEX push_ends_of ON push_ends (tenant);
