"""Writes chat_templates.json: what transformers renders for the templates in chat_templates/.

    python tests/oracle/chat_templates.py [MODEL_DIR]

With MODEL_DIR, that model's own template is rendered too and the result goes to stdout instead: a
check on a real template, which does not belong into this repository.
"""

import json
import pathlib
import sys

import transformers
from tokenizers import Tokenizer, models

HERE = pathlib.Path(__file__).parent
BOS, EOS = "<|bos|>", "<|im_end|>"


def say(*texts, system=None):
    roles = ["user", "assistant"] * len(texts)
    turns = [{"role": role, "content": text} for role, text in zip(roles, texts)]
    return ([{"role": "system", "content": system}] if system is not None else []) + turns


CONVERSATIONS = [
    say("What is a bond?"),
    say("什么是可转债？", "可转债是可以转换成股票的债券。"),
    say("Is it safe?", "Safer than a share.", "Why?", "It pays first.", system="You know finance."),
    say("基金有风险吗？", "有。", "大吗？", system="你是一名理财顾问。"),
    say("  blanks around \n", "\n an answer with blanks \n\n", " and again? ", system=" be brief \n"),
    say("quotes \"a\" 'b' <c> & \\d\t{{ e }} 😀", "{% if %} </s> é\u2028", "<think>?", "<think>\nhm\n</think>\n\nyes"),
    say("a", "b", "c", "d", "e", "f"),
]


def tokenizer(template):
    made = transformers.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({"a": 0}, unk_token="a")), bos_token=BOS, eos_token=EOS
    )
    made.chat_template = template
    return made


def cases(name, made):
    for messages in CONVERSATIONS:
        for prompt in (False, True):
            case = {"template": name, "messages": messages, "add_generation_prompt": prompt}
            try:
                case["text"] = made.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompt)
            except Exception as error:
                case["error"] = str(error)
            yield case


def main():
    if len(sys.argv) > 1:
        made = transformers.AutoTokenizer.from_pretrained(sys.argv[1])
        result = {
            "bos": made.bos_token,
            "eos": made.eos_token,
            "source": made.chat_template,
            "cases": list(cases("model", made)),
        }
        print(json.dumps(result, ensure_ascii=False, indent=1))
        return
    result = {"transformers": transformers.__version__, "bos": BOS, "eos": EOS, "cases": []}
    for path in sorted((HERE / "chat_templates").glob("*.jinja")):
        result["cases"] += cases(path.stem, tokenizer(path.read_text(encoding="utf-8")))
    text = json.dumps(result, ensure_ascii=False, indent=1) + "\n"
    (HERE / "chat_templates.json").write_text(text, encoding="utf-8")


main()
