"""Tiny random models with a PEFT adapter each: the oracle of `tests/oracle_gradients.rs`.

usage: tiny_models.py OUT      (needs torch, transformers, peft; rewrites OUT/{llama,qwen2,qwen3})

Per model: config.json + model.safetensors, adapter/ (PEFT's own files, alpha != r, B not zero), and
expected.safetensors: loss, logits with and without the adapter, and the gradient of every factor. The loss is
summed over two rows of different length and divided by the supervised tokens of both.
Everything is computed in float64, so that the comparison measures the other side alone.
"""
import json
import shutil
import sys
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM

ROWS = [([3, 17, 5, 9, 41, 22, 8, 60, 2, 33, 12], 4), ([7, 7, 50, 1, 19, 63, 30], 3)]  # tokens, first supervised
SIZES = dict(vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=64, rms_norm_eps=1e-5)
MODELS = {
    "llama": (LlamaForCausalLM, LlamaConfig(**SIZES, rope_theta=10000.0, tie_word_embeddings=True)),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config(**SIZES, rope_theta=1000000.0, tie_word_embeddings=False)),
    "qwen3": (Qwen3ForCausalLM, Qwen3Config(**SIZES, head_dim=16, rope_theta=1000000.0, tie_word_embeddings=True)),
}


def randomise(model, seed):
    generator = torch.Generator().manual_seed(seed)
    for name, weight in model.named_parameters():
        noise = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
        weight.data = (1 + 0.1 * noise if "norm" in name else 0.2 * noise).float()


def main(out):
    for seed, (name, (cls, config)) in enumerate(MODELS.items()):
        folder = out / name
        shutil.rmtree(folder, ignore_errors=True)
        model = cls(config)
        randomise(model, seed)
        model.save_pretrained(folder)
        base = [model.double()(torch.tensor([ids])).logits[0].detach() for ids, _ in ROWS]
        targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
        model = get_peft_model(model.float(), LoraConfig(r=4, lora_alpha=10, target_modules=targets, task_type="CAUSAL_LM"))
        generator = torch.Generator().manual_seed(100 + seed)
        for key, weight in model.named_parameters():
            if "lora_" in key:
                weight.data = 0.1 * torch.randn(weight.shape, generator=generator)
        model.save_pretrained(folder / "adapter")
        model = model.double().eval()
        total, count, adapted = 0.0, 0, []
        for ids, first in ROWS:
            logits = model(torch.tensor([ids])).logits[0]
            adapted.append(logits.detach())
            chosen = torch.tensor(ids[first:])
            total = total + torch.nn.functional.cross_entropy(logits[first - 1:-1], chosen, reduction="sum")
            count += len(chosen)
        loss = total / count
        loss.backward()
        expected = {"loss": loss.detach().float().reshape(1)}
        for i in range(len(ROWS)):
            expected[f"base.{i}"], expected[f"adapted.{i}"] = base[i].float(), adapted[i].float()
        for key, weight in model.named_parameters():
            if weight.grad is not None:
                expected["grad." + key.replace(".default", "")] = weight.grad.float().contiguous()
        save_file(expected, folder / "expected.safetensors")
        for extra in ["generation_config.json", "adapter/README.md"]:
            (folder / extra).unlink(missing_ok=True)
    (out / "rows.json").write_text(json.dumps([{"ids": ids, "first_supervised": first} for ids, first in ROWS]) + "\n")


main(Path(sys.argv[1]))
