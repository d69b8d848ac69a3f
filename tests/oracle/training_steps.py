"""Fifty steps of PyTorch + PEFT on the tiny models: the oracle of `tests/oracle_training.rs`.

usage: training_steps.py TINY_DIR > training_steps.json      (needs torch, transformers, peft)

TINY_DIR holds the models of tiny_models.py, each with the adapter from which training starts. AdamW with weight
decay; gradients clipped to a norm that about half of them exceed; the rate falls along half a cosine without warm-up
(step s of n runs at lr·(1 + cos(π·s/n))/2, s from 0). A step's loss is the sum over its rows divided by their
supervised tokens. Losses are given in float32, which the other side trains in, and in float64, which tells what
float32 leaves open.
"""
import json
import math
import random
import sys
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

STEPS, BATCH, LR, DECAY, CLIP = 50, 2, 2e-3, 0.01, 3.2
VOCABULARY = 64

generator = random.Random(1)


def row():
    tokens = [generator.randrange(VOCABULARY) for _ in range(generator.randrange(5, 25))]
    return {"ids": tokens, "first_supervised": generator.randrange(1, len(tokens) - 1)}


# Few rows, seen again and again: something can be learnt.
ROWS = [row() for _ in range(10)]
BATCHES = [[generator.randrange(len(ROWS)) for _ in range(BATCH)] for _ in range(STEPS)]


def train(folder, dtype):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model = PeftModel.from_pretrained(model, folder / "adapter", is_trainable=True).to(dtype).train()
    factors = [w for w in model.parameters() if w.requires_grad]
    optimizer = torch.optim.AdamW(factors, lr=LR, betas=(0.9, 0.999), eps=1e-8, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: 0.5 * (1 + math.cos(math.pi * s / STEPS)))
    losses, norms = [], []
    for batch in BATCHES:
        total, count = 0.0, 0
        for index in batch:
            ids, first = ROWS[index]["ids"], ROWS[index]["first_supervised"]
            logits = model(torch.tensor([ids])).logits[0, first - 1:-1]
            total = total + torch.nn.functional.cross_entropy(logits, torch.tensor(ids[first:]), reduction="sum")
            count += len(ids) - first
        loss = total / count
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(factors, CLIP).item())
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses, norms


def main(tiny):
    models = {}
    for name in ["llama", "qwen2", "qwen3"]:
        f32, norms = train(tiny / name, torch.float32)
        f64, _ = train(tiny / name, torch.float64)
        models[name] = {"f32": f32, "f64": f64, "grad_norms": norms}
    settings = {"lr": LR, "weight_decay": DECAY, "clip": CLIP, "batch": BATCH}
    print(json.dumps({"settings": settings, "rows": ROWS, "batches": BATCHES, "models": models}))


main(Path(sys.argv[1]))
