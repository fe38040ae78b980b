-- Schema 12: what is drawn when a user gets a password or is signed out, and by what clients get new tokens: which of those that each had
-- comes next.

ALTER TABLE users ADD COLUMN mark INTEGER NOT NULL DEFAULT 0;

CREATE TABLE grants (
    user TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    id   TEXT NOT NULL,
    turn INTEGER NOT NULL,
    at   INTEGER NOT NULL,
    PRIMARY KEY (user, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX grants_at ON grants (user, at);
