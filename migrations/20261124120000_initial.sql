-- Times are RFC 3339 in UTC. Hashes are lower-case hex SHA-256. JSON columns hold UTF-8 text.

CREATE TABLE datasets (
    id         INTEGER PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    version    TEXT NOT NULL,              -- hash over all rows: the same rows give the same version
    source     TEXT NOT NULL DEFAULT '',
    licence    TEXT NOT NULL DEFAULT '',
    created_at TEXT NOT NULL
) STRICT;

CREATE TABLE examples (
    dataset_id  INTEGER NOT NULL REFERENCES datasets (id) ON DELETE CASCADE,
    row         INTEGER NOT NULL,          -- from 0, in the order of import
    split       TEXT NOT NULL CHECK (split IN ('train', 'val')),
    lang        TEXT NOT NULL,             -- zh | en
    instruction TEXT NOT NULL,
    input       TEXT NOT NULL,
    output      TEXT NOT NULL,
    system      TEXT NOT NULL,
    history     TEXT NOT NULL,             -- JSON: [[question, answer], …]
    hash        TEXT NOT NULL,
    file        TEXT NOT NULL,
    line        INTEGER NOT NULL,          -- from 1
    PRIMARY KEY (dataset_id, row)
) STRICT, WITHOUT ROWID;

CREATE TABLE rejects (
    dataset_id INTEGER NOT NULL REFERENCES datasets (id) ON DELETE CASCADE,
    file       TEXT NOT NULL,
    line       INTEGER NOT NULL,
    reason     TEXT NOT NULL
) STRICT;

-- One row per job: a training, a benchmark score, an arena session.
CREATE TABLE runs (
    id              TEXT PRIMARY KEY,
    kind            TEXT NOT NULL CHECK (kind IN ('train', 'eval', 'arena')),
    status          TEXT NOT NULL CHECK (status IN ('running', 'done', 'failed', 'cancelled')),
    model           TEXT NOT NULL DEFAULT '',
    model_hash      TEXT NOT NULL DEFAULT '',
    adapter         TEXT NOT NULL DEFAULT '',
    adapter_hash    TEXT NOT NULL DEFAULT '',
    dataset         TEXT NOT NULL DEFAULT '',
    dataset_version TEXT NOT NULL DEFAULT '',
    task            TEXT NOT NULL DEFAULT '',
    template        TEXT NOT NULL DEFAULT '',
    config          TEXT NOT NULL,         -- JSON: everything that was asked for
    result          TEXT,                  -- JSON: everything that came out
    code_version    TEXT NOT NULL,
    started_at      TEXT NOT NULL,
    finished_at     TEXT,
    error           TEXT                   -- JSON: {kind, message, hint}
) STRICT;
CREATE INDEX runs_by_time ON runs (started_at);

CREATE TABLE events (
    run_id  TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    seq     INTEGER NOT NULL,              -- from 1, without holes
    at      TEXT NOT NULL,
    payload TEXT NOT NULL,                 -- JSON: a JobEvent
    PRIMARY KEY (run_id, seq)
) STRICT, WITHOUT ROWID;

-- What a model made of one benchmark item.
CREATE TABLE outcomes (
    run_id         TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    task           TEXT NOT NULL,
    subject        TEXT NOT NULL,
    item           TEXT NOT NULL,
    prompt         TEXT NOT NULL,
    prompt_hash    TEXT NOT NULL,
    choices        TEXT NOT NULL,          -- JSON: the continuations that were scored
    loglikelihoods TEXT NOT NULL,          -- JSON: natural logarithms, one per choice
    pred           TEXT NOT NULL,
    gold           TEXT NOT NULL,
    correct        INTEGER NOT NULL,
    PRIMARY KEY (run_id, task, subject, item)
) STRICT, WITHOUT ROWID;

CREATE TABLE adapters (
    name            TEXT PRIMARY KEY,
    dir             TEXT NOT NULL,
    hash            TEXT NOT NULL,
    base            TEXT NOT NULL,
    base_hash       TEXT NOT NULL,
    template        TEXT NOT NULL,
    dataset         TEXT NOT NULL,
    dataset_version TEXT NOT NULL,
    run_id          TEXT NOT NULL,
    created_at      TEXT NOT NULL
) STRICT;

CREATE TABLE arenas (
    name       TEXT PRIMARY KEY,
    created_at TEXT NOT NULL
) STRICT;

CREATE TABLE questions (
    arena     TEXT NOT NULL REFERENCES arenas (name) ON DELETE CASCADE,
    id        TEXT NOT NULL,
    text      TEXT NOT NULL,
    reference TEXT NOT NULL DEFAULT '',    -- a known good answer, for the reference judge
    language  TEXT NOT NULL,
    PRIMARY KEY (arena, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE battles (
    id          INTEGER PRIMARY KEY,
    arena       TEXT NOT NULL REFERENCES arenas (name) ON DELETE CASCADE,
    run_id      TEXT NOT NULL DEFAULT '',
    question_id TEXT NOT NULL,
    question    TEXT NOT NULL,
    model_a     TEXT NOT NULL,             -- shown on the left; sides were drawn at random
    model_b     TEXT NOT NULL,
    answer_a    TEXT NOT NULL,
    answer_b    TEXT NOT NULL,
    winner      TEXT CHECK (winner IN ('model_a', 'model_b', 'tie', 'tie (bothbad)')),
    judge       TEXT NOT NULL DEFAULT '',  -- human | reference | the name in an imported file
    anony       INTEGER NOT NULL DEFAULT 1,
    language    TEXT NOT NULL DEFAULT '',
    turn        INTEGER NOT NULL DEFAULT 1,
    flagged     TEXT NOT NULL DEFAULT '',  -- why it does not rate (an answer names its model)
    tstamp      TEXT NOT NULL
) STRICT;
CREATE INDEX battles_by_arena ON battles (arena);

-- Hashing a model of many gigabytes takes long: remembered by path, size and modification time.
CREATE TABLE file_hashes (
    path  TEXT PRIMARY KEY,
    size  INTEGER NOT NULL,
    mtime INTEGER NOT NULL,
    hash  TEXT NOT NULL
) STRICT;
