-- Schema 8: what waits for a device may have been read on another one, and messages have a subject and a language.

ALTER TABLE queue ADD COLUMN read INTEGER NOT NULL DEFAULT 0;
ALTER TABLE unclaimed ADD COLUMN read INTEGER NOT NULL DEFAULT 0;

-- What is said of a message beside its body.
ALTER TABLE messages ADD COLUMN subject TEXT;
ALTER TABLE messages ADD COLUMN lang TEXT;
