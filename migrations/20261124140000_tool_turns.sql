-- Turns of a conversation whose question is a tool's result: JSON list of their numbers, the history first.
ALTER TABLE examples ADD COLUMN tool_turns TEXT NOT NULL DEFAULT '[]';
