#!/usr/bin/env python3
"""Does TRL see the same labels as this project? Three ways are compared row by row:
`data export --format tokens` as TRL's collator batches it, the same rows from LLaMA-Factory's folder, and `data preview`.

Usage: check-tokens-trl.py LINLY_BENCH FOLDER [--rows N]   (FOLDER is what `data export --format tokens -o FOLDER` wrote)
Needs trl, transformers, datasets (pip install trl). The home is taken from LINLY_BENCH_HOME as usual.
"""
import argparse
import json
import os
import subprocess
import sys

from datasets import load_dataset, load_from_disk
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling


def preview(binary, manifest, row):
    """(ids, labels) of a row as the trainer of this project has them."""
    command = [binary, "data", "preview", manifest["dataset"], "--row", str(row), "--model", manifest["model"],
               "--template", manifest["template"], "--json"]
    tokens = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["tokens"]
    return [t["id"] for t in tokens], [t["id"] if t["supervised"] else -100 for t in tokens]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binary")
    parser.add_argument("folder")
    parser.add_argument("--rows", type=int, default=50, help="rows of each split that are compared with `data preview`")
    args = parser.parse_args()
    manifest = json.load(open(os.path.join(args.folder, "export.json"), encoding="utf-8"))
    on_disk = load_from_disk(os.path.join(args.folder, "llama-factory"))
    collate = DataCollatorForLanguageModeling(pad_token_id=0)
    compared = supervised = 0
    for split, named in (("train", "train"), ("val", "validation")):
        path = os.path.join(args.folder, f"{split}.parquet")
        if not os.path.exists(path):
            continue
        rows = load_dataset("parquet", data_files=path, split="train")
        numbers = manifest[f"{split}_rows"]
        assert rows.column_names == ["input_ids", "labels", "attention_mask"], rows.column_names
        assert len(rows) == len(numbers) == len(on_disk[named])
        assert rows[:] == on_disk[named][:], "Parquet and the Arrow folder differ"
        for start in range(0, min(args.rows, len(rows)), 4):
            examples = [rows[i] for i in range(start, min(start + 4, len(rows), args.rows))]
            batch = collate(examples)
            for at, example in enumerate(examples):
                ids, labels = preview(args.binary, manifest, numbers[start + at])
                length = len(ids)
                assert batch["input_ids"][at][:length].tolist() == ids, f"row {numbers[start + at]}: other tokens"
                assert batch["labels"][at][:length].tolist() == labels, f"row {numbers[start + at]}: other labels"
                assert (batch["labels"][at][length:] == -100).all() and int(batch["attention_mask"][at].sum()) == length
                compared += 1
                supervised += sum(label != -100 for label in labels)
    print(f"{compared} rows: TRL's batches, the Arrow folder and `data preview` agree ({supervised} supervised tokens)")
    return 0 if compared else 1


if __name__ == "__main__":
    sys.exit(main())
