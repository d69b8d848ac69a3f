#!/bin/sh
# Does a real model train here as it does in PyTorch + PEFT? Both start from one adapter, take the same rows in the
# same order in f32, and the loss of every step is compared (tests/oracle_training.rs).
#
# usage: scripts/oracle-training.sh PYTHON PEERS_DIR MODEL_DIR [DATA] [STEPS] [LR]
#   PYTHON     a Python with torch, transformers and peft
#   PEERS_DIR  the folder with the peer's train.py
#   MODEL_DIR  a Hugging Face folder
#   DATA       rows with instruction, input, output: JSON Lines or a JSON list (default: the project's own terms)
#   STEPS, LR  default 50 and 1e-3; a step takes two rows of 16 to 128 tokens
set -eu
[ $# -ge 3 ] || { sed -n '5,10s/^# \{0,1\}//p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")/.." && pwd)
python=$1 peers=$2 model=$(cd "$3" && pwd) data=${4:-$here/datasets/terms-zh.jsonl} steps=${5:-50} lr=${6:-1e-3}
run=$(mktemp -d)
trap 'rm -rf "$run"' EXIT
# Settings of the BLAS in use change the last digits and the speed.
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE || true
"$python" - "$model" "$data" "$run" "$steps" "$lr" <<'PY'
import json, sys
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

model_dir, data, run, steps, lr = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), float(sys.argv[5])
text = open(data, encoding="utf-8").read()
examples = json.loads(text) if text.lstrip().startswith("[") else [json.loads(line) for line in text.splitlines() if line.strip()]
tokenizer = AutoTokenizer.from_pretrained(model_dir)
rows = []
for x in examples:
    question = "\n".join(part for part in [x["instruction"], x.get("input") or ""] if part)
    prompt = tokenizer.apply_chat_template([{"role": "user", "content": question}], add_generation_prompt=True, tokenize=False)
    prompt = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    answer = tokenizer(x["output"], add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]
    if 16 <= len(prompt) + len(answer) <= 128:
        rows.append({"input_ids": prompt + answer, "labels": [-100] * len(prompt) + answer})
    if len(rows) == 2 * steps:
        break
assert len(rows) == 2 * steps, f"{data} has only {len(rows)} rows of a fitting length"
with open(f"{run}/rows.jsonl", "w") as f:
    f.writelines(json.dumps(row) + "\n" for row in rows)
torch.manual_seed(0)
targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
model = AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32)
get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules=targets, task_type="CAUSAL_LM")).save_pretrained(f"{run}/start")
json.dump({"lr": lr}, open(f"{run}/settings.json", "w"))
print(f"{len(rows)} rows, {sum(len(r['input_ids']) for r in rows)} tokens", file=sys.stderr)
PY
"$python" "$peers/train.py" --model-dir "$model" --data "$run/rows.jsonl" --load "$run/start" --batch 2 --steps "$steps" \
    --warmup 0 --dtype f32 --lr "$lr" --skip-masked-logits >"$run/peer.json"
cd "$here"
LINLY_BENCH_ORACLE_MODEL=$model LINLY_BENCH_ORACLE_RUN=$run \
    cargo test --release --test oracle_training -- --nocapture fifty_steps_of_a_real_model
