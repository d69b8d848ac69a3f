-- What people say of rows, and rows that a model proposes. Neither is part of a version.

-- A mark belongs to the row's texts: it is there wherever they are, in every version, and goes when they are edited.
CREATE TABLE row_marks (
    dataset_id INTEGER NOT NULL REFERENCES datasets (id) ON DELETE CASCADE,
    hash       BLOB NOT NULL,              -- dataset_rows.hash
    mark       TEXT NOT NULL CHECK (mark IN ('good', 'bad')),
    note       TEXT NOT NULL,
    marked_at  TEXT NOT NULL,
    PRIMARY KEY (dataset_id, hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE drafts (
    id          INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again: an accepted row names its draft
    dataset_id  INTEGER NOT NULL REFERENCES datasets (id) ON DELETE CASCADE,
    model       TEXT NOT NULL,
    seed_rows   TEXT NOT NULL,             -- JSON: numbers of the rows that were shown as examples
    topic       TEXT NOT NULL,
    instruction TEXT NOT NULL,
    output      TEXT NOT NULL,
    lang        TEXT NOT NULL,             -- zh | en
    near_row    INTEGER,                   -- the row, or
    near_draft  INTEGER,                   -- the earlier draft, that asks nearly the same
    jaccard     REAL,
    findings    TEXT NOT NULL,             -- rules of data quality that found something, with blanks between
    created_at  TEXT NOT NULL
) STRICT;
CREATE INDEX drafts_by_dataset ON drafts (dataset_id);
