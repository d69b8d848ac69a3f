"""What a computed problem is, and the register of their kinds."""

from dataclasses import dataclass, field
from fractions import Fraction

from exact import result

KINDS = []


@dataclass
class Problem:
    """Wordings and worked answer in both languages, the exact value and its unit.

    `wrong` holds results of typical slips; they become the other options of a multiple-choice row.
    A problem without them is asked as an open question only.
    """

    zh: list
    en: list
    zh_answer: str
    en_answer: str
    value: Fraction
    unit: str = "money"
    wrong: list = field(default_factory=list)


def kind(topic, name, concept=None):
    """Register a function that draws one problem from a `Picker`.

    `concept` is the concept it exercises (its own name where there is none): both stay in one split.
    """

    def register(function):
        KINDS.append((topic, name, concept or name, function))
        return function

    return register


def money(value):
    """`= 600元` and `= $600`: sign, amount and unit for both languages."""
    english = result(value, ",")
    return f"{result(value)}元", f"{english[:2]}${english[2:]}"
