-- Who may use a server. A replica has these tables as well, and nothing in them that anybody asks for.
-- Secrets are in here: the file is for its owner alone.

CREATE TABLE journals (
    id      INTEGER PRIMARY KEY,
    name    TEXT    NOT NULL UNIQUE,
    renames INTEGER NOT NULL DEFAULT 0  -- how often one of its devices got another name
);
INSERT INTO journals (id, name) VALUES (1, 'notes');

CREATE TABLE devices (
    number   INTEGER PRIMARY KEY AUTOINCREMENT,  -- never given twice
    key_id   BLOB    NOT NULL UNIQUE,
    name     TEXT    NOT NULL,
    journal  INTEGER NOT NULL,
    rights   INTEGER NOT NULL,     -- 1 read, 2 write, 4 admin
    secret   BLOB    NOT NULL,
    salt     BLOB,                 -- of a fixed context
    reserved INTEGER NOT NULL,     -- of a fixed context: own numbers below this may have been used
    joined   INTEGER NOT NULL,     -- milliseconds since 1970, as all times here
    revoked  INTEGER
);
CREATE UNIQUE INDEX devices_name ON devices (journal, name) WHERE revoked IS NULL;

CREATE TABLE invites (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    key_id     BLOB    NOT NULL UNIQUE,  -- not one of a device either
    secret     BLOB    NOT NULL,
    journal    INTEGER NOT NULL,
    rights     INTEGER NOT NULL,
    name       TEXT,                 -- that the device is to have
    made       INTEGER NOT NULL,
    expires    INTEGER NOT NULL,
    public     BLOB,                 -- of the joiner; this and what follows: once it was used
    own_public BLOB,
    device     INTEGER,              -- devices.number
    used       INTEGER
);

-- The newest of what happened; older rows go when new ones come.
CREATE TABLE audit (
    number  INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    what    INTEGER NOT NULL,      -- AuditKind::code
    reason  TEXT,                  -- of a refusal
    device  TEXT    NOT NULL,
    journal TEXT    NOT NULL,
    address TEXT    NOT NULL,
    detail  TEXT    NOT NULL
);
