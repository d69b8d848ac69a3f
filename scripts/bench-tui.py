#!/usr/bin/env python3
"""Measures how fast the terminal interface answers, from outside: keys go in through a pseudo-terminal, and the time
until bytes come back is taken.

    scripts/bench-tui.py [--binary target/release/linly-bench] [--rows 1000000] [--home DIR]

Makes a home with a dataset of so many rows, a run with 100,000 events and a row with an answer of 1 MB (kept in
--home, so that a second run begins at once). Prints a table; milliseconds unless another unit is named. Needs
nothing but Python.
"""

import argparse
import fcntl
import json
import os
import pty
import re
import select
import signal
import sqlite3
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

COLUMNS, ROWS = 120, 40
# Sequences that move, colour or hide: what is left is text. Wide characters are placed one by one.
SEQUENCE = re.compile(rb"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[^\[]")


class Interface:
    """The program on a pseudo-terminal."""

    def __init__(self, binary, home):
        self.began = time.monotonic()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm-256color", LANG="C.UTF-8")
            os.execv(binary, [binary, "--home", home, "--lang", "en", "tui"])
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.seen = b""

    def read(self, limit):
        """What comes within `limit` seconds at the earliest moment; empty for nothing."""
        ready, _, _ = select.select([self.fd], [], [], limit)
        if not ready:
            return b""
        try:
            data = os.read(self.fd, 1 << 20)
        except OSError:
            return b""
        self.seen += data
        return data

    def text(self, limit):
        """The text of what comes first within `limit` seconds; a frame in which nothing changed has none."""
        end = time.monotonic() + limit
        while (left := end - time.monotonic()) > 0:
            if words := SEQUENCE.sub(b"", self.read(left)):
                return words
        return b""

    def quiet(self, pause=0.6, limit=30.0):
        """Reads until no text came for `pause` seconds."""
        end = time.monotonic() + limit
        while time.monotonic() < end and self.text(pause):
            pass

    def until(self, text, limit=60.0):
        """Milliseconds until `text` was drawn."""
        began, end = time.monotonic(), time.monotonic() + limit
        while text.encode() not in (words := SEQUENCE.sub(b"", self.seen)):
            if time.monotonic() > end:
                sys.exit(f"`{text}` never came; the screen had: {words[-500:].decode(errors='replace')}")
            self.read(0.05)
        return (time.monotonic() - began) * 1e3

    def press(self, keys):
        self.seen = b""
        os.write(self.fd, keys.encode())

    def latencies(self, keys, times):
        """Milliseconds from each key to the first bytes of its frame."""
        out = []
        for i in range(times):
            # The clock's quarter-second frames must not be taken for an answer.
            while self.read(0.0):
                pass
            began = time.monotonic()
            self.press(keys[i % len(keys)])
            if self.text(1.0):
                out.append((time.monotonic() - began) * 1e3)
            time.sleep(0.02)
        return out

    def cpu(self):
        """Seconds of processor time so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self):
        """MiB in memory."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def close(self):
        os.kill(self.pid, signal.SIGTERM)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


def prepare(binary, home, rows):
    """The home, unless it is there already."""
    base = [binary, "--home", home, "--lang", "en"]
    if Path(home, "linly.db").exists():
        return
    with tempfile.TemporaryDirectory() as folder:
        many = Path(folder, "many.jsonl")
        with many.open("w", encoding="utf-8") as out:
            for i in range(rows):
                out.write(json.dumps({"instruction": f"第 {i} 题：资产负债率如何计算？", "output": f"总负债除以总资产，乘以 {i % 97}%。"},
                                     ensure_ascii=False) + "\n")
        long = Path(folder, "long.jsonl")
        long.write_text(json.dumps({"instruction": "long", "output": "市盈率是股价与每股收益之比。The price over earnings. " * 16_000},
                                   ensure_ascii=False) + "\n", encoding="utf-8")
        subprocess.run([*base, "data", "import", str(many), "--name", "many"], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([*base, "data", "import", str(long), "--name", "long"], check=True, stdout=subprocess.DEVNULL)
    events(home)


def events(home):
    """A run with 100,000 steps, written as the program writes them."""
    db = sqlite3.connect(Path(home, "linly.db"))
    run, now, steps = "train-20260101-000000-long", "2026-01-01T00:00:00.000Z", 100_000
    db.execute("INSERT INTO runs(id, kind, status, model, adapter, dataset, config, result, code_version, started_at, "
               "finished_at) VALUES (?, 'train', 'done', 'm', 'a', 'many', '{}', '{}', '', ?, ?)", (run, now, now))

    def event(i):
        return json.dumps({"event": "step", "step": i, "total": steps, "loss": 3 / (1 + i / 9000), "lr": 1e-4,
                           "grad_norm": 1.0, "tokens": 512, "supervised_tokens": 200, "tokens_per_second": 900.0})

    db.executemany("INSERT INTO events(run_id, seq, at, payload) VALUES (?, ?, ?, ?)",
                   ((run, i, now, event(i)) for i in range(1, steps + 1)))
    db.commit()
    db.close()


def spread(values):
    """Median, 95th percentile and largest."""
    values = sorted(values)
    return f"{statistics.median(values):7.1f} {values[int(len(values) * 0.95)]:7.1f} {values[-1]:7.1f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="target/release/linly-bench")
    parser.add_argument("--home")
    parser.add_argument("--rows", type=int, default=1_000_000)
    args = parser.parse_args()
    binary = str(Path(args.binary).resolve())
    home = args.home or tempfile.mkdtemp(prefix="linly-bench-tui-")
    prepare(binary, home, args.rows)
    cores = os.cpu_count() or 1

    firsts = []
    for _ in range(5):
        ui = Interface(binary, home)
        ui.until("Setup")
        firsts.append((time.monotonic() - ui.began) * 1e3)
        ui.quiet()
        ui.close()
    print(f"{'':44}  median     95%     max")
    print(f"{'start to first frame':44} {spread(firsts)}")
    ui = Interface(binary, home)
    ui.quiet()
    ui.press("\x1b")  # The first steps, where they are shown.
    ui.quiet()
    ui.press("2")
    ui.until("many")
    ui.quiet()
    ui.press("/many\r")
    ui.quiet(0.3)
    ui.press("\r")
    ui.until("资产负债率")
    ui.quiet()
    print(f"{'a key in a list of ' + format(args.rows, ',') + ' rows':44} {spread(ui.latencies('jk', 200))}")
    ends = []
    for key in "Gg" * 5:
        ui.press(key)
        wanted = f"第 {args.rows - 1} 题" if key == "G" else "第 0 题"
        ends.append(ui.until(wanted))
        ui.quiet(0.3)
    print(f"{'to the last row and back, drawn':44} {spread(ends)}")
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(cores)]
    try:
        print(f"{f'a key while {cores} cores are busy':44} {spread(ui.latencies('jk', 200))}")
    finally:
        for process in busy:
            process.kill()
    before, began = ui.cpu(), time.monotonic()
    ui.quiet(0.2, 10.0)
    while time.monotonic() - began < 10.0:
        ui.read(0.5)
    used = (ui.cpu() - before) / (time.monotonic() - began)
    print(f"{'processor time at rest':44} {used * 100:7.2f} %")
    resident = ui.memory()
    for _ in range(5_000):
        ui.press("j")
        ui.read(0.05)
    print(f"{'memory, and after 5,000 keys':44} {resident:7.0f} {ui.memory():7.0f} MiB")
    ui.press("\x1b")
    ui.quiet(0.3)
    ui.press("4")
    ui.quiet()
    ui.press("\r")
    opening = ui.until("100,000")
    ui.quiet()
    print(f"{'a run with 100,000 events, drawn':44} {opening:7.1f}")
    print(f"{'a key beside its curve':44} {spread(ui.latencies('LL', 100))}")
    ui.press("\x1b")
    ui.quiet(0.3)
    for keys in ("2", "\x1b", "\x1b", "/long\r", "\r"):
        ui.press(keys)
        ui.quiet(0.3)
    ui.press("\r")
    opening = ui.until("line ")
    ui.quiet()
    print(f"{'a row of 1 MB, drawn':44} {opening:7.1f}")
    print(f"{'a key in it':44} {spread(ui.latencies('jk', 100))}")
    ui.close()


if __name__ == "__main__":
    main()
