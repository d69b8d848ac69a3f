-- Datasets get a history, stored rejects their text, and rows an index for searching.
--
-- A row is a record for as long as it stays the same: it is of the versions n with
-- added_in <= n and (removed_in is null or n < removed_in). An edit ends one record and adds one.

ALTER TABLE datasets ADD COLUMN deleted_at TEXT; -- set: deleted, and can be restored

CREATE TABLE dataset_versions (
    dataset_id INTEGER NOT NULL REFERENCES datasets (id) ON DELETE CASCADE,
    number     INTEGER NOT NULL,           -- from 1, without holes
    hash       TEXT NOT NULL,              -- over all rows: the same rows give the same hash
    message    TEXT NOT NULL,
    created_at TEXT NOT NULL,
    row_end    INTEGER NOT NULL,           -- one more than the largest row number so far, deleted rows included
    rows       INTEGER NOT NULL,
    val        INTEGER NOT NULL,
    zh         INTEGER NOT NULL,
    en         INTEGER NOT NULL,
    rejected   INTEGER NOT NULL,
    PRIMARY KEY (dataset_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE dataset_tags (
    dataset_id INTEGER NOT NULL REFERENCES datasets (id) ON DELETE CASCADE,
    tag        TEXT NOT NULL,
    number     INTEGER NOT NULL,
    PRIMARY KEY (dataset_id, tag)
) STRICT, WITHOUT ROWID;

CREATE TABLE dataset_files (
    id         INTEGER PRIMARY KEY,
    dataset_id INTEGER NOT NULL REFERENCES datasets (id) ON DELETE CASCADE,
    name       TEXT NOT NULL,
    UNIQUE (dataset_id, name)
) STRICT;

CREATE TABLE dataset_rows (
    id          INTEGER PRIMARY KEY,       -- (dataset_id << 44) | (row << 12) | revision: in the order of reading
    added_in    INTEGER NOT NULL,
    removed_in  INTEGER,
    val         INTEGER NOT NULL CHECK (val IN (0, 1)),
    lang        TEXT NOT NULL,             -- zh | en
    hash        BLOB NOT NULL,             -- SHA-256 of the row's texts
    file        INTEGER NOT NULL,          -- dataset_files.id
    line        INTEGER NOT NULL,          -- from 1
    instruction TEXT NOT NULL,
    input       TEXT NOT NULL,
    output      TEXT NOT NULL,
    system      TEXT NOT NULL,
    history     TEXT NOT NULL,             -- JSON: [[question, answer], …]; '' for none
    tool_turns  TEXT NOT NULL              -- JSON: turns whose question is a tool's result, the history first; '' for none
) STRICT;

INSERT INTO dataset_files (dataset_id, name) SELECT DISTINCT dataset_id, file FROM examples;

INSERT INTO dataset_rows
SELECT (dataset_id << 44) | (row << 12), 1, NULL, split = 'val', lang, unhex(hash), f.id, line, instruction, input, output, system,
       iif(history = '[]', '', history), iif(tool_turns = '[]', '', tool_turns)
FROM examples e JOIN dataset_files f USING (dataset_id) WHERE f.name = e.file ORDER BY dataset_id, row;

INSERT INTO dataset_versions
SELECT d.id, 1, d.version, 'import', d.created_at, coalesce(max(e.row) + 1, 0), count(e.row),
       coalesce(sum(e.split = 'val'), 0), coalesce(sum(e.lang = 'zh'), 0), coalesce(sum(e.lang = 'en'), 0),
       (SELECT count(*) FROM rejects r WHERE r.dataset_id = d.id)
FROM datasets d LEFT JOIN examples e ON e.dataset_id = d.id GROUP BY d.id;

DROP TABLE examples;
ALTER TABLE datasets DROP COLUMN version;

ALTER TABLE rejects ADD COLUMN raw TEXT NOT NULL DEFAULT '';            -- the record as it stood in the file, cut when long
ALTER TABLE rejects ADD COLUMN added_in INTEGER NOT NULL DEFAULT 1;     -- versions, as for rows
ALTER TABLE rejects ADD COLUMN removed_in INTEGER;
CREATE INDEX rejects_by_dataset ON rejects (dataset_id);

-- The index for searching (src/store/gram_index.rs). Rows behind the last segment are searched one by one.
CREATE TABLE search_segments (
    id         INTEGER PRIMARY KEY,
    dataset_id INTEGER NOT NULL REFERENCES datasets (id) ON DELETE CASCADE,
    first_row  INTEGER NOT NULL,
    rows       INTEGER NOT NULL
) STRICT;
CREATE INDEX search_segments_by_dataset ON search_segments (dataset_id, first_row);

CREATE TABLE search_pages (
    id       INTEGER PRIMARY KEY,          -- (search_segments.id << 12) | page
    postings BLOB NOT NULL
) STRICT;

-- Rows of a segment whose text was changed after it was made: they are always looked at.
CREATE TABLE search_changed (
    dataset_id INTEGER NOT NULL REFERENCES datasets (id) ON DELETE CASCADE,
    row        INTEGER NOT NULL,
    PRIMARY KEY (dataset_id, row)
) STRICT, WITHOUT ROWID;
