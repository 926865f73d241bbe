-- Every note costs one row in `changes` and one in `notes` with its id: nothing else is written per note.
-- Keys begin with time or with what only rises, so that a batch touches the last pages of each tree.

-- What was written, in the order in which this file made it durable. Rows are only ever added;
-- but the lost branch of a fork leaves a replica, and what follows it is numbered anew.
CREATE TABLE changes (
    position INTEGER PRIMARY KEY,  -- in the feed; given by the writer, only rises
    journal  INTEGER NOT NULL,
    number   INTEGER NOT NULL,     -- how many changes the journal has up to here, this one counted
    chain    INTEGER NOT NULL,     -- chains.id
    seq      INTEGER NOT NULL,
    hash     BLOB    NOT NULL,     -- of the map
    running  BLOB    NOT NULL,     -- SHA-256(running hash before || hash), per journal
    map      BLOB    NOT NULL,     -- the change, its exact bytes
    content  BLOB                  -- the content, its exact bytes; NULL once it was purged
);

-- The end of each journal's feed.
CREATE TABLE feeds (
    journal  INTEGER PRIMARY KEY,
    position INTEGER NOT NULL,
    number   INTEGER NOT NULL,
    running  BLOB    NOT NULL
);

-- The end of each chain. seq 0: only its device is known as yet.
CREATE TABLE chains (
    id      INTEGER PRIMARY KEY,
    chain   BLOB    NOT NULL UNIQUE,
    journal INTEGER NOT NULL,
    device  TEXT    NOT NULL,
    seq     INTEGER NOT NULL,
    hash    BLOB
);

-- Each note as the changes up to now leave it.
CREATE TABLE notes (
    key     INTEGER PRIMARY KEY,   -- day, instant, order of arrival (sqlite/key.rs): a day is one range
    id      BLOB    NOT NULL,
    journal INTEGER NOT NULL,
    time    INTEGER NOT NULL,      -- milliseconds since 1970
    zone    INTEGER NOT NULL,      -- minutes east of UTC
    state   INTEGER NOT NULL,      -- 1 deleted, 2 folded from more than one head, 4 purged (then 1 and 2 as well)
    chain   INTEGER NOT NULL,      -- chains.id of the change that is shown: who wrote it
    source  TEXT,                  -- address of a client that has no chain of its own
    first   INTEGER NOT NULL,      -- position of the change that came first
    last    INTEGER NOT NULL,      -- … and of the one that came last
    head    INTEGER NOT NULL       -- … and of the one that is shown
);
CREATE UNIQUE INDEX notes_id ON notes (id, journal);

-- A note's second and later changes.
CREATE TABLE edits (
    first    INTEGER NOT NULL,     -- notes.first
    position INTEGER NOT NULL,
    PRIMARY KEY (first, position)
) WITHOUT ROWID;

-- Where the change at a position found a note that it gave another time: what the index has to forget.
CREATE TABLE moved (
    position INTEGER PRIMARY KEY,
    key      INTEGER NOT NULL
);

-- How many notes a day has, deleted ones not counted.
CREATE TABLE days (
    day     INTEGER NOT NULL,
    journal INTEGER NOT NULL,
    notes   INTEGER NOT NULL,
    PRIMARY KEY (day, journal)
) WITHOUT ROWID;

-- Replica: changes that the server has not acknowledged.
CREATE TABLE outbox (
    chain    INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (chain, seq)
) WITHOUT ROWID;

-- Replica: where the server has a change.
CREATE TABLE receipts (
    position INTEGER PRIMARY KEY,  -- here
    server   INTEGER NOT NULL      -- there
);

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
