#!/usr/bin/env python3
"""Measures llama.cpp on one GGUF file, by llama-cpp-python's low-level calls.

usage: bench-llama-cpp.py MODEL.gguf [--threads 2] [--prompt 512] [--decode 64] [--rounds 3]

Prints {"decode_tokens_per_second", "prompt_tokens_per_second", ...}: greedy decoding, one token at a time after a prompt
of the given length, and the reading of that prompt with logits for its last token only. Each is the best of the
rounds, the first of which warms up and does not count.
"""
import argparse
import json
import time

import llama_cpp
import numpy as np


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prompt", type=int, default=512, help="tokens of the prompt")
    parser.add_argument("--decode", type=int, default=64, help="tokens to decode")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    llm = llama_cpp.Llama(
        args.model, n_ctx=args.prompt + args.decode, n_batch=args.prompt, n_ubatch=min(args.prompt, 512),
        n_threads=args.threads, n_threads_batch=args.threads, n_gpu_layers=0, verbose=False,
    )
    text = b"The price of a bond falls when interest rates rise, because its coupon is worth less. " * args.prompt
    prompt = llm.tokenize(text, add_bos=False)[: args.prompt]
    reading, decoding = [], []
    for _ in range(args.rounds + 1):
        llm.reset()
        start = time.perf_counter()
        llm.eval(prompt)
        reading.append(len(prompt) / (time.perf_counter() - start))
        start = time.perf_counter()
        for _ in range(args.decode):
            logits = llama_cpp.llama_get_logits_ith(llm.ctx, -1)
            llm.eval([int(np.argmax(np.ctypeslib.as_array(logits, shape=(llm.n_vocab(),))))])
        decoding.append(args.decode / (time.perf_counter() - start))
    print(json.dumps({
        "decode_tokens_per_second": round(max(decoding[1:]), 2),
        "prompt_tokens_per_second": round(max(reading[1:]), 2),
        "prompt": len(prompt), "decoded": args.decode, "threads": args.threads,
        "version": llama_cpp.__version__,
    }))


if __name__ == "__main__":
    main()
