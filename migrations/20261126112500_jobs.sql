-- Background jobs: commands of this program that a process of their own works on. Times are RFC 3339 in UTC.
CREATE TABLE jobs (
    id         TEXT PRIMARY KEY,           -- job-<date>-<time>-<4 hex>: sorts by time
    argv       TEXT NOT NULL,              -- JSON: arguments after the program's name, without --home
    cwd        TEXT NOT NULL,              -- what relative paths in argv start from
    title      TEXT NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('running', 'finished', 'failed', 'interrupted')),
    created_at TEXT NOT NULL,
    started_at TEXT,
    ended_at   TEXT,
    exit_code  INTEGER,
    pid        INTEGER,
    stops      INTEGER NOT NULL DEFAULT 0, -- how often it was asked to stop
    message    TEXT                        -- why it failed, with the hint on a line of its own
) STRICT;

-- The job whose process works or worked on a run; NULL for runs of a terminal.
ALTER TABLE runs ADD COLUMN job TEXT;
CREATE INDEX runs_by_job ON runs (job) WHERE job IS NOT NULL;
