"""Logits of SmolLM2-135M-Instruct from its GGUF by transformers: the oracle of `tests/oracle_logits.rs`.

usage: logits.py MODEL_DIR OUT.json     MODEL_DIR: the GGUF de-quantised to a Hugging Face folder (f32)

Per text: the token ids and, for every position, the log-sum-exp over the whole vocabulary and the logits of
every 997th token: a wrong weight anywhere shows in the first, a wrong row of the output layer in the second.
"""
import json
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

TEXTS = [
    "Compound interest is interest on interest.",
    "市盈率是股价除以每股收益，用来衡量估值的高低。",
    "<|im_start|>user\nWhat is a bond coupon?<|im_end|>\n<|im_start|>assistant\n",
    "甲公司 2023 年净利润 1,250.5 万元，ROE = 12.5%。\n\tThe P/E ratio: 15.0x 😀",
]
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32).eval()
out = []
with torch.no_grad():
    for text in TEXTS:
        ids = tokenizer(text)["input_ids"]
        logits = model(torch.tensor([ids])).logits[0].double()
        out.append({"text": text, "ids": ids, "log_sum_exp": [round(x, 5) for x in logits.logsumexp(-1).tolist()],
                    "every_997th": [[round(x, 5) for x in row] for row in logits[:, ::997].tolist()]})
with open(sys.argv[2], "w") as file:
    json.dump(out, file, ensure_ascii=False)
    file.write("\n")
