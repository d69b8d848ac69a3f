-- Refused records that were written out to be corrected (`data rejects -o`): the whole path of that file. When it is
-- appended, those leave the list that are not refused again.
ALTER TABLE rejects ADD COLUMN written_to TEXT;
