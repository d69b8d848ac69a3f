-- Descriptions of tools get a column of their own: they were a part of the system message, and an export could not tell
-- the two apart. Rows from before keep theirs where they are.
ALTER TABLE dataset_rows ADD COLUMN tools TEXT NOT NULL DEFAULT '';
