#!/usr/bin/env python3
"""Write the benchmark's CSV files from evals/finance-qa/source/.

    python3 evals/finance-qa/generate.py           write the files
    python3 evals/finance-qa/generate.py --check   compare with what is there, and check every item against
                                                   the rows of datasets/; exit 1 on a difference or an overlap

Standard library only (Python 3.11+). Options are shuffled by SHA-256 of the item's id; the same run of right
letters serves both languages.
"""

import csv
import io
import json
import re
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
DATASETS = HERE.parents[1] / "datasets"
sys.path[:0] = [str(HERE / "source"), str(DATASETS / "source")]

from computed import ITEMS  # noqa: E402
from definitions import definition_findings, definition_items  # noqa: E402
from exact import Picker, rounded, show  # noqa: E402
from overlap import Corpus  # noqa: E402

LETTERS = "ABCD"
LANGS = ("zh", "en")
HEADER = ["id", "question", *LETTERS, "answer", "topic"]


def amounts(values, unit, lang):
    """Amounts of one item in one form: equal decimals, the same unit."""
    decimals = None if all(rounded(v).denominator == 1 for v in values) else 2
    separator = "" if lang == "zh" else ","
    texts = [show(v * 100 if unit == "yi" and lang == "en" else v, separator, decimals) for v in values]
    form = {
        ("money", "zh"): "{}元", ("money", "en"): "${}",
        ("years", "zh"): "{}年", ("years", "en"): "{} years",
        ("yi", "zh"): "{}亿元", ("yi", "en"): "${} million",
    }.get((unit, lang), "{}%" if unit == "percent" else "{}")
    return [form.format(t) for t in texts]


def items():
    """(id, topic, part, {lang: [question, right, wrong, wrong, wrong]}) of the first tier's items."""
    out = []
    for stem in ("concepts", "scenarios"):
        table = tomllib.loads((HERE / "source" / f"{stem}.toml").read_text(encoding="utf-8"))
        for name, entry in table.items():
            out.append((name, entry["topic"], entry.get("part", "test"), {lang: entry[lang] for lang in LANGS}))
    for name, topic, unit, right, wrong, zh, en, part in ITEMS:
        texts = {lang: [question, *amounts([right, *wrong], unit, lang)] for lang, question in (("zh", zh), ("en", en))}
        out.append((name, topic, part, texts))
    return out


# What stands between language and part in a file's name, and what makes the tier's items.
TIERS = {"": items, "-define": definition_items}


def tables():
    """CSV rows by (language, tier, part)."""
    out = {(lang, tier, part): [] for tier in TIERS for lang in LANGS for part in ("dev", "test")}
    blocks = {}
    for tier, entries in TIERS.items():
        for name, topic, part, texts in entries():
            # Each block of four items of a part holds every letter once: a uniform spread in any stretch.
            block, count = blocks.get((tier, part), ([], 0))
            if not block:
                block, count = Picker(f"finance-qa{tier}/{part}/{count}").shuffled(LETTERS), count + 1
            letter = block.pop()
            blocks[tier, part] = (block, count)
            order = Picker(f"finance-qa/{name}").shuffled([2, 3, 4])
            order.insert(LETTERS.index(letter), 1)
            for lang in LANGS:
                row = [f"{lang}-{name}", texts[lang][0], *(texts[lang][i] for i in order), letter, topic]
                out[lang, tier, part].append(row)
    return out


def csv_text(rows):
    """RFC 4180 with LF line ends."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows(rows)
    return buffer.getvalue()


def json_lines(path):
    """The objects of a JSON-lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def check(out):
    """What is wrong with the items, as a list of sentences."""
    found = []
    arena = json_lines(HERE / "arena-questions.jsonl")
    for lang in LANGS:
        # Parallel text has both languages in one row.
        paths = sorted({*DATASETS.glob(f"*-{lang}.jsonl"), *DATASETS.glob("parallel-*.jsonl")})
        rows = [r for path in paths for r in json_lines(path)]
        found += definition_findings([r for r in rows if r["id"].startswith("terms-")], lang)
        corpus = Corpus(rows, lang)
        figures = {}
        for r in rows:
            numbers = tuple(sorted(re.findall(r"\d[\d,.]*\d|\d", r["instruction"].split("\nA. ")[0])))
            figures.setdefault((r["topic"], numbers), r["id"])
        names, questions = set(), set()
        for tier, part in ((tier, part) for tier in TIERS for part in ("dev", "test")):
            longest = 0
            for name, question, *rest in out[lang, tier, part]:
                options, letter, topic = rest[:4], rest[4], rest[5]
                if len(set(options)) != 4:
                    found.append(f"{name}: two options are equal: {options}")
                if name in names or question in questions:
                    found.append(f"{name}: the id or the question is used twice")
                names.add(name)
                questions.add(question)
                found += corpus.findings(name, question, options)
                numbers = tuple(sorted(re.findall(r"\d[\d,.]*\d|\d", question)))
                if len(numbers) > 1 and (topic, numbers) in figures:
                    found.append(f"{name}: the same numbers as {figures[topic, numbers]}")
                right = len(options[LETTERS.index(letter)])
                longest += all(right > len(o) for i, o in enumerate(options) if i != LETTERS.index(letter))
            count = len(out[lang, tier, part])
            print(f"{lang}{tier} {part}: {count} items, the right option is the longest in {longest}")
        for question in arena:
            if question["lang"] == lang:
                found += corpus.findings(question["id"], question["question"])
    return found


def main():
    out = tables()
    found = check(out) if "--check" in sys.argv else []
    for (lang, tier, part), rows in out.items():
        path = HERE / f"{lang}{tier}_{part}.csv"
        if "--check" not in sys.argv:
            path.write_text(csv_text(rows), encoding="utf-8", newline="\n")
        elif not path.exists() or path.read_bytes() != csv_text(rows).encode():
            found.append(f"{path.name}: differs from what generate.py writes")
    for sentence in found:
        print(sentence, file=sys.stderr)
    print(f"{sum(map(len, out.values()))} items, {len(found)} problems")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
