"""The hand-written concepts: one TOML file per topic beside this file."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

TOPICS = [
    "savings", "insurance", "wealth", "risk", "stocks", "funds", "bonds",
    "loans", "cards", "pension", "accounting", "tax", "macro",
]

# Concepts of one topic whose descriptions fit each other too well to be rival options.
TOO_CLOSE = [
    {"annuity", "perpetuity"},
    {"present-value", "net-present-value", "discount-rate", "internal-rate-of-return"},
    {"insured", "policyholder", "beneficiary"},
    {"deductible", "co-payment"},
    {"mutual-fund", "open-end-fund", "closed-end-fund", "exchange-traded-fund", "index-fund",
     "money-market-fund", "bond-fund", "equity-fund", "fund-of-funds"},
    {"market-risk", "systematic-risk", "inflation-risk"},
    {"zero-coupon-bond", "government-bond", "corporate-bond", "convertible-bond", "callable-bond", "premium-bond"},
    {"yield-to-maturity", "current-yield"},
    {"indirect-tax", "value-added-tax", "tariff"},
    {"direct-tax", "progressive-tax", "proportional-tax"},
    {"funded-pension", "defined-contribution", "occupational-pension", "pension-insurance", "pay-as-you-go"},
    {"social-insurance", "pension-insurance", "unemployment-insurance", "work-injury-insurance"},
    {"share", "preferred-share"},
    {"credit-limit", "revolving-credit", "cash-advance"},
    {"monetary-policy", "open-market-operations", "reserve-requirement"},
    {"asset-allocation", "diversification"},
]


@dataclass
class Text:
    """One concept in one language."""

    term: str
    gist: str
    explanation: str
    question: str
    answer: str


@dataclass
class Concept:
    """A concept, its topic, and its text by language (`zh`, `en`)."""

    id: str
    topic: str
    text: dict


def load():
    """All concepts, in the order of the topics and of the files."""
    concepts = []
    for topic in TOPICS:
        path = Path(__file__).with_name(f"{topic}.toml")
        for name, table in tomllib.loads(path.read_text(encoding="utf-8")).items():
            concepts.append(Concept(name, topic, {lang: Text(*table[lang]) for lang in ("zh", "en")}))
    return concepts


def too_close(a, b):
    """Whether two concepts may not stand as options of one question."""
    return any(a in group and b in group for group in TOO_CLOSE)


def label(term):
    """An option's text from an English term: no article, first letter large."""
    for article in ("a ", "an ", "the "):
        if term.startswith(article):
            term = term[len(article):]
    return term[0].upper() + term[1:]
