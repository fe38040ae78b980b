-- Schema 12: how often a user was signed out.

ALTER TABLE users ADD COLUMN sign_outs INTEGER NOT NULL DEFAULT 0;
