-- Schema 10: apps of the push clients whose credentials an operator put in while the server ran, sealed.

CREATE TABLE push_apps (
    app     TEXT PRIMARY KEY,
    sealed  BLOB NOT NULL,
    made_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
