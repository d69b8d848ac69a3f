"""DoRA and whole matrices beside the factors, from PEFT: the oracle of `tests/oracle_dora.rs`.

usage: dora_saved.py TINY      (needs torch, transformers, peft; TINY as `tiny_models.py` wrote it; writes TINY/dora)

The base is TINY/qwen2, whose projections have biases and whose output layer is not tied. Loss, logits and gradients
as in `tiny_models.py`, in float64; DoRA treats the norm of the adapted weight as a constant, as PEFT does.
"""
import json
import shutil
import sys
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import Qwen2ForCausalLM

tiny = Path(sys.argv[1])
out = tiny / "dora"
shutil.rmtree(out, ignore_errors=True)
rows = [(r["ids"], r["first_supervised"]) for r in json.loads((tiny / "rows.json").read_text())]
targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
model = Qwen2ForCausalLM.from_pretrained(tiny / "qwen2", dtype=torch.float32)
model = get_peft_model(model, LoraConfig(r=3, lora_alpha=7, target_modules=targets, task_type="CAUSAL_LM", use_dora=True,
                                         modules_to_save=["embed_tokens", "lm_head"]))
generator = torch.Generator().manual_seed(7)
for key, weight in model.named_parameters():
    if weight.requires_grad:
        noise = torch.randn(weight.shape, generator=generator)
        weight.data = weight.data * (1 + 0.2 * noise) if "magnitude" in key else weight.data + 0.1 * noise
model.save_pretrained(out / "adapter")
(out / "adapter/README.md").unlink(missing_ok=True)
model = model.double().eval()
total, count, expected = 0.0, 0, {}
for i, (ids, first) in enumerate(rows):
    logits = model(torch.tensor([ids])).logits[0]
    expected[f"adapted.{i}"] = logits.detach().float()
    chosen = torch.tensor(ids[first:])
    total = total + torch.nn.functional.cross_entropy(logits[first - 1:-1], chosen, reduction="sum")
    count += len(chosen)
loss = total / count
loss.backward()
expected["loss"] = loss.detach().float().reshape(1)
for key, weight in model.named_parameters():
    if weight.grad is not None:
        name = key.replace(".default", "").replace(".modules_to_save", "").replace("lora_magnitude_vector.weight", "lora_magnitude_vector")
        expected["grad." + name] = weight.grad.float().contiguous()
save_file(expected, out / "expected.safetensors")
print(sorted(expected))
