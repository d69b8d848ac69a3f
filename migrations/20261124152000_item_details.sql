-- What re-scoring and pairing need to know of an item: {content, category, lengths, tokens, order}; '{}' in earlier runs.
ALTER TABLE outcomes ADD COLUMN detail TEXT NOT NULL DEFAULT '{}';
