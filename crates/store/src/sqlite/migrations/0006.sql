-- Schema 6: sessions whose clients have no connection, and may come back. `data` is the role's.

CREATE TABLE sessions (
    user  TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    name  TEXT NOT NULL,
    until INTEGER NOT NULL,
    data  BLOB NOT NULL,
    PRIMARY KEY (user, name)
) STRICT;
