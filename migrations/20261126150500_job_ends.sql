-- How far a job was when it ended (JSON, as its progress file had it), and the job that went on with its work.
ALTER TABLE jobs ADD COLUMN progress TEXT;
ALTER TABLE jobs ADD COLUMN resumed_as TEXT;
