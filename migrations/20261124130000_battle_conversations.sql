-- Imported battles may have several turns; `question` and `answer_*` hold only the first. Empty for one turn.
ALTER TABLE battles ADD COLUMN conversation_a TEXT NOT NULL DEFAULT ''; -- JSON: [{role, content}, …]
ALTER TABLE battles ADD COLUMN conversation_b TEXT NOT NULL DEFAULT '';
