#!/usr/bin/env python3
"""Check the written files from their text alone: shares no code with the generator. Run by `generate.py --check`.

    python3 datasets/verify.py    prints what is wrong; exit 1 if anything is

Checked: every formula of an answer equals the result that follows it, and uses only numbers of the prompt, of
earlier results and of the calendar; no row twice; no row of the training part nearly equal to a held-out one;
lengths; languages; and that the two languages say the same.
"""

import json
import re
import sys
from fractions import Fraction
from pathlib import Path

HERE = Path(__file__).resolve().parent

# Longest answer: characters of Chinese, words of English. Each turn of a consultation counts by itself.
LONGEST = {
    "terms": (90, 60), "computed": (90, 60), "choice": (90, 60), "worked": (180, 110), "dialogue": (180, 110),
    "refusal": (90, 60), "explain": (90, 60), "parallel": (90, 60), "table": (180, 110), "extract": (90, 60),
}
COMPUTED = ("computed", "worked", "dialogue", "table")
# Numbers that a formula may hold without being told: units of time and of quotation, and small counts.
KNOWN = {"0", "1", "2", "3", "4", "5", "10", "12", "15", "30", "72", "100", "360", "365", "1000", "2000", "10000", "0.05"}
NEAR = 0.7
CHINESE = re.compile(r"[\u3400-\u9fff]")
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
PART = re.compile(r"[\d.,%×÷−+^() $]")


class Parser:
    """A value of `+ − × ÷ ^`, brackets and percent signs, as an exact fraction."""

    def __init__(self, text):
        self.tokens = re.findall(r"\d[\d,]*(?:\.\d+)?%?|[×÷−+^()]", text)
        self.at = 0

    def peek(self):
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self):
        self.at += 1
        return self.tokens[self.at - 1]

    def sum(self):
        value = self.product()
        while self.peek() in ("+", "−"):
            value = value + self.product() if self.take() == "+" else value - self.product()
        return value

    def product(self):
        value = self.power()
        while self.peek() in ("×", "÷"):
            value = value * self.power() if self.take() == "×" else value / self.power()
        return value

    def power(self):
        base = self.atom()
        if self.peek() == "^":
            self.take()
            return base ** int(self.atom())
        return base

    def atom(self):
        token = self.take()
        if token == "(":
            value = self.sum()
            self.take()
            return value
        if token == "−":
            return -self.atom()
        value = Fraction(token.rstrip("%").replace(",", ""))
        return value / 100 if token.endswith("%") else value


def equations(answer):
    """(formula, sign, result text) of every `formula = result` whose left side is nothing but a formula."""
    for line in re.split(r"[\n。；]|\. |[：:，] ?", answer.replace("$", "")):
        pieces = re.split(r"(=|≈)", line)
        for at in range(1, len(pieces), 2):
            left, right = pieces[at - 1], pieces[at + 1]
            if at == 1:
                # The first sign may follow words: the formula is what stands after them.
                start = len(left)
                while start and PART.match(left[start - 1]):
                    start -= 1
                left = left[start:]
            left = left.strip()
            if not re.search(r"[×÷−+^]", left) or not all(PART.match(c) for c in left) or left[0] not in "(0123456789":
                continue
            result = re.match(r"\s*(−?)\s*(\d[\d,]*(?:\.\d+)?)(%?)", right)
            if result:
                yield left, pieces[at], "".join(result.groups())


def stated(result):
    """The value of a result and half of the last place that it shows."""
    percent, text = result.endswith("%"), result.rstrip("%").replace(",", "").replace("−", "-")
    scale = 100 if percent else 1
    return Fraction(text) / scale, Fraction(1, 200 * scale)


def numerals(text):
    """Numbers as they stand, without separators and trailing zeros."""
    found = (n.replace(",", "") for n in NUMBER.findall(text))
    return {n.rstrip("0").rstrip(".") if "." in n else n for n in found}


def turns(row):
    """(prompt, answer) of every turn; the row's input belongs to the last."""
    return [*map(tuple, row.get("history", [])), (row["instruction"] + "\n" + row["input"], row["output"])]


def arithmetic(row):
    """Sentences about formulas that are wrong or use a number from nowhere, and the number of formulas."""
    found, count, known = [], 0, set(KNOWN)
    for prompt, answer in turns(row):
        known |= numerals(prompt)
        for left, sign, result in equations(answer):
            count += 1
            value, (shown, slack) = Parser(left).sum(), stated(result)
            if (value != shown) if sign == "=" else (abs(value - shown) > slack):
                found.append(f"{row['id']}: {left} {sign} {result}, but it is {float(value):.6g}")
            foreign = numerals(left) - known
            if foreign and kind_of(row) in ("worked", "dialogue", "table"):
                found.append(f"{row['id']}: {left} uses {sorted(foreign)}, which nothing gave")
            known |= numerals(result)
        known |= numerals(answer)
    return found, count


def kind_of(row):
    return row["id"].split("/")[0][:-3]


def lang_of(row):
    return row["id"].split("/")[0][-2:]


def sizes_and_languages(row):
    """Sentences about lengths and about Chinese where there should be none, or none where there should be some."""
    found, kind, zh = [], kind_of(row), lang_of(row) == "zh"
    if kind in ("dialogue",) and not 2 <= len(turns(row)) <= 4:
        found.append(f"{row['id']}: {len(turns(row))} turns")
    for prompt, answer in turns(row):
        size = len(answer) if zh and CHINESE.search(answer) else len(answer.split())
        if size > LONGEST[kind][0 if zh else 1] and kind != "parallel":
            found.append(f"{row['id']}: the answer is too long ({size})")
        if not prompt.strip() or not answer.strip():
            found.append(f"{row['id']}: an empty turn")
        answer_zh = zh != (kind == "parallel")
        # An answer may be a letter with a number, or a name like ETF.
        needs = answer_zh and kind not in ("computed", "choice")
        if bool(CHINESE.search(prompt)) != zh or (needs and not CHINESE.search(answer)) or (not answer_zh and CHINESE.search(answer)):
            found.append(f"{row['id']}: the wrong language")
    return found


def shingles(row):
    """Runs of three tokens of prompt and answer, numbers made alike: a character of Chinese, a word of English."""
    text = " ".join(part for turn in turns(row) for part in turn).lower()
    tokens = re.findall(r"[\u3400-\u9fff]|[a-z]+|\d", re.sub(NUMBER, "0", text))
    return {tuple(tokens[i:i + 3]) for i in range(len(tokens) - 2)}


def near_duplicates(rows):
    """Sentences about rows of the training part that are nearly a held-out one. The options of a choice come from one list, so
    only its question is compared."""
    found = []
    train, held = [], []
    for row in rows:
        short = {**row, "instruction": row["instruction"].split("\nA. ")[0], "output": "" if kind_of(row) == "choice" else row["output"]}
        (held if row["split"] == "val" else train).append((row["id"], shingles(short)))
    for name, mine in held:
        for other, theirs in train:
            if min(len(mine), len(theirs)) < NEAR * max(len(mine), len(theirs)):
                continue
            both = len(mine & theirs)
            if both >= NEAR * (len(mine) + len(theirs) - both) and both:
                found.append(f"{name}: nearly the training row {other}")
    return found


def pairs(rows):
    """Sentences about rows that lack their partner or do not agree with it."""
    found, table = [], {r["id"]: r for r in rows}
    for row in rows:
        stem, rest = row["id"].split("/", 1)
        other = table.get(f"{stem[:-2]}{'en' if stem.endswith('zh') else 'zh'}/{rest}")
        if other is None or (other["topic"], other["split"]) != (row["topic"], row["split"]) or len(turns(other)) != len(turns(row)):
            found.append(f"{row['id']}: no partner in the other language")
        elif kind_of(row) in COMPUTED and stem.endswith("zh"):
            mine, theirs = ([e[2].replace(",", "") for _, a in turns(r) for e in equations(a)] for r in (row, other))
            if mine != theirs:
                found.append(f"{row['id']}: results {mine}, but in English {theirs}")
        elif kind_of(row) == "parallel" and row["id"].endswith("sentence") and stem.endswith("zh"):
            if row["output"] not in other["instruction"] or other["output"] not in row["instruction"]:
                found.append(f"{row['id']}: the two directions differ")
    return found


def findings(rows):
    """Everything that is wrong, and how many formulas were evaluated."""
    found, formulas, ids, asked = [], 0, set(), {}
    for row in rows:
        if row["id"] in ids:
            found.append(f"{row['id']}: the id is used twice")
        ids.add(row["id"])
        prompt = json.dumps([row.get("history"), row["instruction"], row["input"]], ensure_ascii=False)
        if asked.setdefault(prompt, row["id"]) != row["id"]:
            found.append(f"{row['id']}: the same prompt as {asked[prompt]}")
        found += sizes_and_languages(row)
        wrong, count = arithmetic(row)
        found += wrong
        formulas += count
        if kind_of(row) in ("worked", "table") and not count:
            found.append(f"{row['id']}: no formula could be read")
    for lang in ("zh", "en"):
        found += near_duplicates([r for r in rows if lang_of(r) == lang])
    return found + pairs(rows), formulas


def main():
    rows = [json.loads(line) for path in sorted(HERE.glob("*.jsonl")) for line in path.read_text(encoding="utf-8").splitlines()]
    found, formulas = findings(rows)
    for sentence in found:
        print(sentence, file=sys.stderr)
    print(f"{len(rows)} rows and {formulas} formulas read, {len(found)} problems")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
