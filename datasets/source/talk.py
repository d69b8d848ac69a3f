"""A consultation of several turns in two languages, and the register of their kinds."""

from sheet import Sheet, grouped

TALKS = []


class Talk:
    """Collects turns. A text may be a list of wordings: both languages then use the same place of their lists, and so do
    a question and its answer when both have as many."""

    def __init__(self, picker):
        self.pick = picker.pick
        self.turns = []

    def turn(self, ask_zh, ask_en, zh="", en="", sheet=None, end_zh="", end_en=""):
        """A question and its answer: an opening text, the lines of a sheet, a closing text; each may be missing."""
        at = self.pick(range(2))
        q, a, b = (self.pair(*texts, at) for texts in ((ask_zh, ask_en), (zh, en), (end_zh, end_en)))
        answer = {}
        for lang in ("zh", "en"):
            lines = [sheet.text(lang)] if sheet else []
            answer[lang] = "\n".join(x for x in (a[lang], *lines, b[lang]) if x)
        self.turns.append((q, answer))

    def pair(self, zh, en, at):
        """The wording in place `at` by language."""
        if isinstance(zh, list):
            zh, en = list(zip(zh, en, strict=True))[at % len(zh)]
        return {"zh": zh, "en": grouped(en)}


def sheet():
    """An empty worked answer."""
    return Sheet()


def talk(topic, name, concept=None):
    """Register a function of a `Talk` that adds the turns of one consultation."""

    def register(function):
        TALKS.append((topic, name, concept or name, function))
        return function

    return register
