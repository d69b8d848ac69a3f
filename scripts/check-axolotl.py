#!/usr/bin/env python3
"""Does axolotl take an exported folder as it is? Its own checks read `axolotl.yaml`, and its own loader the rows.

Usage: check-axolotl.py FOLDER --model HF_FOLDER   (FOLDER: `data export --format axolotl` or `--format tokens`)
Needs axolotl (pip install axolotl); no GPU. HF_FOLDER holds the model's configuration and tokenizer.
"""
import argparse
import json
import os
import sys
import tempfile


def exported(split):
    """The rows of a split as they were exported: (rows of tokens, or messages, or none)."""
    for ending, kind in ((".parquet", "parquet"), (".jsonl", "json")):
        if os.path.exists(split + ending):
            if kind == "json":
                return [json.loads(line) for line in open(split + ending, encoding="utf-8")]
            from datasets import load_dataset

            return list(load_dataset(kind, data_files=split + ending, split="train"))
    return []


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--model", required=True)
    args = parser.parse_args()
    model = os.path.abspath(args.model)
    os.chdir(args.folder)
    os.environ["AXOLOTL_DO_NOT_TRACK"] = "1"
    # Imported here: the processes that axolotl starts read this file anew.
    from axolotl.cli.config import load_cfg
    from axolotl.common.datasets import load_datasets
    from axolotl.loaders import load_tokenizer

    with tempfile.TemporaryDirectory() as scratch:
        # Only where things lie is said beside the file: the model, and what axolotl writes.
        cfg = load_cfg("axolotl.yaml", base_model=model, dataset_prepared_path=scratch, output_dir=scratch)
        loaded = load_datasets(cfg=cfg)
        tokenizer = load_tokenizer(cfg)
        supervised = 0
        for split, rows in (("train", loaded.train_dataset), ("val", loaded.eval_dataset)):
            expected = exported(split)
            found = [] if rows is None else list(rows)
            assert len(found) == len(expected), f"{split}: {len(found)} rows, {len(expected)} were exported"
            if expected and "input_ids" in expected[0]:
                def key(row):
                    return list(row["input_ids"]), list(row["labels"])

                # axolotl shuffles.
                assert sorted(map(key, found)) == sorted(map(key, expected)), "other tokens or labels"
            elif expected:
                learnt = sorted(tokenizer.decode([label for label in row["labels"] if label != -100]) for row in found)
                for row in expected:
                    answer = row["messages"][-1]["content"]
                    assert any(answer in text for text in learnt), f"not learnt: {answer!r}"
                texts = "\n".join(tokenizer.decode(row["input_ids"]) for row in found)
                for row in expected:
                    for tool in json.loads(row.get("tools") or "[]"):
                        if "tools" in (tokenizer.chat_template or ""):
                            assert tool.get("function", tool)["name"] in texts, "a tool is not in the prompt"
            for row in found:
                assert any(label != -100 for label in row["labels"])
                supervised += sum(label != -100 for label in row["labels"])
            print(f"{split}: {len(found)} rows")
    print(f"axolotl takes the folder ({supervised} supervised tokens)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
