-- Schema 3: keys for SCRAM (`Scram::encode`), and rosters. `to` and `from` are 0 for no subscription, 1 for one that is asked for, 2 for one that stands.

ALTER TABLE users ADD COLUMN scram BLOB;

CREATE TABLE contacts (
    user     TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    peer     TEXT NOT NULL,
    name     TEXT NOT NULL,
    groups   TEXT NOT NULL,
    "to"     INTEGER NOT NULL,
    "from"   INTEGER NOT NULL,
    approved INTEGER NOT NULL,
    listed   INTEGER NOT NULL,
    asked    BLOB NOT NULL,
    PRIMARY KEY (user, peer)
) STRICT, WITHOUT ROWID;
