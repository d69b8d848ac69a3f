#!/bin/sh
# Makes tests/oracle/lm_eval_{0,5}shot.jsonl: what lm-evaluation-harness 0.4.13 asks and gets on 40 items of C-Eval val.
# C-Eval's licence keeps its text out of this repository, so a prompt is stored as its SHA-256 only.
#
# usage: oracle-lm-eval.sh PYTHON EVALUATE_PY MODEL_DIR CEVAL_DIR
#   PYTHON       a Python with lm_eval 0.4.13, torch and transformers
#   EVALUATE_PY  a script that runs the harness on C-Eval files and writes, with --samples FILE, one JSON object an
#                item: {"subject", "id", "prompt", "loglikelihoods", "pred", "gold"}
#   MODEL_DIR    SmolLM2-135M-Instruct (from its Q4_1 GGUF) as a Hugging Face folder
#   CEVAL_DIR    C-Eval with dev/, val/ and subject_mapping.json
set -eu
python=$1 evaluate=$2 model=$3 ceval=$4
here=$(cd "$(dirname "$0")/.." && pwd)
# One of each category, and those whose first items hold quoted line ends (both kinds) and quotes.
subjects=college_programming,high_school_biology,high_school_politics,middle_school_politics,high_school_chinese,accountant,law,high_school_mathematics
samples=$(mktemp)
trap 'rm -f "$samples"' EXIT
# Settings of the BLAS in use change the last digits.
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE || true
for shots in 0 5; do
    "$python" "$evaluate" --model-dir "$model" --ceval "$ceval" --subjects $subjects --shots $shots --limit 5 --samples "$samples"
    "$python" - "$samples" >"$here/tests/oracle/lm_eval_${shots}shot.jsonl" <<'PY'
import hashlib, json, sys
for line in open(sys.argv[1], encoding="utf-8"):
    x = json.loads(line)
    x["prompt_sha256"] = hashlib.sha256(x.pop("prompt").encode()).hexdigest()
    print(json.dumps({k: x[k] for k in ("subject", "id", "prompt_sha256", "loglikelihoods", "pred", "gold")}))
PY
done
