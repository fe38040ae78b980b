-- Schema 11: where a tenant of the push service is told what became of what it had queued, and up to where it has taken that.

CREATE TABLE webhooks (
    tenant TEXT PRIMARY KEY REFERENCES tenants ON DELETE CASCADE,
    url    TEXT NOT NULL,
    since  INTEGER NOT NULL,
    heard  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
