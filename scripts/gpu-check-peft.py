"""LoRA steps by PyTorch, transformers and PEFT, in turns with linly-bench: the same shapes, random weights, sequences of 4096.

Called by gpu-check.sh; adds "peft" (tokens per second of either side, and their ratio) to its JSON report and prints a table.
Both sides: bf16 weights, LoRA of rank 16 on all projections, half of each row supervised, AdamW. Theirs uses PyTorch's scaled
dot-product attention (flash kernels where they apply) or flash_attn, and Liger's kernels, where those are installed, and turns
gradient checkpointing on only when memory asks for it. It has never run (docs/gpu.md).
"""

import argparse
import gc
import importlib.util
import json
import subprocess
import tempfile
import time
from pathlib import Path

LENGTH = 4096


def llama(hidden, inner, layers, heads, kv_heads, vocabulary, tied, kind="llama"):
    return {
        "architectures": ["Qwen2ForCausalLM" if kind == "qwen2" else "LlamaForCausalLM"],
        "model_type": kind, "hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": layers,
        "num_attention_heads": heads, "num_key_value_heads": kv_heads, "vocab_size": vocabulary,
        "rms_norm_eps": 1e-5 if kind == "llama" else 1e-6, "rope_theta": 500000.0, "max_position_embeddings": 8192,
        "tie_word_embeddings": tied, "hidden_act": "silu",
    }


# Name → configuration and rows of a step, as in src/workbench/gpu_check/bench.rs.
SHAPES = {
    "smollm2-135m": (llama(576, 1536, 30, 9, 3, 49152, True), 8),
    "qwen2.5-0.5b": (llama(896, 4864, 24, 14, 2, 151936, True, "qwen2"), 4),
    "llama-3.2-1b": (llama(2048, 8192, 16, 32, 8, 128256, True), 4),
    "llama-3-8b": (llama(4096, 14336, 32, 32, 8, 128256, False), 2),
    "qwen2.5-7b": (llama(3584, 18944, 28, 28, 4, 152064, False, "qwen2"), 2),
}


def installed(name):
    return importlib.util.find_spec(name) is not None


def theirs(config, batch, steps, checkpointing):
    """Tokens per second of `steps` steps after one that is not counted."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    if installed("liger_kernel"):
        from liger_kernel.transformers import apply_liger_kernel_to_llama, apply_liger_kernel_to_qwen2

        (apply_liger_kernel_to_qwen2 if config["model_type"] == "qwen2" else apply_liger_kernel_to_llama)()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.json").write_text(json.dumps(config))
        settings = AutoConfig.from_pretrained(folder)
    settings._attn_implementation = "flash_attention_2" if installed("flash_attn") else "sdpa"
    torch.manual_seed(0)
    previous = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device("cuda"):
            model = AutoModelForCausalLM.from_config(settings)
    finally:
        torch.set_default_dtype(previous)
    if checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.enable_input_require_grads()
    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    model = get_peft_model(model, LoraConfig(r=16, lora_alpha=32, lora_dropout=0.0, target_modules=targets))
    model.train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4, fused=True)
    seconds = 0.0
    for step in range(steps + 1):
        ids = torch.randint(0, config["vocab_size"], (batch, LENGTH), device="cuda")
        labels = ids.clone()
        labels[:, : LENGTH // 2] = -100
        torch.cuda.synchronize()
        started = time.perf_counter()
        model(input_ids=ids, labels=labels).loss.backward()
        torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        torch.cuda.synchronize()
        if step > 0:
            seconds += time.perf_counter() - started
    return steps * batch * LENGTH / seconds


def theirs_that_fits(config, batch, steps):
    import torch

    for checkpointing in (False, True):
        try:
            return theirs(config, batch, steps, checkpointing), checkpointing
        except torch.cuda.OutOfMemoryError:
            pass
        finally:
            gc.collect()
            torch.cuda.empty_cache()
    return None, True


def ours(program, config, batch, steps):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "config.json")
        path.write_text(json.dumps(config))
        command = [program, "--home", folder, "--device", "cuda", "--json", "bench", "train", "--random-init", str(path)]
        command += ["--seq-len", str(LENGTH), "--batch", str(batch), "--steps", str(steps), "--target", "all", "--rank", "16"]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(run.stdout.splitlines()[-1])["tokens_per_second"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--report", required=True, type=Path)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=4)
    arguments = parser.parse_args()
    report = json.loads(arguments.report.read_text())
    until = time.time() + 60 * arguments.minutes - report["seconds"]
    report["peft"] = []
    print(f"{'in turns':<16} {'ours':>10} {'PEFT':>10} {'ratio':>7}")
    for speed in report["speeds"]:
        name = speed["model"]
        if name not in SHAPES or time.time() > until:
            print(f"{name:<16} not compared")
            continue
        config, batch = SHAPES[name]
        pairs = []
        for _ in range(arguments.rounds):
            mine = ours(arguments.bin, config, batch, arguments.steps)
            other, checkpointing = theirs_that_fits(config, batch, arguments.steps)
            if other is None:
                break
            pairs.append((mine, other))
        if not pairs:
            print(f"{name:<16} PEFT does not fit")
            continue
        mine, other = (sorted(side)[len(pairs) // 2] for side in zip(*pairs))
        row = {"model": name, "ours": mine, "peft": other, "ratio": mine / other, "peft_checkpointing": checkpointing}
        report["peft"].append(row | {"flash_attn": installed("flash_attn"), "liger": installed("liger_kernel")})
        print(f"{name:<16} {mine:>10.0f} {other:>10.0f} {mine / other:>7.2f}")
    arguments.report.write_text(json.dumps(report, indent=2) + "\n")


main()
