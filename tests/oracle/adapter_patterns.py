"""A PEFT adapter with ranks and alphas of single modules for the tiny Llama: the oracle of `tests/oracle_adapter_patterns.rs`.

usage: adapter_patterns.py TINY      (needs torch, transformers, peft; rewrites TINY/patterns)

adapter_config.json + adapter_model.safetensors are PEFT's own files; modules.json holds the rank and the scale that PEFT
gives each module, expected.safetensors the logits with the adapter, computed in float64.
"""
import json
import shutil
import sys
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

tiny = Path(sys.argv[1])
out = tiny / "patterns"
shutil.rmtree(out, ignore_errors=True)
rows = json.loads((tiny / "rows.json").read_text())
config = LoraConfig(
    r=4, lora_alpha=10, target_modules=["q_proj", "k_proj", "v_proj", "down_proj"], task_type="CAUSAL_LM",
    rank_pattern={"down_proj": 6, "layers.0.self_attn.q_proj": 2, "model.layers.1.self_attn.k_proj": 3},
    alpha_pattern={"self_attn.v_proj": 5, "layers.1.mlp.down_proj": 1.5},
)
model = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny / "llama", dtype=torch.float32), config)
generator = torch.Generator().manual_seed(7)
for key, weight in model.named_parameters():
    if "lora_" in key:
        weight.data = 0.1 * torch.randn(weight.shape, generator=generator)
model.save_pretrained(out)
# Read back, so that what is recorded is what the files say.
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny / "llama", dtype=torch.float32), out)
modules = {name.removeprefix("base_model.model."): {"rank": m.r["default"], "scale": m.scaling["default"]}
           for name, m in model.named_modules() if isinstance(m, LoraLayer)}
(out / "modules.json").write_text(json.dumps(modules, indent=1) + "\n")
model = model.double().eval()
with torch.no_grad():
    expected = {f"adapted.{i}": model(torch.tensor([row["ids"]])).logits[0].float().contiguous() for i, row in enumerate(rows)}
save_file(expected, out / "expected.safetensors")
(out / "README.md").unlink(missing_ok=True)
