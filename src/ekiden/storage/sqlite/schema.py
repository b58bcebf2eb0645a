"""spool.db: its tables, and the statement that carries nearly all letters.

Rules
1. A leg is in exactly one state: `claimed_by` set (claimed), else `next_attempt` set (waiting), else held.
2. The queue's indexes are partial, on waiting legs: a letter that is born claimed and delivered from memory touches
   none (DESIGN §4 rule 7). `leg_due` says what is due; `leg_hop` and `leg_flow` say whose turn it is when more is due
   than is claimed at once (see `turns`). Keys grow with time, so that rows are appended.
3. `letter.legs` is the next free leg number: a number is never used twice within a letter.
4. Content up to 64 KiB (and reports) is a row of `content`; else a file, see `content.ContentFiles`.
5. The newest row of `outbox` is never deleted: ids are never used again, so that the mover can repeat itself after a
   crash. The first row (letter 0, empty) takes its id from the date, so that a new spool beside old history keeps
   that, too.
6. Blobs are msgpack of the model's structs; fields are only ever added, at the end, with a default.

The view and triggers of OWN are each writing connection's own (TEMP). They exist because every call into SQLite gives
the interpreter's lock away and must win it back from a busy event loop, while the other processes wait for the write
lock: with them a whole batch of letters coming and going is one statement, which is a transaction by itself.
"""

from __future__ import annotations

from typing import Final

#: 'EKsp'
APPLICATION_ID: Final = 0x454B7370

STEPS: Final = (
    (
        "CREATE TABLE letter (id INTEGER PRIMARY KEY, legs INTEGER NOT NULL, envelope BLOB NOT NULL)",
        "CREATE TABLE content (letter INTEGER PRIMARY KEY, octets BLOB NOT NULL)",
        """CREATE TABLE leg (
            letter INTEGER NOT NULL, number INTEGER NOT NULL, next_hop TEXT NOT NULL, flow TEXT NOT NULL,
            priority INTEGER NOT NULL, attempts INTEGER NOT NULL, next_attempt REAL, claimed_by INTEGER,
            hold_reason TEXT NOT NULL, recipients BLOB NOT NULL, PRIMARY KEY (letter, number)) WITHOUT ROWID""",
        "CREATE INDEX leg_due ON leg (priority, next_attempt) WHERE next_attempt IS NOT NULL",
        "CREATE TABLE outbox (id INTEGER PRIMARY KEY, letter INTEGER NOT NULL, entry BLOB NOT NULL)",
        "INSERT INTO outbox VALUES (unixepoch() << 20, 0, x'')",
        "CREATE TABLE incarnation (number INTEGER PRIMARY KEY AUTOINCREMENT, started REAL NOT NULL, pid INTEGER)",
    ),
    (
        """CREATE TABLE suspension (site TEXT PRIMARY KEY, until REAL, reason TEXT NOT NULL, by TEXT NOT NULL,
            since REAL NOT NULL) WITHOUT ROWID""",
    ),
    (
        "CREATE INDEX leg_hop ON leg (priority, next_hop, next_attempt) WHERE next_attempt IS NOT NULL",
        # the next hop is there to be read, not to be sorted by
        """CREATE INDEX leg_flow ON leg (priority, flow, next_attempt, letter, number, next_hop)
            WHERE next_attempt IS NOT NULL""",
    ),
    (
        # few rows, written when a site's state changes and never for a letter; `told`: a SiteStatus
        """CREATE TABLE site (name TEXT NOT NULL, incarnation INTEGER NOT NULL, told BLOB NOT NULL,
            PRIMARY KEY (name, incarnation)) WITHOUT ROWID""",
    ),
    (
        # what is held is found without reading a backlog; nothing is in it of a letter that nobody holds
        "CREATE INDEX leg_held ON leg (letter, number) WHERE hold_reason != ''",
    ),
)

#: Columns of `work`.
WORK_WIDTH: Final = 10

#: What carries nearly all letters. A row with `next_hop`: a letter with its first leg (`number`: how many legs it has;
#: `told`: the envelope). One without: the last word on a leg (`told`: the trail's entry); if `claimed_by` does not hold
#: it any more, nothing changes and the function `lost` is told. Rows of NULLs only fill a statement up.
OWN: Final = (
    """CREATE TEMP VIEW work (letter, number, told, octets, next_hop, flow, priority, next_attempt, claimed_by,
        recipients) AS SELECT 0, 0, 0, 0, 0, 0, 0, 0, 0, 0""",
    """CREATE TEMP TRIGGER accepting INSTEAD OF INSERT ON work WHEN new.next_hop IS NOT NULL BEGIN
        INSERT INTO letter VALUES (new.letter, new.number, new.told);
        INSERT INTO content SELECT new.letter, new.octets WHERE new.octets IS NOT NULL;
        INSERT INTO leg VALUES (new.letter, 0, new.next_hop, new.flow, new.priority, 0, new.next_attempt,
            new.claimed_by, '', new.recipients);
    END""",
    """CREATE TEMP TRIGGER finishing INSTEAD OF INSERT ON work
        WHEN new.next_hop IS NULL AND new.letter IS NOT NULL BEGIN
        DELETE FROM leg WHERE letter = new.letter AND number = new.number AND claimed_by = new.claimed_by;
        INSERT INTO outbox (letter, entry) SELECT new.letter, new.told WHERE changes() = 1;
        SELECT lost(new.letter, new.number) WHERE changes() = 0;
        DELETE FROM letter WHERE id = new.letter AND NOT EXISTS (SELECT 1 FROM leg WHERE letter = new.letter);
        DELETE FROM content WHERE letter = new.letter AND changes() = 1;
    END""",
)
