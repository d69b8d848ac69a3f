"""The definition tier: a question for the meaning of a term, four definitions as the options."""

import re
import tomllib
from pathlib import Path

from concepts import load
from exact import Picker

LANGS = ("zh", "en")
PER_ITEM = 3

# The questions stand without their options too: the options may be scored as answers of a chat model.
ASK = {
    "zh": ["“{}”一词是什么意思？", "怎样理解“{}”这个概念？", "有人提到“{}”，他在说什么？",
           "金融里把什么叫作“{}”？", "理财时常听到的“{}”，究竟说的是什么？", "“{}”的含义用一句话怎么说？"],
    "en": ["What does the term \"{}\" mean in finance?", "What is meant by \"{}\" in money matters?",
           "A friend asks about \"{}\". What do you answer?", "Somebody mentions \"{}\". What do they mean?",
           "What do people understand by \"{}\"?", "Could you put \"{}\" in plain words for me?"],
}

# Concepts of different topics whose definitions could be argued to fit each other's term.
TOO_CLOSE = [
    {"asset-allocation", "diversification"},
    {"net-worth", "net-asset-value"},
    {"net-worth", "goodwill"},
    {"demand-deposit", "debit-card"},
    {"lock-up-period", "vesting"},
    {"volatility", "duration"},
    {"short-selling", "hedging"},
    {"inflation", "real-interest-rate"},
    {"internal-rate-of-return", "break-even-point"},
    {"internal-rate-of-return", "real-interest-rate", "dividend-yield", "coupon-rate"},
    {"annuity", "regular-investment-plan"},
    {"annuity", "premium"},
    {"share-buyback", "redemption"},
]

# The longest option of an item is at most this much longer than its shortest.
SPREAD = 1.5
# Longest definition: characters (Chinese) or words (English).
LONGEST = {"zh": 40, "en": 22}


class Definition:
    """A concept of datasets/ with a definition of its own in each language."""

    def __init__(self, name, concept, entry):
        self.id = name
        self.topic = concept.topic
        self.part = entry.get("part", "test")
        self.text = {lang: entry[lang] for lang in LANGS}
        self.term = {"zh": concept.text["zh"].term, "en": re.sub("^(a|an|the) ", "", concept.text["en"].term)}


def definitions():
    """All definitions, in the order of the file."""
    concepts = {c.id: c for c in load()}
    table = tomllib.loads(Path(__file__).with_name("definitions.toml").read_text(encoding="utf-8"))
    return [Definition(name, concepts[name], entry) for name, entry in table.items()]


def fits(right, others):
    """Whether the definitions of `others` may stand as the wrong options beside `right`."""
    names = [right.id, *(o.id for o in others)]
    if len(set(names)) < len(names) or any(o.topic == right.topic for o in others):
        return False
    if any(right.id in group and other in group for group in TOO_CLOSE for other in names[1:]):
        return False
    for lang in LANGS:
        sizes = [len(d.text[lang]) for d in (right, *others)]
        if max(sizes) > SPREAD * min(sizes):
            return False
    return True


def deal(part, dealt, picker):
    """One more wrong option for each of `part`, every definition once, beside those in `dealt`; None if the draw fails.

    A place where the drawn definition does not fit changes with one where both do.
    """
    hand = picker.shuffled(part)
    for i in range(len(part)):
        if fits(part[i], [*dealt[i], hand[i]]):
            continue
        for j in picker.shuffled(range(len(part))):
            if fits(part[i], [*dealt[i], hand[j]]) and (j > i or fits(part[j], [*dealt[j], hand[i]])):
                hand[i], hand[j] = hand[j], hand[i]
                break
        else:
            return None
    return [[*own, other] for own, other in zip(dealt, hand)]


def wrong_options(part, name):
    """Three other definitions for each of `part`, so that each is a wrong option three times in all."""
    for attempt in range(1000):
        dealt = [[] for _ in part]
        for number in range(PER_ITEM):
            dealt = dealt and deal(part, dealt, Picker(f"finance-qa/{name}/{attempt}/{number}"))
        if dealt:
            return dealt
    raise SystemExit(f"{name}: the definitions cannot be dealt out; allow more beside each other or write more")


def definition_items():
    """(id, topic, part, {lang: [question, right, wrong, wrong, wrong]}) of all items, as for the other tier."""
    out = []
    for part in ("dev", "test"):
        own = [d for d in definitions() if d.part == part]
        for right, others in zip(own, wrong_options(own, f"define/{part}")):
            texts = {}
            for lang in LANGS:
                ask = Picker(f"finance-qa/define/{lang}/{right.id}").pick(ASK[lang]).format(right.term[lang])
                texts[lang] = [ask, right.text[lang], *(o.text[lang] for o in others)]
            out.append((f"define-{right.id}", right.topic, part, texts))
    return out


def shared_word(term, text, lang):
    """A word of the term (two characters in Chinese) that stands in its definition, or None."""
    if lang == "zh":
        return next((term[i:i + 2] for i in range(len(term) - 1) if term[i:i + 2] in text), None)
    small = {"of", "off", "up", "per", "the", "a"}
    words = set(re.findall(r"\w+", text.lower()))
    return next((w for w in re.findall(r"\w+", term.lower()) if w in words - small), None)


def definition_findings(rows, lang):
    """What is wrong with the definitions in one language, as a list of sentences. `rows` are those of terms-{lang}."""
    found, seen = [], set()
    taught = {r["id"].split("/")[1] for r in rows if r["split"] == "train"}
    for d in definitions():
        text = d.text[lang]
        size = len(text) if lang == "zh" else len(text.split())
        if d.id not in taught:
            found.append(f"{d.id}: no training row explains it")
        if size > LONGEST[lang]:
            found.append(f"{lang} {d.id}: the definition is too long ({size})")
        if text in seen:
            found.append(f"{lang} {d.id}: the definition is used twice")
        seen.add(text)
        word = shared_word(d.term[lang], text, lang)
        if word:
            found.append(f"{lang} {d.id}: the definition holds {word!r} of its own term")
    return found
