"""Makes lm_eval_gsm8k.json: what lm-evaluation-harness 0.4.13 asks on GSM8K, and what its filters and metric make of
answers written here; and its windows for rolling log-likelihoods.

usage: python lm_eval_gsm8k.py GSM8K_DIR >lm_eval_gsm8k.json   (GSM8K_DIR holds train.jsonl and test.jsonl)
"""
import hashlib
import json
import os
import sys

import yaml
import lm_eval
from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

data = sys.argv[1]
folder = os.path.join(os.path.dirname(lm_eval.__file__), "tasks", "gsm8k")
config = yaml.safe_load(open(os.path.join(folder, "gsm8k.yaml"), encoding="utf-8"))
config |= {
    "dataset_path": "json",
    "dataset_name": None,
    "dataset_kwargs": {"data_files": {s: os.path.join(data, f"{s}.jsonl") for s in ("train", "test")}},
}

prompts = []
for shots, sampler in [(0, "default"), (5, "default"), (8, "default"), (5, "first_n")]:
    task = ConfigurableTask(config=config | {"fewshot_config": {"sampler": sampler, "split": "train"}})
    task.set_fewshot_seed(1234)
    docs = list(task.eval_docs)[:12]
    hashes = [hashlib.sha256(task.fewshot_context(doc, shots).encode()).hexdigest() for doc in docs]
    prompts.append({"shots": shots, "sampler": "first" if sampler == "first_n" else "random", "sha256": hashes})

GOLD = "5 * 240 = <<5*240=1200>>1200\n#### 1,200"
ANSWERS = [
    " 5 * 240 is 1200.\n#### 1,200",
    " #### 1200.",
    "#### $1200",
    " ####1200",
    "The answer is $1,200.",
    "It is 1200 dollars, or 12 hundred.",
    "12",
    "minus #### -1,200 #### 1200",
    "#### 1200 and 7",
    "no number",
    "",
    "= 1,200.00",
    "#### .",
    "### 1200",
    "answer: 1200%\n",
    "-1200",
    "５",
]
task = ConfigurableTask(config=config)
judged = []
for answer in ANSWERS:
    doc = {"question": "q", "answer": GOLD}
    instance = Instance("generate_until", doc, ("q", {}), 0, metadata=("gsm8k", 0, 1))
    instance.resps = [answer]
    for ensemble in task._filters:
        ensemble.apply([instance])
    found = {}
    for name, value in instance.filtered_resps.items():
        score = task.process_results(doc, [value])["exact_match"]
        found[name] = {"answer": value, "exact_match": float(score)}
    judged.append({"text": answer, "filters": found})

windows = []
for n, longest in [(0, 4), (3, 4), (4, 4), (10, 4), (9, 3), (7, 1), (23, 8)]:
    pairs = map(make_disjoint_window, get_rolling_token_windows(list(range(100, 100 + n)), 1, longest, 1))
    windows.append({"tokens": n, "longest": longest, "windows": [[a, b] for a, b in pairs]})

json.dump({"gold": GOLD, "prompts": prompts, "answers": judged, "windows": windows}, sys.stdout, indent=1)
print()
