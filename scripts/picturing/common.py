"""What the pictures have in common: where they go, what they need, and how they look."""

import datetime
import html
import json
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PICTURES = ROOT / "docs/pictures"

FONT = "-apple-system, BlinkMacSystemFont, 'Segoe UI', 'Noto Sans', Helvetica, Arial, sans-serif"
# What each class of shapes looks like, on a light page and on a dark one.
COLOURS = {
    "page": ("#ffffff", "#0d1117"),
    "edge": ("#d1d9e0", "#30363d"),
    "grid": ("#eaeef2", "#21262d"),
    "band": ("#eef1f5", "#1b222c"),
    "ink": ("#1f2328", "#e6edf3"),
    "soft": ("#59636e", "#9198a1"),
    "first": ("#e08600", "#f0a13c"),
    "second": ("#2f6fd0", "#5b9bf5"),
    "bad": ("#d1242f", "#ff6a69"),
    "good": ("#1a7f37", "#3fb950"),
    "other": ("#a3acb6", "#59636e"),
    "bound": ("#dde3e9", "#2f363f"),
}


def today():
    return datetime.datetime.now(datetime.timezone.utc).date().isoformat()


def require(*needs):
    """Installs what is missing, as the other scripts do, which say first what that is."""
    calls = "; ".join(f"require_{need}" for need in needs)
    subprocess.run(["bash", "-euc", f". scripts/lib.sh; {calls}"], cwd=ROOT, check=True)


def save(name, text):
    path = PICTURES / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    print(f"{path.relative_to(ROOT)}: {-(-len(text) // 1024)} KiB")


def as_text(value, indent=""):
    """JSON in which what holds no lists and objects has a line to itself."""
    inner = value.values() if isinstance(value, dict) else value
    if not isinstance(value, (dict, list)) or not any(isinstance(one, (dict, list)) for one in inner):
        return json.dumps(value)
    within = indent + " "
    if isinstance(value, dict):
        lines = [f"{within}{json.dumps(key)}: {as_text(one, within)}" for key, one in value.items()]
    else:
        lines = [within + as_text(one, within) for one in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return f"{opening}\n" + ",\n".join(lines) + f"\n{indent}{closing}"


class Canvas:
    """An SVG that is readable on light and on dark pages."""

    def __init__(self, width, height, title):
        self.width, self.height, self.title = width, height, title
        self.shapes = []

    def rectangle(self, x, y, width, height, look, radius=0.0, opacity=1.0):
        more = (f' rx="{radius:g}"' if radius else "") + (f' opacity="{opacity:g}"' if opacity < 1 else "")
        self.shapes.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" class="{look}"{more}/>'
        )

    def circle(self, x, y, radius, look):
        self.shapes.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" class="{look}"/>')

    def text(self, x, y, text, look="ink", size=12, anchor="start", bold=False, upwards=False):
        more = ' font-weight="600"' if bold else ""
        if upwards:
            more += f' transform="rotate(-90 {x:g} {y:g})"'
        self.shapes.append(
            f'<text x="{x:.1f}" y="{y:.1f}" class="{look}" font-size="{size}" text-anchor="{anchor}"{more}>'
            f"{html.escape(text)}</text>"
        )

    def svg(self):
        light = " ".join(f".{name} {{ fill: {pair[0]} }}" for name, pair in COLOURS.items())
        dark = " ".join(f".{name} {{ fill: {pair[1]} }}" for name, pair in COLOURS.items())
        return "\n".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
            f'width="{self.width}" height="{self.height}" font-family="{FONT}" role="img">',
            f"<title>{html.escape(self.title)}</title>",
            "<style>",
            light,
            f"@media (prefers-color-scheme: dark) {{ {dark} }}",
            "</style>",
            f'<rect width="{self.width}" height="{self.height}" rx="8" class="edge"/>',
            f'<rect x="1" y="1" width="{self.width - 2}" height="{self.height - 2}" rx="7" class="page"/>',
            *self.shapes,
            "</svg>",
            "",
        ])
