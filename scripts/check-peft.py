"""Does `peft` load an adapter that linly-bench wrote, and does it compute the same?

usage: check-peft.py MODEL_DIR ADAPTER_DIR SAMPLES.jsonl     (needs torch, transformers, peft)

MODEL_DIR holds the base as transformers reads it (de-quantised, f32); SAMPLES come from
`linly-bench run … --adapter … --log-samples SAMPLES.jsonl`. Every prompt is scored again by transformers + PEFT,
with the adapter beside the base and merged into it. Prints one JSON object; a missing or unexpected key is in it.
The result of a run is kept in tests/oracle/peft_roundtrip.json.
"""
import json
import sys
import warnings

import peft
import torch
import transformers
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

model_dir, adapter_dir, samples_path = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(model_dir)
base = AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32)
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    model = PeftModel.from_pretrained(base, adapter_dir).eval()
key_warnings = [str(w.message) for w in seen if "adapter keys" in str(w.message)]
samples = [json.loads(line) for line in open(samples_path)]


def score(prompt, choice):
    context = prompt.rstrip()
    whole = tokenizer(prompt + choice)["input_ids"]
    n = len(tokenizer(context)["input_ids"])
    with torch.no_grad():
        logprobs = model(torch.tensor([whole[:-1]])).logits[0].log_softmax(-1)
    return sum(logprobs[i - 1, whole[i]].item() for i in range(n, len(whole)))


def largest_difference():
    worst = 0.0
    for s in samples:
        for choice, ours in zip(s["choices"], s["loglikelihoods"]):
            worst = max(worst, abs(score(s["prompt"], choice) - ours))
    return worst


config = json.load(open(f"{adapter_dir}/adapter_config.json"))
result = {"peft": peft.__version__, "transformers": transformers.__version__, "r": config["r"], "lora_alpha": config["lora_alpha"],
          "target_modules": sorted(config["target_modules"]), "missing_or_unexpected": key_warnings, "items": len(samples),
          "choices": sum(len(s["choices"]) for s in samples), "largest_difference": largest_difference()}
model = model.merge_and_unload()
result["largest_difference_merged"] = largest_difference()
print(json.dumps(result, indent=2))
