-- What decides, together with a prompt, what a scored model answers: a hash over weights, adapter, tokenizer, arithmetic and
-- engine. Runs of the same examinee take answers to the same prompts from each other. Empty: not known (a server's model).
ALTER TABLE runs ADD COLUMN examinee TEXT NOT NULL DEFAULT '';
CREATE INDEX runs_by_examinee ON runs (examinee) WHERE examinee <> '';
