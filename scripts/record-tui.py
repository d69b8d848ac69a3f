#!/usr/bin/env python3
"""Plays keys into the terminal interface and writes what it shows as an animated SVG.

    scripts/record-tui.py --home DIR --steps scripts/tour.steps --out docs/pictures/tour.svg
                          [--binary target/release/linly-bench] [--lang en|zh] [--size 100x30]

Needs tmux and nothing else. A line of the steps is `KEYS  SECONDS`: keys as tmux names them (`2`, `Enter`, `C-p`),
several with blanks between, `-` for none; how long the outcome is shown. `~` instead of keys films for so many
seconds. What follows `#` is a comment. The recording goes on when the screen has stopped changing.
"""

import argparse
import html
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unicodedata
from pathlib import Path

CELL = (8.4, 18.0)
PALETTE = ["#161b22", "#f47a7a", "#7ec699", "#e8b85c", "#6cc7d9", "#c099ff", "#6cc7d9", "#d8dee9",
           "#8b949e", "#f47a7a", "#7ec699", "#e8b85c", "#6cc7d9", "#c099ff", "#6cc7d9", "#ffffff"]
GROUND, TEXT = "#161b22", "#d8dee9"
SGR = re.compile("\x1b\\[([0-9;:]*)m")
PLAIN = (None, None, False, False, False, False)


def steps(path):
    """The steps of a file: (keys, seconds, whether it is filmed)."""
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
        words = line.split("  #")[0].split()
        if not words or words[0] == "#":
            continue
        try:
            seconds = float(words.pop())
        except ValueError:
            sys.exit(f"{path}:{number}: the last word is no number of seconds: {line!r}")
        filmed = words == ["~"]
        yield [] if filmed or words == ["-"] else words, seconds, filmed


class Terminal:
    """A tmux server of its own with one window."""

    def __init__(self, command, width, height):
        self.base = ["tmux", "-L", f"record-{id(self)}", "-f", "/dev/null"]
        self.run("new-session", "-d", "-x", str(width), "-y", str(height), command)
        self.run("set", "-g", "status", "off")
        self.run("set", "-g", "escape-time", "0")

    def run(self, *words):
        return subprocess.run([*self.base, *words], check=True, capture_output=True, text=True).stdout

    def press(self, key):
        self.run("send-keys", key)

    def capture(self):
        return self.run("capture-pane", "-e", "-p", "-N").split("\n")[:-1]

    def settled(self, limit=20.0):
        """What is shown when it has stopped changing."""
        before, since, end = self.capture(), time.monotonic(), time.monotonic() + limit
        while time.monotonic() < end and time.monotonic() - since < 0.5:
            time.sleep(0.05)
            now = self.capture()
            if now != before:
                before, since = now, time.monotonic()
        return before

    def close(self):
        subprocess.run([*self.base, "kill-server"], capture_output=True, check=False)


def color(codes):
    """The colour that follows 38 or 48."""
    kind = codes.pop(0) if codes else 5
    if kind == 2:
        r, g, b = (codes.pop(0) if codes else 0 for _ in range(3))
        return f"#{r:02x}{g:02x}{b:02x}"
    n = codes.pop(0) if codes else 7
    if n < 16:
        return PALETTE[n]
    if n >= 232:
        return "#" + f"{8 + 10 * (n - 232):02x}" * 3
    levels = [0, 95, 135, 175, 215, 255]
    n -= 16
    return f"#{levels[n // 36]:02x}{levels[n // 6 % 6]:02x}{levels[n % 6]:02x}"


def styled(style, codes):
    """The style after the codes of an SGR sequence: foreground, background, bold, dim, underlined, reversed."""
    fg, bg, bold, dim, under, back = style
    codes = [int(c or 0) for c in re.split("[;:]", codes)] or [0]
    while codes:
        code = codes.pop(0)
        if code == 0:
            fg, bg, bold, dim, under, back = PLAIN
        elif code in (1, 2, 4, 7):
            bold, dim, under, back = bold or code == 1, dim or code == 2, under or code == 4, back or code == 7
        elif code == 22:
            bold = dim = False
        elif code == 24:
            under = False
        elif code == 27:
            back = False
        elif code == 38:
            fg = color(codes)
        elif code == 48:
            bg = color(codes)
        elif code == 39:
            fg = None
        elif code == 49:
            bg = None
        elif 30 <= code <= 37 or 90 <= code <= 97:
            fg = PALETTE[code - 30 if code < 90 else code - 82]
        elif 40 <= code <= 47 or 100 <= code <= 107:
            bg = PALETTE[code - 40 if code < 100 else code - 92]
    return fg, bg, bold, dim, under, back


def width(character):
    if unicodedata.combining(character) or unicodedata.category(character) == "Cf":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def runs(line):
    """Stretches of a line with one style, narrow and wide characters apart: (column, columns, text, style)."""
    column, style, out = 0, PLAIN, []
    for i, part in enumerate(SGR.split(line)):
        if i % 2:
            style = styled(style, part)
            continue
        for c in part:
            w = width(c)
            if out and w == 0:
                out[-1][2] += c
                continue
            last = out[-1] if out else None
            if last and last[3] == style and last[4] == w and last[0] + last[1] == column:
                last[1] += w
                last[2] += c
            else:
                out.append([column, w, c, style, w])
            column += w
    return [r[:4] for r in out]


def row_svg(line):
    """A line as SVG, at the top."""
    parts = []
    for column, columns, text, (fg, bg, bold, dim, under, back) in runs(line):
        x, w = column * CELL[0], columns * CELL[0]
        if back:
            fg, bg = bg or GROUND, fg or TEXT
        if bg and bg != GROUND:
            parts.append(f'<rect x="{x:.1f}" width="{w:.1f}" height="{CELL[1]}" fill="{bg}"/>')
        if not text.strip():
            continue
        looks = f' fill="{fg}"' if fg and fg != TEXT else ""
        looks += ' font-weight="bold"' if bold else ""
        looks += ' opacity=".65"' if dim else ""
        looks += ' text-decoration="underline"' if under else ""
        parts.append(f'<text x="{x:.1f}" y="13.5" textLength="{w:.1f}" lengthAdjust="spacingAndGlyphs"{looks}>{html.escape(text)}</text>')
    return "".join(parts)


def animation(frames, columns, rows):
    """The SVG of frames (lines, seconds). A line that several frames have is written once."""
    known, uses = {}, []
    for lines, _ in frames:
        places = []
        for y, line in enumerate(lines):
            svg = row_svg(line)
            if svg:
                places.append((known.setdefault(svg, len(known)), y))
        uses.append(places)
    total = sum(seconds for _, seconds in frames)
    w, h = columns * CELL[0] + 20, rows * CELL[1] + 20
    css, at = [], 0.0
    for i, (_, seconds) in enumerate(frames):
        begin, end = 100 * at / total, 100 * (at + seconds) / total
        at += seconds
        shown = "0%" if begin == 0 else f"0%,{begin - 0.001:.3f}%{{visibility:hidden}}{begin:.3f}%"
        gone = "" if i == len(frames) - 1 else f"{end:.3f}%,100%{{visibility:hidden}}"
        css.append(f"@keyframes k{i}{{{shown}{{visibility:visible}}{gone}}}"
                   f"#f{i}{{animation:k{i} {total:.2f}s step-end infinite}}")
    defs = "".join(f'<g id="r{n}">{svg}</g>' for svg, n in known.items())
    hidden = ' visibility="hidden"'
    groups = "".join(
        f'<g id="f{i}"{hidden if i else ""}>'
        + "".join(f'<use href="#r{n}" y="{y * CELL[1]:.0f}"/>' for n, y in places) + "</g>"
        for i, places in enumerate(uses))
    font = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Noto Sans Mono CJK SC',monospace"
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w:.0f} {h:.0f}" width="{w:.0f}" '
            f'font-family="{font}" font-size="14" xml:space="preserve"><style>text{{white-space:pre}}{"".join(css)}</style>'
            f'<rect width="100%" height="100%" rx="8" fill="{GROUND}"/><defs>{defs}</defs>'
            f'<g transform="translate(10 10)" fill="{TEXT}">{groups}</g></svg>\n')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", required=True, help="home of the recording; what is started in it, is started")
    parser.add_argument("--steps", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--binary", default="target/release/linly-bench")
    parser.add_argument("--lang", default="en", choices=["en", "zh"])
    parser.add_argument("--size", default="100x30")
    args = parser.parse_args()
    if not shutil.which("tmux"):
        sys.exit("tmux is needed and is not here")
    columns, rows = (int(n) for n in args.size.split("x"))
    binary, home = Path(args.binary).resolve(), Path(args.home).resolve()
    with tempfile.TemporaryDirectory() as folder:
        start = Path(folder, "start.sh")
        start.write_text(f"#!/bin/sh\nexport COLORTERM=truecolor LANG=C.UTF-8\n"
                         f"exec '{binary}' --home '{home}' --lang {args.lang} tui\n", encoding="utf-8")
        start.chmod(0o755)
        terminal = Terminal(str(start), columns, rows)
        frames = []
        try:
            frames.append((terminal.settled(), 1.0))
            for keys, seconds, filmed in steps(args.steps):
                for key in keys:
                    terminal.press(key)
                if not filmed:
                    frames.append((terminal.settled(), seconds))
                    continue
                end = time.monotonic() + seconds
                while time.monotonic() < end:
                    began = time.monotonic()
                    shown = terminal.capture()
                    time.sleep(0.25)
                    frames.append((shown, time.monotonic() - began))
        finally:
            terminal.close()
    merged = []
    for lines, seconds in frames:
        if merged and merged[-1][0] == lines:
            merged[-1] = (lines, merged[-1][1] + seconds)
        else:
            merged.append((lines, seconds))
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    Path(args.out).write_text(animation(merged, columns, rows), encoding="utf-8")
    size = Path(args.out).stat().st_size
    print(f"{args.out}: {len(merged)} frames, {size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
