"""How much of a benchmark item's text also stands in a training row."""

import re

LONG = 13
SHORT = 5
LIMIT = 0.5


def words(text, lang):
    """Letters and digits only: characters for Chinese, words for English."""
    text = text.lower()
    return re.findall(r"\w", text) if lang == "zh" else re.findall(r"\w+", text)


def grams(parts, size):
    """The set of runs of `size` parts."""
    return {tuple(parts[i:i + size]) for i in range(len(parts) - size + 1)}


def characters(text):
    """Runs of five characters, letters and digits only."""
    return grams(re.findall(r"\w", text.lower()), SHORT)


def text_of(row):
    """All text of a training row."""
    turns = [part for turn in row.get("history", []) for part in turn]
    return " ".join([*turns, row["instruction"], row["input"], row["output"]])


class Corpus:
    """The training rows' n-grams, made once."""

    def __init__(self, rows, lang):
        self.lang = lang
        self.rows = [(r["id"], characters(text_of(r))) for r in rows]
        self.long = {}
        for r in rows:
            for gram in grams(words(text_of(r), lang), LONG):
                self.long.setdefault(gram, r["id"])

    def findings(self, name, question, options=()):
        """Sentences for: a shared run of 13, or over half of the item's 5-grams in one row."""
        found = []
        for text in (question, *options):
            for gram in grams(words(text, self.lang), LONG):
                if gram in self.long:
                    found.append(f"{name}: shares {''.join(gram)!r} with {self.long[gram]}")
                    break
        for text in (question, " ".join((question, *options))):
            mine = characters(text)
            for row_id, theirs in self.rows:
                share = len(mine & theirs) / max(len(mine), 1)
                if share > LIMIT:
                    found.append(f"{name}: {share:.0%} of its 5-grams stand in {row_id}")
        return found
