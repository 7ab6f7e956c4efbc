"""The tables, and what is looked at before a file is trusted as a ledger."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from batcher.model import OPEN, FileState, State

APPLICATION_ID = 0x62746368
"""`btch`: how SQLite and `file` know a ledger."""

SCHEMA_VERSION = 3

_TABLE = re.compile(r"CREATE TABLE (\w+) \((?:\s*--.*)?\s*(\w+) ([^,\n]*)")


def one_of(states: Iterable[State | FileState], column: str = "state") -> str:
    """
    That a column holds one of these states; in the same words wherever an index over just these is to be used.

    Of what stands behind `IN` in a constraint, or in the condition of an index, SQLite makes a table anew for every row
    that is written: a tenth of all that a run does.
    """
    either = " OR ".join(f"{column} = '{state.value}'" for state in states)
    return f"({either})"


_STATES = one_of(State)

_FILES = f"""
CREATE TABLE needs (                     -- the files that must be at the account before a task is sent
    task_id INTEGER NOT NULL,
    digest TEXT NOT NULL,                -- SHA-256 of the content
    path TEXT NOT NULL,
    size INTEGER NOT NULL,
    place TEXT NOT NULL,                 -- the cell that names it
    PRIMARY KEY (task_id, digest)
) STRICT;
CREATE INDEX needs_by_digest ON needs (digest);

CREATE TABLE assets (                    -- the files that accounts hold
    account TEXT NOT NULL,
    digest TEXT NOT NULL,
    asset_id TEXT NOT NULL,
    url TEXT NOT NULL DEFAULT '',
    expires_at REAL,                     -- NULL: the API states no end
    PRIMARY KEY (account, digest)
) STRICT;

CREATE TABLE local_files (                     -- what the last plan of a job has looked at on this machine
    job TEXT NOT NULL,
    path TEXT NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (job, path)
) STRICT;

CREATE TABLE files (                     -- what has become of each file that is wanted of a task
    task_id INTEGER NOT NULL REFERENCES tasks,
    output TEXT NOT NULL,
    attempt_id INTEGER NOT NULL,         -- whose link it was fetched from
    state TEXT NOT NULL CHECK {one_of(FileState)},
    path TEXT NOT NULL,                  -- relative to the folder of the results file
    bytes INTEGER NOT NULL DEFAULT 0,
    at REAL NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (task_id, output)
) STRICT;
"""

_DECIDED = """
CREATE TABLE samples (                   -- the rows that were made first, and what they have shown
    job TEXT PRIMARY KEY,
    row_ids TEXT NOT NULL,               -- JSON list
    lengths TEXT NOT NULL,               -- JSON, step to how long its work came out
    priced REAL NOT NULL,
    charged REAL                         -- NULL: the balance could not tell
) STRICT;

CREATE TABLE approvals (                 -- what a person has agreed to
    job TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    digest TEXT NOT NULL,                -- of the job file's content
    tasks INTEGER NOT NULL,
    cost REAL,                           -- NULL: no price was known
    currency TEXT NOT NULL,
    approved_by TEXT NOT NULL,
    approved_at REAL NOT NULL
) STRICT;
"""

_HANDED = """
CREATE TABLE handed (                    -- jobs that workers look after
    job TEXT PRIMARY KEY,
    path TEXT NOT NULL,                  -- of the job file, the same on every machine
    at REAL NOT NULL,
    until REAL,                          -- NULL: no deadline
    every_s REAL,                        -- NULL: not planned again by itself
    failed_before INTEGER NOT NULL,      -- rows that were failed, and finished, when it was handed over
    finished_before INTEGER NOT NULL,
    stop TEXT NOT NULL DEFAULT '',       -- why nothing more is sent
    stop_exit INTEGER NOT NULL DEFAULT 0,
    ended_at REAL,                       -- NULL while it is worked on
    exit INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT ''
) STRICT;
"""

_BY_STATE = """\
CREATE INDEX tasks_waiting ON tasks (job, row_number, task_id) WHERE state = 'waiting';
CREATE INDEX tasks_invalid ON tasks (job) WHERE state = 'invalid';
CREATE INDEX tasks_done ON tasks (job, row_number) WHERE state = 'done';
"""

_BY_ACCOUNT = f"""\
CREATE INDEX attempts_open ON attempts (state, account) WHERE {one_of(OPEN)};
"""

TABLES = f"""
CREATE TABLE jobs (
    job TEXT PRIMARY KEY,
    path TEXT NOT NULL,
    account TEXT NOT NULL,
    operation TEXT NOT NULL,
    sheet TEXT NOT NULL,
    fingerprint TEXT NOT NULL DEFAULT '',
    row_count INTEGER NOT NULL DEFAULT 0,
    skipped INTEGER NOT NULL DEFAULT 0,
    planned_at REAL,
    written TEXT NOT NULL DEFAULT '',    -- the state of the ledger that the results file shows
    renew_at REAL                        -- when the first of its links should be renewed
) STRICT;

CREATE TABLE tasks (
    task_id INTEGER PRIMARY KEY,
    job TEXT NOT NULL,
    row_id TEXT NOT NULL,
    step TEXT NOT NULL,
    item TEXT NOT NULL,
    row_number INTEGER NOT NULL,
    operation TEXT NOT NULL,
    state TEXT NOT NULL CHECK {_STATES},
    input_hash TEXT NOT NULL,
    made_hash TEXT NOT NULL DEFAULT '',  -- input of the newest attempt; '' before the first
    path TEXT NOT NULL,
    body TEXT NOT NULL,
    flaws TEXT NOT NULL DEFAULT '',      -- JSON list of (place, message)
    estimate REAL,
    ready INTEGER NOT NULL DEFAULT 1,    -- 0: an earlier step of the row must be done before it can be sent
    cells TEXT NOT NULL DEFAULT '',      -- JSON, header to text: what its body is made from once it is ready
    gone INTEGER NOT NULL DEFAULT 0,     -- 1: its row is no longer in the sheet, or left out by `where`
    held INTEGER NOT NULL DEFAULT 0,     -- 1: a person keeps its row back
    not_before REAL NOT NULL DEFAULT 0,  -- its row is not sent before this instant
    made_from TEXT NOT NULL DEFAULT '',  -- JSON: the earlier steps its body uses, each with the number of its attempt
    UNIQUE (job, row_id, step, item)     -- a task is these four: no row is ever made twice because it was planned twice
) STRICT;
-- There is none of the states that a task only passes through: it would be written twice for every row.
{_BY_STATE}CREATE INDEX tasks_blocked ON tasks (job, row_id) WHERE ready = 0;

CREATE TABLE submissions (               -- one HTTP write, with the time its first byte may have left
    submission_id INTEGER PRIMARY KEY,
    account TEXT NOT NULL,
    operation TEXT NOT NULL,
    key TEXT NOT NULL,
    first_sent_at REAL NOT NULL,
    sends INTEGER NOT NULL DEFAULT 1,
    batch_id TEXT NOT NULL DEFAULT '',   -- the API's id of the batch that it has become
    size INTEGER NOT NULL DEFAULT 1,     -- how many attempts it carries
    holder TEXT NOT NULL DEFAULT ''      -- the worker that sends it; '' for the run that holds the job's lock
) STRICT;

CREATE INDEX submissions_batches ON submissions (key) WHERE batch_id <> '';

CREATE TABLE holders (                   -- workers, and until when each is believed to be alive
    holder TEXT PRIMARY KEY,
    alive_until REAL NOT NULL
) STRICT;

CREATE TABLE attempts (
    attempt_id INTEGER PRIMARY KEY,
    task_id INTEGER NOT NULL REFERENCES tasks,
    number INTEGER NOT NULL,
    submission_id INTEGER NOT NULL REFERENCES submissions,
    account TEXT NOT NULL,
    operation TEXT NOT NULL,
    state TEXT NOT NULL CHECK {_STATES},
    path TEXT NOT NULL,
    body TEXT NOT NULL,                  -- exactly as sent: resends use it unchanged
    key TEXT NOT NULL,
    token TEXT NOT NULL,
    remote_id TEXT NOT NULL DEFAULT '',
    word TEXT NOT NULL DEFAULT '',
    outputs TEXT NOT NULL DEFAULT '{{}}',
    error_code TEXT NOT NULL DEFAULT '',
    error TEXT NOT NULL DEFAULT '',
    advice TEXT NOT NULL DEFAULT '',
    estimate REAL,
    cost REAL,
    accepted_at REAL,
    completed_at REAL,
    took_s REAL,                         -- render time, where it is known well enough to learn from
    checked_at REAL,
    misses INTEGER NOT NULL DEFAULT 0,
    place INTEGER,                       -- its index in the batch that carries it; NULL: sent alone
    flag TEXT NOT NULL DEFAULT '',       -- what a person should know of it, whatever its state
    ended_at REAL,                       -- when it was seen finished, and let go of its slot, before its links were read
    UNIQUE (task_id, number)
) STRICT;
{_BY_ACCOUNT}CREATE INDEX attempts_by_id ON attempts (remote_id) WHERE remote_id <> '';
CREATE INDEX attempts_batched ON attempts (submission_id, place) WHERE place IS NOT NULL;
CREATE INDEX attempts_timed ON attempts (account, operation, completed_at) WHERE took_s IS NOT NULL;

CREATE TABLE sends (                     -- the log that rate windows are counted over
    account TEXT NOT NULL,
    at REAL NOT NULL,                    -- when it was let go; once answered, when the answer came: the server saw it by then
    answered INTEGER NOT NULL DEFAULT 0,
    submission_id INTEGER NOT NULL
) STRICT;
CREATE INDEX sends_by_time ON sends (account, at);
CREATE INDEX sends_under_way ON sends (submission_id) WHERE answered = 0;

CREATE TABLE accounts (
    account TEXT PRIMARY KEY,
    held_until REAL NOT NULL DEFAULT 0,
    held_why TEXT NOT NULL DEFAULT '',
    owner TEXT NOT NULL DEFAULT ''       -- whose it is, as the API says; a new key of the same owner is the same account
) STRICT;

CREATE TABLE moves (                     -- the history of every task
    task_id INTEGER NOT NULL,
    attempt_id INTEGER,
    at REAL NOT NULL,
    from_state TEXT NOT NULL,
    to_state TEXT NOT NULL,
    source TEXT NOT NULL,
    cause TEXT NOT NULL
) STRICT;

CREATE TABLE moved (                     -- one row once the ledger lives elsewhere: from then on nothing is done with it
    place TEXT PRIMARY KEY,
    at REAL NOT NULL
) STRICT;
{_FILES}
{_DECIDED}{_HANDED}"""


def statements(script: str) -> Sequence[str]:
    """The statements of a script, one by one."""
    return [each for each in script.split(";\n") if each.strip()]


MIGRATIONS: Mapping[int, tuple[str, ...]] = {
    1: (
        "ALTER TABLE jobs ADD COLUMN renew_at REAL",
        "ALTER TABLE attempts ADD COLUMN flag TEXT NOT NULL DEFAULT ''",
        *statements(_FILES),
        *statements(_DECIDED),
        "ALTER TABLE submissions ADD COLUMN batch_id TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE submissions ADD COLUMN size INTEGER NOT NULL DEFAULT 1",
        "ALTER TABLE attempts ADD COLUMN place INTEGER",
        "CREATE INDEX attempts_batched ON attempts (submission_id, place) WHERE place IS NOT NULL",
        "CREATE INDEX submissions_batches ON submissions (key) WHERE batch_id <> ''",
        "ALTER TABLE submissions ADD COLUMN holder TEXT NOT NULL DEFAULT ''",
        "CREATE TABLE holders (holder TEXT PRIMARY KEY, alive_until REAL NOT NULL) STRICT",
        "CREATE TABLE moved (place TEXT PRIMARY KEY, at REAL NOT NULL) STRICT",
        *statements(_HANDED),
        "ALTER TABLE tasks ADD COLUMN held INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE tasks ADD COLUMN not_before REAL NOT NULL DEFAULT 0",
        "ALTER TABLE tasks ADD COLUMN made_from TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE attempts ADD COLUMN ended_at REAL",
    ),
    2: (
        "DROP INDEX moves_by_task",  # three entries for every row, which only `batcher verify` has ever read
        "DROP INDEX tasks_by_state",
        *statements(_BY_STATE),
        "DROP INDEX attempts_open",
        *statements(_BY_ACCOUNT),
    ),
}
"""What leads from each version to the next; a ledger of every one that was ever released stands among the tests."""


def key_of_tables() -> Mapping[str, str]:
    """Each table, those that others refer to first, with the column that tells its rows apart in their order."""
    keys = (key_of(each) for each in statements(TABLES))
    return dict(each for each in keys if each)


def key_of(statement: str) -> tuple[str, str] | None:
    """
    The table that a statement makes, and the column that tells its rows apart: the first one, where that is declared
    as its key; otherwise `rowid`, which SQLite gives silently. None when it makes no table.
    """
    found = _TABLE.search(statement)
    return (found[1], found[2] if "PRIMARY KEY" in found[3] else "rowid") if found else None
