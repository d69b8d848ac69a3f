"""A consultation of several turns in two languages, and the register of their kinds."""

from sheet import Sheet, grouped

TALKS = []


class Talk:
    """Collects turns. A text may be a list of wordings: both languages then use the same place of their lists."""

    def __init__(self, picker):
        self.pick = picker.pick
        self.turns = []

    def turn(self, ask_zh, ask_en, zh="", en="", sheet=None, end_zh="", end_en=""):
        """A question and its answer: an opening text, the lines of a sheet, a closing text; each may be missing."""
        q = self.pair(ask_zh, ask_en)
        a, b = self.pair(zh, en), self.pair(end_zh, end_en)
        answer = {}
        for lang in ("zh", "en"):
            lines = [sheet.text(lang)] if sheet else []
            answer[lang] = "\n".join(x for x in (a[lang], *lines, b[lang]) if x)
        self.turns.append((q, answer))

    def pair(self, zh, en):
        """The chosen wording by language."""
        if isinstance(zh, list):
            zh, en = self.pick(list(zip(zh, en, strict=True)))
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
