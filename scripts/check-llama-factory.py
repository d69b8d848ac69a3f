#!/usr/bin/env python3
"""Does LLaMA-Factory take an exported folder as it is? Its own parser reads `llama-factory.yaml`, and its own loader the rows,
up to the batch that its collator makes.

Usage: check-llama-factory.py FOLDER --model HF_FOLDER   (FOLDER: `data export --format llama-factory` or `--format tokens`)
Needs llamafactory (pip install llamafactory). HF_FOLDER holds the model's configuration and tokenizer.
"""
import argparse
import json
import os
import sys

import yaml

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("folder")
parser.add_argument("--model", required=True)
args = parser.parse_args()
model = os.path.abspath(args.model)
os.chdir(args.folder)
# LLaMA-Factory asks packages' versions of what is installed; a newer neighbour is not what is checked here.
os.environ.setdefault("DISABLE_VERSION_CHECK", "1")

from llamafactory.data import SFTDataCollatorWith4DAttentionMask, get_dataset, get_template_and_fix_tokenizer  # noqa: E402
from llamafactory.hparams import get_train_args  # noqa: E402
from llamafactory.model import load_tokenizer  # noqa: E402


def rows_of(split):
    """Rows that the folder says it holds, and the tools they name."""
    names = [name for name in os.listdir(".") if name.endswith(f"_{split}.json")]
    rows = [row for name in names for row in json.load(open(name, encoding="utf-8"))]
    return len(rows), [row["tools"] for row in rows if row.get("tools")]


def main():
    config = yaml.safe_load(open("llama-factory.yaml", encoding="utf-8"))
    config.update(model_name_or_path=model, use_cpu=True, overwrite_output_dir=True, report_to="none")
    config.pop("overwrite_output_dir")
    model_args, data_args, training_args, finetuning_args, _ = get_train_args(config)
    module = load_tokenizer(model_args)
    tokenizer = module["tokenizer"]
    template = get_template_and_fix_tokenizer(tokenizer, data_args)
    module = get_dataset(template, model_args, data_args, training_args, stage=finetuning_args.stage, **module)
    tokens = os.path.exists("export.json")
    supervised = 0
    for split, key in (("train", "train_dataset"), ("val", "eval_dataset")):
        if tokens:
            expected, tools = len(json.load(open("export.json", encoding="utf-8"))[f"{split}_rows"]), []
        else:
            expected, tools = rows_of(split)
        rows = module.get(key)
        rows = next(iter(rows.values())) if isinstance(rows, dict) else rows
        found = 0 if rows is None else len(rows)
        assert found == expected, f"{split}: {found} rows, {expected} were exported"
        texts = "\n".join(tokenizer.decode(row["input_ids"]) for row in rows or [])
        for tool in tools:
            for entry in json.loads(tool):
                name = entry.get("function", entry)["name"]
                assert name in texts, f"the tool {name} is not in any prompt"
        for row in rows or []:
            learnt = sum(label != -100 for label in row["labels"])
            assert learnt > 0 and len(row["labels"]) == len(row["input_ids"])
            supervised += learnt
        if rows is not None and found:
            collate = SFTDataCollatorWith4DAttentionMask(template=template, tokenizer=tokenizer, label_pad_token_id=-100)
            batch = collate([{k: v for k, v in row.items()} for row in rows.select(range(min(2, found)))])
            for at, row in enumerate(rows.select(range(min(2, found)))):
                assert batch["labels"][at][: len(row["labels"])].tolist() == list(row["labels"])
        print(f"{split}: {found} rows")
    print(f"LLaMA-Factory takes the folder ({supervised} supervised tokens)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
