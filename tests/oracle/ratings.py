"""Makes battles, has arena-rank rate them, and prints both as JSON: the expected values of tests/oracle_ratings.rs.

usage: ratings.py [DATA_DIR]        with an interpreter that has arena-rank installed

Synthetic battles are drawn here with a fixed seed and stored as counts. With DATA_DIR (arena_hard, prd_vicuna80) the
real sets are rated too; of those only the ratings are stored.
"""
import collections
import glob
import json
import os
import random
import re
import sys

import pandas as pd
from arena_rank.models.bradley_terry import BradleyTerry
from arena_rank.utils.data_utils import PairDataset

DATA = sys.argv[1] if len(sys.argv) > 1 else None


def rate(battles):
    rows = pd.DataFrame(battles, columns=["model_a", "model_b", "winner"])
    data = PairDataset.from_pandas(rows.replace({"winner": {"tie (bothbad)": "both_bad"}}))
    # By default it stops when a step gains less than 1e-9 of loss. That left one of these cases (twelve models) 0.12
    # points short of its own maximum, so it goes on here until the gradient is gone.
    model = BradleyTerry(n_competitors=len(data.competitors), ftol=0.0, gtol=1e-12)
    result = model.compute_ratings_and_cis(data, significance_level=0.05)
    columns = (result["competitors"], result["ratings"], result["rating_lower"], result["rating_upper"])
    return {name: [round(float(v), 6) for v in values] for name, *values in zip(*columns)}


def synthetic(seed, models, battles, ties, bad, uneven):
    """Battles between models of drawn strengths; `uneven` gives some pairs many battles and some none."""
    rng = random.Random(seed)
    names = [f"model-{i:02}" for i in range(models)]
    strength = [rng.gauss(0, 0.8) for _ in names]
    pairs = [(i, j) for i in range(models) for j in range(models) if i != j]
    weights = [rng.paretovariate(1.0) if uneven else 1.0 for _ in pairs]
    out = []
    for i, j in rng.choices(pairs, weights, k=battles):
        kind = rng.random()
        if kind < ties:
            winner = "tie"
        elif kind < ties + bad:
            winner = "tie (bothbad)"
        else:
            winner = "model_a" if rng.random() < 1 / (1 + 2.718281828 ** (strength[j] - strength[i])) else "model_b"
        out.append((names[i], names[j], winner))
    return out


def textbook():
    wins = {"AB": 2, "AD": 1, "BA": 3, "BC": 5, "CB": 3, "CD": 1, "DA": 4, "DC": 3}
    return [(pair[0], pair[1], "model_a") for pair, count in wins.items() for _ in range(count)]


def arena_hard(folder):
    for line in open(os.path.join(folder, "history_74e8b6f/data/arena_hard_battles.jsonl"), encoding="utf-8"):
        row = json.loads(line)
        yield row["model_a"], row["model_b"], row["winner"]


def vicuna80(folder, judge):
    for path in sorted(glob.glob(os.path.join(folder, f"vicuna80/ratings-{judge}/*.jsonl"))):
        a, b = re.match(rf"answer_(.+)-vs-answer_(.+)-{judge}-reviewer", os.path.basename(path)).groups()
        for line in open(path, encoding="utf-8"):
            yield a, b, {1: "model_a", 2: "model_b", 3: "tie"}[json.loads(line)["score"]]


CASES = {
    "textbook": textbook(),
    "two models": synthetic(1, 2, 60, 0.2, 0.1, False),
    "three models, no ties": synthetic(2, 3, 120, 0.0, 0.0, False),
    "four models, many ties": synthetic(3, 4, 200, 0.5, 0.2, False),
    "six models, uneven": synthetic(4, 6, 900, 0.15, 0.05, True),
    "eight models": synthetic(5, 8, 400, 0.1, 0.1, False),
    "twelve models, uneven": synthetic(6, 12, 3000, 0.2, 0.1, True),
    "with battles against itself": synthetic(7, 3, 90, 0.1, 0.1, False) + [("model-00", "model-00", "tie")] * 3,
}
result = {"made_with": "arena-rank 0.1.1", "cases": [], "real": []}
for name, battles in CASES.items():
    counts = sorted(collections.Counter(battles).items())
    result["cases"].append({"name": name, "battles": [[*key, count] for key, count in counts], "ratings": rate(battles)})
if DATA:
    for name, battles in {
        "arena_hard": list(arena_hard(os.path.join(DATA, "arena_hard"))),
        "prd_vicuna80 human": list(vicuna80(os.path.join(DATA, "prd_vicuna80"), "human")),
        "prd_vicuna80 gpt4": list(vicuna80(os.path.join(DATA, "prd_vicuna80"), "gpt4")),
    }.items():
        result["real"].append({"name": name, "n": len(battles), "ratings": rate(battles)})
print("{")
print(f'"made_with": {json.dumps(result["made_with"])},')
for key, end in (("cases", ","), ("real", "")):
    print(f'"{key}": [')
    print(",\n".join(json.dumps(case) for case in result[key]))
    print(f"]{end}")
print("}")
