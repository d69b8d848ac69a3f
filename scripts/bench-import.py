#!/usr/bin/env python3
"""Imports of a million alpaca rows, ours beside others', in one run.

    scripts/bench-import.py [--rows 1000000] [--work DIR] [--bin PATH] [--only ours,sqlite3,...] [--rounds 1]

Writes DIR/rows-N.jsonl once (seeded: half Chinese, half English, about 142 bytes a line) and then imports it with each
tool into a fresh place. `python3 -m pip install polars datasets sqlite-utils` for the others; one that is missing is
left out with a line that says so. Peak memory is the child's maximum resident set.
"""

import argparse
import importlib.util
import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

ZH = "基金 债券 股票 利率 汇率 存款 贷款 保险 期货 期权 市盈率 净资产 现金流 负债 收益率 分红 通胀 央行 财政 税收 信用 评级 风险 对冲 组合 估值 流动性 久期 票息 本金".split()
ZH_LINK = "是 的 与 和 在 对 由 会 可以 需要 通常 因此 如果 影响 决定 高于 低于 取决于 意味着 下降 上升".split()
EN = "fund bond stock rate currency deposit loan insurance future option price earnings asset cash debt yield dividend inflation bank budget tax credit rating risk hedge portfolio value liquidity duration coupon".split()
EN_LINK = "is the of and in for by may can needs usually therefore when affects decides above below means falls rises".split()


def write_rows(path, rows):
    """Half of the lines Chinese, half English; every row has a number of its own, so none is a duplicate."""
    r = random.Random(20231124)
    part = path.with_suffix(".part")
    with open(part, "w", encoding="utf-8") as out:
        for i in range(rows):
            if i % 2:
                words = [r.choice(EN if k % 2 else EN_LINK) for k in range(r.randint(9, 13))]
                question, answer = f"What is {r.choice(EN)} {i}?", " ".join(words) + "."
            else:
                words = [r.choice(ZH if k % 2 else ZH_LINK) for k in range(r.randint(9, 15))]
                question, answer = f"什么是{r.choice(ZH)}{i}？", "".join(words) + "。"
            if i == rows * 2 // 3:
                answer += "稀见词组：鎏金貔貅。" if not i % 2 else " A rarely seen zeugma."
            out.write(json.dumps({"instruction": question, "input": "", "output": answer}, ensure_ascii=False) + "\n")
    part.rename(path)


SQLITE = """
import json, sqlite3, sys
c = sqlite3.connect(sys.argv[2])
c.execute("PRAGMA journal_mode = WAL")
c.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, instruction TEXT, input TEXT, output TEXT)")
rows = ((r["instruction"], r["input"], r["output"]) for r in map(json.loads, open(sys.argv[1], encoding="utf-8")))
with c:
    c.executemany("INSERT INTO rows (instruction, input, output) VALUES (?, ?, ?)", rows)
"""
SQLITE_FTS = SQLITE + """
c.execute("CREATE VIRTUAL TABLE f USING fts5(instruction, input, output, content='rows', content_rowid='id', tokenize='trigram')")
with c:
    c.execute("INSERT INTO f (f) VALUES ('rebuild')")
"""
UTILS = """
import json, sys, sqlite_utils
db = sqlite_utils.Database(sys.argv[2])
db["rows"].insert_all(map(json.loads, open(sys.argv[1], encoding="utf-8")), batch_size=1000)
"""
UTILS_FTS = UTILS + 'db["rows"].enable_fts(["instruction", "input", "output"])\n'
POLARS = "import polars, sys\npolars.read_ndjson(sys.argv[1]).write_parquet(sys.argv[2])\n"
DATASETS = """
import sys, datasets
datasets.disable_progress_bars()
datasets.load_dataset("json", data_files=sys.argv[1], split="train", cache_dir=sys.argv[2])
"""


def timed(command, **kwargs):
    """Seconds and peak memory (MiB) of a child."""
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kwargs)
    out, err = child.communicate()
    seconds = time.perf_counter() - start
    if child.returncode:
        raise SystemExit(f"{command[:4]}: {err[-600:]}")
    return seconds, out


def peak(command, **kwargs):
    """As timed, with the child's processor time and peak memory: a process in between sees only its one child."""
    code = "import resource, subprocess, sys, time; s = time.perf_counter(); p = subprocess.run(sys.argv[1:], capture_output=True, text=True); t = time.perf_counter() - s; u = resource.getrusage(resource.RUSAGE_CHILDREN); sys.stdout.write(f'{t} {u.ru_utime + u.ru_stime} {u.ru_maxrss // 1024}\\n'); sys.stdout.write(p.stdout); sys.stderr.write(p.stderr); sys.exit(p.returncode)"
    _, out = timed([sys.executable, "-c", code, *command], **kwargs)
    head, _, rest = out.partition("\n")
    seconds, busy, mib = head.split()
    return float(seconds), f"{float(busy):6.2f} s of processor {mib:>6}", rest


def size(path):
    return sum(f.stat().st_size for f in ([path] if path.is_file() else path.rglob("*")) if f.is_file()) / 2**20


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--rows", type=int, default=1_000_000)
    p.add_argument("--work", type=Path, default=Path("bench-import"))
    p.add_argument("--bin", default="target/release/linly-bench")
    p.add_argument("--only", default="")
    p.add_argument("--rounds", type=int, default=1)
    a = p.parse_args()
    a.work.mkdir(parents=True, exist_ok=True)
    file = a.work / f"rows-{a.rows}.jsonl"
    if not file.exists():
        write_rows(file, a.rows)
    print(f"{file.name}: {a.rows} rows, {file.stat().st_size / 1e6:.0f} MB")
    home = a.work / "home"
    env = {**os.environ, "LINLY_BENCH_HOME": str(home), "LC_ALL": "C.UTF-8"}
    others = [
        ("sqlite3", None, SQLITE),
        ("sqlite3 + FTS5 trigram", None, SQLITE_FTS),
        ("sqlite-utils", "sqlite_utils", UTILS),
        ("sqlite-utils + FTS5", "sqlite_utils", UTILS_FTS),
        ("polars -> parquet", "polars", POLARS),
        ("datasets (HF)", "datasets", DATASETS),
    ]
    only = [word for word in a.only.split(",") if word]
    wanted = lambda name: not only or any(name.startswith(word) for word in only)
    for _ in range(a.rounds):
        if wanted("ours"):
            shutil.rmtree(home, ignore_errors=True)
            seconds, mib, out = peak([a.bin, "data", "import", str(file), "--name", "big", "--json"], env=env)
            assert json.loads(out)["imported"] == a.rows
            print(f"{'linly-bench, with index':28} {seconds:7.2f} s {mib} MiB peak {size(home):7.0f} MiB on disk", flush=True)
        for name, module, code in others:
            if not wanted(name):
                continue
            if module and not importlib.util.find_spec(module):
                print(f"{name:28} left out: no module {module}")
                continue
            place = a.work / "other"
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            target = place / ("cache" if module == "datasets" else "out")
            seconds, mib, _ = peak([sys.executable, "-c", code, str(file), str(target)])
            print(f"{name:28} {seconds:7.2f} s {mib} MiB peak {size(place):7.0f} MiB on disk", flush=True)
            shutil.rmtree(place)
    if not home.exists():
        return
    # A whole process each time: start, opening the file, search, output.
    for words in ["鎏金貔貅", "zeugma", "rarely seen", "貔貅", "久期", "票息意味着久期", "convertible"]:
        times = []
        for _ in range(5):
            seconds, out = timed([a.bin, "data", "show", "big", "--search", words, "--limit", "10", "--json"], env=env)
            times.append(seconds * 1000)
        found = json.loads(out)
        print(f"search {words!r}: {found['matched']}{'' if found['matched_exact'] else '+'} rows, {min(times):.0f} ms (median {sorted(times)[2]:.0f})")
    for words, args in [("list", ["data", "list"]), ("last page", ["data", "show", "big", "--from", str(a.rows - 10)]),
                        ("history", ["data", "history", "big"])]:
        print(f"{words}: {min(timed([a.bin, *args], env=env)[0] for _ in range(5)) * 1000:.0f} ms")


if __name__ == "__main__":
    main()
