#!/bin/sh
# Training speed and memory beside PyTorch + PEFT, on the same weights and the same shapes. The two take turns
# (A B A B …), so that what else the machine does hits both; figures are medians, the ratio is ours / theirs. Builds nothing.
#
# usage: scripts/bench-train.sh [--rounds N] [--steps N] [--cases LIST] [--ours PROGRAM] PYTHON PEERS_DIR MODEL_DIR [HOME]
#   PYTHON     a Python with torch, transformers and peft
#   PEERS_DIR  the folder with the peer's train.py
#   MODEL_DIR  a Hugging Face folder: both sides train this
#   HOME       the workbench's home (default: a temporary one)
#   --rounds   how often each side runs (default 3)
#   --steps    timed steps of a run (default 3)
#   --cases    some of attention-bf16,attention-f32,all-bf16,all-f32,mixed (default all)
#   --ours     the program (default: target/release/linly-bench, then the one in PATH)
# mixed: rows of 40 to 512 tokens, eight a step; the peer pads them and runs in f32, bf16 and autocast, of which the
# fastest is compared. Tokens are those of rows, never padding.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
usage() { sed -n '5,15s/^# \{0,1\}//p' "$0" >&2; exit 2; }
rounds=3 steps=3 cases=attention-bf16,attention-f32,all-bf16,all-f32,mixed ours=
while [ $# -gt 0 ]; do
    case $1 in
    --rounds | --steps | --cases | --ours)
        [ $# -ge 2 ] || usage
        case $1 in --rounds) rounds=$2 ;; --steps) steps=$2 ;; --cases) cases=$2 ;; --ours) ours=$2 ;; esac
        shift 2 ;;
    -*) usage ;;
    *) break ;;
    esac
done
[ $# -ge 3 ] || usage
python=$1 peers=$2 model=$3 home=${4:-}
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
: "${home:=$results/home}"
if [ -z "$ours" ]; then
    ours=${CARGO_TARGET_DIR:-$here/target}/release/linly-bench
    [ -x "$ours" ] || ours=linly-bench
fi
# Settings of the BLAS in use would slow the peer down.
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE || true

# run_ours CASE NAME ARGUMENTS…, run_peer CASE NAME ARGUMENTS…: one line of JSON into results/CASE.SIDE.NAME
run_ours() {
    out=$results/$1.ours.$2; shift 2
    "$ours" --home "$home" bench train --model "$model" --steps "$steps" --json "$@" >>"$out"
}
run_peer() {
    out=$results/$1.peer.$2; shift 2
    "$python" "$peers/train.py" --model-dir "$model" --steps "$steps" --skip-masked-logits "$@" 2>"$results/peer.log" >>"$out" || {
        cat "$results/peer.log" >&2
        return 1
    }
}

for case in $(echo "$cases" | tr ',' ' '); do
    round=1
    while [ "$round" -le "$rounds" ]; do
        echo "$case: round $round of $rounds" >&2
        case $case in
        attention-bf16 | attention-f32 | all-bf16 | all-f32)
            target=${case%-*} dtype=${case#*-}
            run_ours "$case" "$dtype" --target "$target" --dtype "$dtype" --seq-len 512 --batch 4
            run_peer "$case" "$dtype" --target "$target" --dtype "$dtype" --seq-len 512 --batch 4 ;;
        mixed)
            run_ours mixed auto --target attention --padded 40 512 --batch 8
            for dtype in f32 bf16 autocast; do
                run_peer mixed "$dtype" --target attention --dtype "$dtype" --padded 40 512 --batch 8
            done ;;
        *) echo "no such case: $case" >&2; exit 2 ;;
        esac
        round=$((round + 1))
    done
done

"$python" - "$results" "$cases" "$rounds" "$steps" <<'PY'
import json, statistics, sys
from pathlib import Path

results, cases, rounds, steps = Path(sys.argv[1]), sys.argv[2].split(","), sys.argv[3], sys.argv[4]


def side(case, which):
    """(arithmetic, median tokens/s, lowest, highest, median peak in MiB) of the fastest arithmetic."""
    runs = []
    for path in results.glob(f"{case}.{which}.*"):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        speeds = [x["tokens_per_second"] for x in lines]
        runs.append((statistics.median(speeds), lines[0]["dtype"], min(speeds), max(speeds), statistics.median(x["peak_rss_mb"] for x in lines)))
    speed, dtype, low, high, memory = max(runs)
    return dtype, speed, low, high, memory


print(f"Tokens per second, median of {rounds} (lowest–highest), {steps} timed steps a run; peak memory in MiB.\n")
print("| case | ours | peer | speed ratio | our peak | peer's peak | memory ratio |")
print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
for case in cases:
    (dtype, speed, low, high, memory), (other, theirs, least, most, held) = side(case, "ours"), side(case, "peer")
    print(f"| {case} | {speed:.0f} ({low:.0f}–{high:.0f}, {dtype}) | {theirs:.0f} ({least:.0f}–{most:.0f}, {other}) | {speed / theirs:.2f} "
          f"| {memory:.0f} | {held:.0f} | {memory / held:.2f} |")
PY
