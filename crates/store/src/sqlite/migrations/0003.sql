-- Schema 3: keys for SCRAM (`Scram::encode`), rosters, whom users block, cards, and the archive by whose it is. `to` and `from` are 0 for no subscription, 1 for one that is asked for, 2 for one that stands.

ALTER TABLE users ADD COLUMN scram BLOB;

-- A token's `through` is a door's number; from here on also -1 less the kind of calls that its client takes.

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

CREATE TABLE blocks (
    user TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    peer TEXT NOT NULL,
    PRIMARY KEY (user, peer)
) STRICT, WITHOUT ROWID;

-- The card as its role writes it, and the SHA-1 of the image on it.
CREATE TABLE cards (
    user   TEXT PRIMARY KEY NOT NULL REFERENCES users ON DELETE CASCADE,
    card   BLOB NOT NULL,
    avatar BLOB
) STRICT;

-- The token is a digest of what the guest was given.
CREATE TABLE invitations (
    token      TEXT PRIMARY KEY NOT NULL,
    inviter    TEXT REFERENCES users ON DELETE CASCADE,
    address    TEXT,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX invitations_inviter ON invitations (inviter);

-- Who wrote or got a message, and with whom: keys of addresses (`database::key`). An era is 1,024 numbers of messages. The
-- migration fills it.
CREATE TABLE archive (
    era    INTEGER NOT NULL,
    owner  INTEGER NOT NULL,
    number INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    peer   INTEGER NOT NULL,
    PRIMARY KEY (era, owner, number)
) STRICT, WITHOUT ROWID;
