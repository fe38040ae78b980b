-- Schema 7: queues that are full go over into the archive. For each device whose queue did: the first message that is to be
-- taken from there, and how many those are.

CREATE TABLE overflow (
    device   INTEGER PRIMARY KEY REFERENCES devices ON DELETE CASCADE,
    message  INTEGER NOT NULL,
    messages INTEGER NOT NULL
) STRICT;
