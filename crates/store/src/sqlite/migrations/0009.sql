-- Schema 9: what is written to see whether anything can be. Nothing stays in it.

CREATE TABLE probes (
    number INTEGER PRIMARY KEY,
    data   BLOB NOT NULL
) STRICT;
