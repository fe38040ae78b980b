-- Schema 4: what installations of clients sign in with instead of a password. `data` is the role's.

CREATE TABLE sign_in_tokens (
    user   TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    client TEXT NOT NULL,
    at     INTEGER NOT NULL,
    data   BLOB NOT NULL,
    PRIMARY KEY (user, client)
) STRICT, WITHOUT ROWID;

CREATE INDEX sign_in_tokens_at ON sign_in_tokens (user, at);
