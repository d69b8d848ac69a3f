"""Exact numbers, their printed form, and a picker that gives the same values on every Python."""

import hashlib
from fractions import Fraction

F = Fraction


def rounded(value):
    """Round half away from zero to two decimals, exactly."""
    value = Fraction(value)
    cents = (abs(value) * 100 + Fraction(1, 2)).__floor__()
    return Fraction(cents if value >= 0 else -cents, 100)


class Inexact(ValueError):
    """A number that two decimals cannot show stands where an exact one is meant."""


def plain(value):
    """An exact number for Chinese text: no thousands separators."""
    return show(exact(value), "")


def comma(value):
    """An exact number for English text: thousands separators."""
    return show(exact(value), ",")


def exact(value):
    """The value itself, or `Inexact`: a given number must not be rounded in silence."""
    if rounded(value) != Fraction(value):
        raise Inexact(str(value))
    return value


def show(value, separator, decimals=None):
    """Rounded to two decimals; whole numbers bare and no trailing zeros, unless `decimals` fixes it."""
    value = rounded(value)
    cents = abs(value.numerator * 100 // value.denominator)
    whole, rest = divmod(cents, 100)
    text = f"{whole:,}" if separator else str(whole)
    if decimals is None:
        tail = f".{rest:02d}".rstrip("0").rstrip(".")
    else:
        tail = f".{rest:02d}" if decimals else ""
    return ("−" if value < 0 else "") + text + tail


def result(value, separator=""):
    """`= 12.5`, or `≈ 12.35` when two decimals round the value."""
    sign = "=" if rounded(value) == Fraction(value) else "≈"
    return f"{sign} {show(value, separator)}"


class Picker:
    """Choices from SHA-256 of a key and a counter: no dependence on a library's random generator."""

    def __init__(self, key):
        self.key = key
        self.count = 0

    def below(self, n):
        """A number in 0..n."""
        digest = hashlib.sha256(f"{self.key}#{self.count}".encode()).digest()
        self.count += 1
        return int.from_bytes(digest[:8], "big") % n

    def pick(self, options):
        """One of a sequence."""
        options = list(options)
        return options[self.below(len(options))]

    def shuffled(self, items):
        """The items in a new order (Fisher–Yates)."""
        items = list(items)
        for i in range(len(items) - 1, 0, -1):
            j = self.below(i + 1)
            items[i], items[j] = items[j], items[i]
        return items
