#!/bin/sh
# Compares the scores of one GGUF file computed here with those of the same file behind llama-cpp-python's
# OpenAI-compatible server, choice by choice.
#
# usage: check-openai-server.sh VENV MODEL.gguf DATA_DIR [LINLY_BENCH]
#   VENV         a Python environment; made, with llama-cpp-python compiled into it, when it is not there (minutes)
#   MODEL.gguf   the model
#   DATA_DIR     a folder with ceval/ (see --data-dir)
#   LINLY_BENCH  the program [default: linly-bench]
#
# llama.cpp rounds activations to 8 bits where this program computes in f32, so differences of 0.01 to 0.1 a choice are
# its own; most predictions are the same. The server is asked twice: as it is shipped (release 0.3.36 shows each echoed
# token of a model without a BOS token with the log-probability of the one after it, which must be noticed), and with
# that put right, so that echoes are used. Fails when predictions differ on more than a quarter of the items, or a
# choice by more than 1.
set -eu
venv=$1 model=$2 data=$3 bench=${4:-linly-bench}
subjects=accountant,high_school_biology,law,college_programming
work=$(mktemp -d)
server=
stop() {
    [ -z "$server" ] || { kill "$server" && wait "$server" || true; } 2>/dev/null
    server=
}
trap 'stop; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -c 'import llama_cpp.server' 2>/dev/null ||
    { "$venv/bin/pip" install cmake ninja && "$venv/bin/pip" install 'llama-cpp-python[server]'; }

cat >"$work/server.py" <<'PY'
import sys
import numpy as np
from llama_cpp import Llama
from llama_cpp.server.__main__ import main

if sys.argv.pop(1) == "echo":
    echo, create, logprobs = False, Llama._create_completion, Llama.logits_to_logprobs

    def noting_echo(self, *args, **options):
        global echo
        echo = bool(options.get("echo"))
        yield from create(self, *args, **options)

    def beside_their_tokens(logits, axis=-1):
        rows = logprobs(logits, axis)
        return np.roll(rows, 1, axis=0) if echo and rows.ndim == 2 else rows

    Llama._create_completion, Llama.logits_to_logprobs = noting_echo, staticmethod(beside_their_tokens)
main()
PY

scores() { # MODEL FILE
    "$bench" --home "$work/home" --data-dir "$data" --quiet --json run ceval --model "$1" --subjects $subjects --limit 2 \
        --concurrency 1 --log-samples "$2" >/dev/null
}
scores "$model" "$work/local.jsonl"
port=$("$venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
for way in shipped echo; do
    "$venv/bin/python" "$work/server.py" $way --model "$model" --model_alias checked --host 127.0.0.1 --port "$port" \
        --n_ctx 4096 --logits_all true >"$work/server.log" 2>&1 &
    server=$!
    until "$venv/bin/python" -c "import socket; socket.create_connection(('127.0.0.1', $port))" 2>/dev/null; do
        kill -0 "$server" 2>/dev/null || { cat "$work/server.log" >&2; exit 1; }
        sleep 1
    done
    scores "http://127.0.0.1:$port/v1#checked" "$work/$way.jsonl"
    stop
done

"$venv/bin/python" - "$work/local.jsonl" "$work/shipped.jsonl" "$work/echo.jsonl" <<'PY'
import json, sys

read = lambda path: [json.loads(line) for line in open(path, encoding="utf-8")]
local, shipped, echo = map(read, sys.argv[1:])
print(f"{'item':28} {'choice':>6} {'here':>9} {'shipped':>9} {'echo':>9}")
worst, different = 0.0, [0, 0]
for here, a, b in zip(local, shipped, echo, strict=True):
    assert here["prompt"] == a["prompt"] == b["prompt"]
    for choice, *values in zip(here["choices"], *(x["loglikelihoods"] for x in (here, a, b)), strict=True):
        print(f"{here['subject'] + '/' + here['id']:28} {choice:>6} {values[0]:9.4f} {values[1]:9.4f} {values[2]:9.4f}")
        worst = max(worst, *(abs(v - values[0]) for v in values[1:]))
    for i, other in enumerate((a, b)):
        different[i] += other["pred"] != here["pred"]
print(f"{len(local)} items; other predictions: {different[0]} as shipped, {different[1]} by echo; largest difference {worst:.4f}")
sys.exit(max(different) * 4 > len(local) or worst > 1)
PY
