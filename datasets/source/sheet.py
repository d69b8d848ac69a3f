"""A worked answer in two languages: each line is computed from the very formula that it shows."""

import re
from fractions import Fraction as F

from exact import Inexact, result, rounded, show

# How a result is written: Chinese, English.
UNITS = {
    "money": ("{}元", "${}"),
    "wan": ("{}万元", "${} thousand"),
    "percent": ("{}%", "{}%"),
    "point": ("{}个百分点", "{} percentage points"),
    "times": ("{}倍", "{} times"),
    "number": ("{}", "{}"),
    "yi": ("{}亿", "{} billion"),
    "month": ("{}个月", "{} months"),
    "year": ("{}年", "{} years"),
    "day": ("{}天", "{} days"),
    "unit": ("{}份", "{} units"),
    "share": ("{}股", "{} shares"),
    "piece": ("{}件", "{} pieces"),
    "home": ("{}单位本币", "{} home units"),
    "foreign": ("{}单位外币", "{} foreign units"),
}


class Num(F):
    """A fraction that prints as a plain decimal with at most two places."""

    def __str__(self):
        return show(self, "")

    def __format__(self, form):
        return show(self, "," if form == "," else "")


def calc(formula):
    """The exact value of `12000 × 3.6% ÷ 12`, with `^` for powers."""
    text = re.sub(r"(\d+(?:\.\d+)?)(%?)", lambda m: f"(F('{m[1]}'){'/100' if m[2] else ''})", str(formula))
    for sign, python in (("×", "*"), ("÷", "/"), ("−", "-"), ("^", "**")):
        text = text.replace(sign, python)
    return Num(eval(text, {"__builtins__": {}, "F": F}))  # noqa: S307 - formulas of this folder only


def nice(formula):
    """A given number of a question: `Inexact` when two decimals do not show it."""
    value = calc(formula)
    if rounded(value) != value:
        raise Inexact(str(formula))
    return value


def grouped(text):
    """Thousands separators for English text."""
    return re.sub(r"(?<![\d.,])\d{4,}", lambda m: f"{int(m[0]):,}", text)


class Sheet:
    """Lines of a worked answer. A rounded result is used as it is shown in the lines after it."""

    def __init__(self):
        self.lines = {"zh": [], "en": []}
        self.results = []

    def line(self, zh, en, formula, unit="money"):
        """Add `label = formula = result` and return the result as shown."""
        value = calc(formula) * (100 if unit == "percent" else 1)
        shown = UNITS[unit]
        for lang, label, separator, form in (("zh", zh, "", shown[0]), ("en", grouped(en), ",", shown[1])):
            sign, number = result(value, separator).split(" ")
            text = formula if lang == "zh" else grouped(formula)
            stop = "。" if lang == "zh" else "."
            minus = "−" if number.startswith("−") else ""
            self.lines[lang].append(f"{label} = {text} {sign} {minus}{form.format(number.lstrip('−'))}{stop}")
        self.results.append(rounded(value))
        return Num(rounded(value))

    def say(self, zh, en):
        """Add a sentence without a formula."""
        self.lines["zh"].append(zh)
        self.lines["en"].append(grouped(en))

    def text(self, lang):
        """The answer, one line per step."""
        return "\n".join(self.lines[lang])


WORKED = []


def worked(topic, name, concept=None):
    """Register a function of a `Picker` and a `Sheet` that returns Chinese and English wordings of one problem."""

    def register(function):
        WORKED.append((topic, name, concept or name, function))
        return function

    return register


PEOPLE = [
    ("王女士", "Ms Hall"), ("李先生", "Mr Ortiz"), ("陈阿姨", "Mrs Novak"), ("小周", "Ben"), ("赵老师", "Ms Keller"),
    ("刘师傅", "Mr Adams"), ("孙医生", "Dr Blake"), ("小吴", "Nina"), ("何先生", "Mr Lund"), ("林女士", "Ms Rossi"),
]


def who(k):
    """A person's name in both languages."""
    return k.pick(PEOPLE)
