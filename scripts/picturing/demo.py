"""The moving picture of the demo, from a real run on a terminal, which is tmux."""

import html
import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from picturing.common import ROOT, require, save, today

COMMAND = "cargo run --release -- demo"

# How often the terminal is looked at, and how long the account is shown in the end.
PAUSE = 0.5
LAST = 8.0

# Of a character in a font of 14 pixels; texts are stretched to it, whatever font there is.
WIDTH, HEIGHT = 8.4, 18
MARGIN = 14
TITLE = 30

BACKGROUND, BAR, FAINT, TEXT = "#161b22", "#21262d", "#7d8590", "#d6dde6"
COLOURS = {
    31: "#ff7b72", 32: "#56d364", 33: "#e3b341", 34: "#79c0ff", 35: "#d2a8ff", 36: "#56d4dd",
    91: "#ffa198", 92: "#7ee787", 93: "#f2cc60", 94: "#79c0ff", 95: "#e2c5ff", 96: "#76e3ea",
}


class Terminal:
    """tmux, of a server of its own."""

    def __init__(self, folder, columns, rows, shown, command):
        self.socket = str(Path(folder) / "socket")
        shell = f"printf '$ {shown}\\n'; {command}; read -r _"
        size = ["-x", str(columns), "-y", str(rows)]
        self.tmux("-f", "/dev/null", "new-session", "-d", *size, "sh", "-c", shell)

    def tmux(self, *arguments):
        command = ["tmux", "-S", self.socket, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def screen(self):
        return self.tmux("capture-pane", "-p", "-e").rstrip("\n").split("\n")

    def close(self):
        self.tmux("kill-server")


def record(shown, command, columns, rows, most):
    """The screens of a run, with when each was seen first."""
    frames = []
    with tempfile.TemporaryDirectory() as folder:
        terminal = Terminal(folder, columns, rows, shown, command)
        try:
            began = time.monotonic()
            while time.monotonic() - began < most:
                seen = time.monotonic() - began
                screen = terminal.screen()
                if not frames or frames[-1][1] != screen:
                    frames.append((seen, screen))
                if any(re.match(r"takeovers\b", plain(line)) for line in screen):
                    return frames
                time.sleep(PAUSE)
        finally:
            terminal.close()
    screen = "\n".join(plain(line) for line in frames[-1][1])
    sys.exit(f"the demo did not come to its end:\n{screen}")


def plain(line):
    return re.sub(r"\x1b\[[0-9;]*m", "", line)


def pieces(screen):
    """The texts of a screen with their rows, columns and looks, which go on from one line to the next."""
    colour, bold, faint = None, False, False
    for row, line in enumerate(screen):
        column = 0
        for part in re.split(r"(\x1b\[[0-9;]*m)", line):
            if not part.startswith("\x1b"):
                for text in re.finditer(r"\S+(?: \S+)*", part):
                    yield row, column + text.start(), text.group(), colour, bold, faint
                column += len(part)
                continue
            for code in (int(code or 0) for code in part[2:-1].split(";")):
                if code == 0:
                    colour, bold, faint = None, False, False
                elif code == 1:
                    bold = True
                elif code == 2:
                    faint = True
                elif code == 22:
                    bold, faint = False, False
                elif code == 39:
                    colour = None
                elif code in COLOURS:
                    colour = COLOURS[code]


def draw_lines(screen):
    """The lines of a screen that are not empty, by their rows."""
    drawn = {}
    for row, column, text, colour, bold, faint in pieces(screen):
        looks = f' fill="{FAINT if faint and not colour else colour or TEXT}"'
        if bold:
            looks += ' font-weight="bold"'
        size = f'x="{column * WIDTH:.1f}" textLength="{len(text) * WIDTH:.1f}"'
        drawn.setdefault(row, []).append(f"<text {size}{looks}>{html.escape(text)}</text>")
    return {row: "".join(texts) for row, texts in drawn.items()}


def draw(frames, columns, rows, title):
    """An SVG that shows one frame after the other; they lie side by side, and each line is there once."""
    lines, strips = {}, []
    width, height = columns * WIDTH + 2 * MARGIN, rows * HEIGHT + TITLE + 2 * MARGIN
    for index, (_, screen) in enumerate(frames):
        uses = []
        for row, drawn in draw_lines(screen).items():
            name = lines.setdefault(drawn, f"l{len(lines)}")
            y = TITLE + MARGIN + row * HEIGHT
            uses.append(f'<use href="#{name}" y="{y}"/>')
        strips.append(f'<g transform="translate({index * width:.1f})">{"".join(uses)}</g>')
    total = frames[-1][0] + LAST
    steps = [
        f"{seen / total * 100:.2f}% {{ transform: translateX({-index * width:.1f}px) }}"
        for index, (seen, _) in enumerate(frames)
    ]
    # What is shown where nothing moves.
    still = len(frames) * 2 // 3
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" '
        f'width="{width:.0f}" height="{height}" font-family="ui-monospace, SFMono-Regular, Menlo, '
        f'Consolas, DejaVu Sans Mono, monospace" font-size="14">',
        "<style>",
        f"@keyframes play {{ {' '.join(steps)} }}",
        f"#frames {{ transform: translateX({-still * width:.1f}px); "
        f"animation: play {total:.1f}s step-end infinite }}",
        "@media (prefers-reduced-motion: reduce) { #frames { animation: none } }",
        "text { dominant-baseline: hanging }",
        "</style>",
        f"<title>{html.escape(title)}</title>",
        "<defs>",
        *(f'<g id="{name}">{drawn}</g>' for drawn, name in lines.items()),
        "</defs>",
        f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>',
        f'<rect width="100%" height="{TITLE}" rx="8" fill="{BAR}"/>',
        f'<text x="{MARGIN}" y="9" fill="{FAINT}" font-size="13">{html.escape(title)}</text>',
        f'<svg x="{MARGIN}" width="{columns * WIDTH:.0f}" height="{height}" overflow="hidden">',
        '<g id="frames">',
        *strips,
        "</g>",
        "</svg>",
        "</svg>",
        "",
    ])


def make(seconds, columns, rows):
    """Runs the demo and makes its picture."""
    require("tmux")
    subprocess.run(["cargo", "build", "--release"], cwd=ROOT, check=True)
    shown = COMMAND
    if seconds != 30:
        shown += f" --seconds {seconds}"
    # As it is shown, but from wherever this is called, and without cargo's own lines.
    here = f"cargo run --quiet --manifest-path {shlex.quote(str(ROOT / 'Cargo.toml'))}"
    command = shown.replace("cargo run", here)
    frames = record(shown, command, columns, rows, seconds + 120)
    title = f"{shown}   ({today()}, {len(frames)} screens of one run)"
    save("demo.svg", draw(frames, columns, rows, title))
