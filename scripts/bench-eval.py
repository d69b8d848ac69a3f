#!/usr/bin/env python3
"""Scores C-Eval val here and by lm-evaluation-harness, the two taking turns: speed, memory, and whether the numbers agree.

usage: bench-eval.py --peer PYTHON EVALUATE_PY --model-dir DIR --model MODEL --ceval DIR [--ours PROGRAM] [--home DIR]
                     [--shots 5] [--third | --subjects a,b] [--turns 3] [--dtype f32] [--peer-batch 1] [--keep DIR]

  --peer       a Python with lm_eval 0.4.13 and torch, and the script that runs the harness on C-Eval files
  --model-dir  the model as a Hugging Face folder, for the peer
  --model      the same weights as `--model` of the workbench wants them
  --third      every third subject in the order of subject_mapping.json (18 of 52); without it, all of them
  --turns      the subjects are dealt into so many parts; each side scores a part, then the other does
  --peer-batch the harness' batch size (1 is its best on processors: prompts differ in length and padding costs)
  --keep       keep both sides' samples in this folder

Each item is asked of both sides. Speeds count scoring alone, never loading. Builds nothing.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path


def ours(args, subjects, samples):
    with tempfile.TemporaryDirectory() as outcomes:
        home = args.home or outcomes
        command = [args.ours, "--home", home, "--data-dir", str(Path(args.ceval).parent), "--json", "--quiet", "run", "ceval",
                   "--model", args.model, "--shots", str(args.shots), "--dtype", args.dtype, "--subjects", ",".join(subjects),
                   "--log-samples", str(samples)]
        # Peak memory of the program: what the system says of this child alone.
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        answer = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        if status:
            sys.exit("linly-bench failed")
        result = json.loads(answer.splitlines()[-1])
        return result["items_per_second"], usage.ru_maxrss / 1024


def peer(args, subjects, samples):
    environment = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    command = [*args.peer, "--model-dir", args.model_dir, "--ceval", args.ceval, "--shots", str(args.shots), "--batch", str(args.peer_batch),
               "--subjects", ",".join(subjects), "--samples", str(samples)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    if done.returncode:
        sys.exit(done.stderr)
    result = json.loads(done.stdout.splitlines()[-1])
    return result["items_per_second"], result["peak_rss_mb"]


def read(path):
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {(x["subject"], str(x["id"])): x for x in lines}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", nargs=2, required=True, metavar=("PYTHON", "EVALUATE_PY"))
    parser.add_argument("--model-dir", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--ceval", required=True)
    parser.add_argument("--ours", default="linly-bench")
    parser.add_argument("--home")
    parser.add_argument("--shots", type=int, default=5)
    parser.add_argument("--third", action="store_true")
    parser.add_argument("--subjects")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--dtype", default="f32")
    parser.add_argument("--peer-batch", type=int, default=1)
    parser.add_argument("--keep")
    args = parser.parse_args()
    subjects = args.subjects.split(",") if args.subjects else list(json.loads(Path(args.ceval, "subject_mapping.json").read_text(encoding="utf-8")))
    if args.third:
        subjects = subjects[::3]
    folder = Path(args.keep or tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    seconds = {"ours": 0.0, "peer": 0.0}
    peak = {"ours": 0.0, "peer": 0.0}
    items = same = right_ours = right_peer = prompts = 0
    largest = 0.0
    for turn in range(args.turns):
        part = subjects[turn :: args.turns]
        if not part:
            continue
        samples = {"ours": folder / f"ours-{args.shots}shot-{turn}.jsonl", "peer": folder / f"peer-{args.shots}shot-{turn}.jsonl"}
        speed = {}
        for name, score in (("ours", ours), ("peer", peer)):
            speed[name], memory = score(args, part, samples[name])
            peak[name] = max(peak[name], memory)
        a, b = read(samples["ours"]), read(samples["peer"])
        if a.keys() != b.keys():
            sys.exit(f"the two sides asked different items: {sorted(a.keys() ^ b.keys())[:5]} …")
        for key, mine in a.items():
            theirs = b[key]
            prompts += mine["prompt"] == theirs["prompt"]
            same += mine["pred"] == theirs["pred"]
            right_ours += mine["pred"] == mine["gold"]
            right_peer += theirs["pred"] == theirs["gold"]
            largest = max(largest, *(abs(x - y) for x, y in zip(mine["loglikelihoods"], theirs["loglikelihoods"])))
        items += len(a)
        for name in speed:
            seconds[name] += len(a) / speed[name]
        print(f"part {turn + 1} of {args.turns}: {len(a)} items, {speed['ours']:.2f} and {speed['peer']:.2f} items/s", file=sys.stderr)
    print(json.dumps({
        "shots": args.shots, "dtype": args.dtype, "subjects": len(subjects), "items": items,
        "items_per_second": round(items / seconds["ours"], 3), "peer_items_per_second": round(items / seconds["peer"], 3),
        "ratio": round(seconds["peer"] / seconds["ours"], 2),
        "peak_rss_mb": round(peak["ours"]), "peer_peak_rss_mb": round(peak["peer"]),
        "same_prompts": prompts, "same_predictions": same, "largest_difference": largest,
        "acc": right_ours / items, "peer_acc": right_peer / items,
    }))


if __name__ == "__main__":
    main()
