"""Do `peft` and linly-bench read each other's adapters, and do they compute the same?

usage: check-peft.py MODEL_DIR ADAPTER_DIR SAMPLES.jsonl     (needs torch, transformers, peft)
       check-peft.py --make MODEL_DIR ADAPTER_DIR            writes an adapter of PEFT's own, to be scored by linly-bench

With --make the adapter has random factors, and ranks and alphas that differ between modules. Either way ADAPTER_DIR is
then scored with `linly-bench run`, and checked:

MODEL_DIR holds the base as transformers reads it (de-quantised, f32); SAMPLES come from
`linly-bench run … --adapter … --log-samples SAMPLES.jsonl`. Every prompt is scored again by transformers + PEFT,
with the adapter beside the base and merged into it. Prints one JSON object; a missing or unexpected key is in it.
Results are kept in tests/oracle/peft_roundtrip.json, and in tests/oracle/peft_patterns.json for both directions with patterns.
"""
import json
import sys
import warnings

import peft
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from transformers import AutoModelForCausalLM, AutoTokenizer


def make(model_dir, adapter_dir):
    base = AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32)
    model = get_peft_model(base, LoraConfig(
        r=8, lora_alpha=20, target_modules=["q_proj", "v_proj", "o_proj", "down_proj"], task_type="CAUSAL_LM",
        rank_pattern={"down_proj": 16, "layers.0.self_attn.q_proj": 4, "model.layers.1.self_attn.o_proj": 2},
        alpha_pattern={"self_attn.v_proj": 5, "layers.1.mlp.down_proj": 1.5}))
    generator = torch.Generator().manual_seed(1)
    for key, weight in model.named_parameters():
        if "lora_" in key:
            weight.data = 0.02 * torch.randn(weight.shape, generator=generator)
    model.save_pretrained(adapter_dir)


if sys.argv[1] == "--make":
    make(*sys.argv[2:])
    sys.exit()
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
modules = [m for _, m in model.named_modules() if isinstance(m, LoraLayer)]
ranks = sorted({m.r["default"] for m in modules})
scales = sorted({round(m.scaling["default"], 6) for m in modules})
result = {"peft": peft.__version__, "transformers": transformers.__version__, "r": config["r"], "lora_alpha": config["lora_alpha"],
          "rank_pattern": config["rank_pattern"], "alpha_pattern": config["alpha_pattern"], "ranks": ranks, "scales": scales,
          "target_modules": sorted(config["target_modules"]), "missing_or_unexpected": key_warnings, "items": len(samples),
          "choices": sum(len(s["choices"]) for s in samples), "largest_difference": largest_difference()}
model = model.merge_and_unload()
result["largest_difference_merged"] = largest_difference()
print(json.dumps(result, indent=2))
