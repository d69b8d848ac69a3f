-- How the answer was found, and what the model wrote where it wrote one.
ALTER TABLE outcomes ADD COLUMN mode TEXT NOT NULL DEFAULT 'loglikelihood'; -- loglikelihood | generate | cot | perplexity
ALTER TABLE outcomes ADD COLUMN written TEXT;                              -- JSON: {answer, extracted, metrics}
