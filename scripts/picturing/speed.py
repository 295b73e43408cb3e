"""How fast each client reads and writes, and what that costs it."""

import datetime
import json
import math
import os
import subprocess
import tempfile
from pathlib import Path

from picturing.common import ROOT, Canvas, as_text, require, save

# Each run of benches/run: one broker that is read from, the same that is written to, and the first one that aiokafka reads from.
RUNS = [
    ["--python-peers"],
    # Each round leaves more than a gigabyte on the disk.
    ["--python-peers", "--produce", "--rounds", "3"],
    ["--python-peers", "--kafka", "0.9.0.1", "--only", "batch,kafka-python,aiokafka"],
]
READING = [
    ("batch", "divvy, in batches"),
    ("recv", "divvy, one at a time"),
    ("balanced", "divvy, in a group"),
    ("java", "Java's high-level consumer"),
    ("librdkafka", "librdkafka {}, in C"),
    ("confluent-kafka", "confluent-kafka {}, in Python"),
    ("aiokafka", "aiokafka {}, from {}"),
    ("kafka-python", "kafka-python {}"),
    ("pykafka", "PyKafka {}"),
    ("raw", "Fetch requests, nothing unpacked"),
]
WRITING = [
    ("produce", "divvy, 1000 at a time"),
    ("produce-one", "divvy, one at a time"),
    ("librdkafka", "librdkafka {}, in C"),
    ("confluent-kafka", "confluent-kafka {}, in Python"),
    ("java", "Java's producer {}"),
    ("aiokafka", "aiokafka {}"),
    ("pykafka", "PyKafka {}"),
    ("kafka-python", "kafka-python {}"),
]
OURS = ["batch", "recv", "balanced", "produce", "produce-one"]

WIDTH = 880
NAME, SPEED, SPEED_END, COST, COST_END = 16, 236, 490, 580, 800
ROW, BAR = 22, 12


def make(files):
    """Measures, or takes what an earlier run has left, and makes the picture."""
    found = [json.loads(Path(file).read_text(encoding="utf-8")) for file in files or measure()]
    if len(found) == 1 and "reports" in found[0]:
        result = found[0]
    else:
        reports = [report for reports in found for report in reports]
        result = {"processors": os.cpu_count(), "reports": [shortened(report) for report in reports]}
    save("speed.json", as_text(result) + "\n")
    save("speed.svg", draw(result))


def measure():
    require("tools", "python")
    with tempfile.TemporaryDirectory() as folder:
        for number, options in enumerate(RUNS):
            file = Path(folder) / f"{number}.json"
            subprocess.run(["benches/run", *options, "--output", str(file)], cwd=ROOT, check=True)
            yield file


def shortened(report):
    """Without what the runs of a contender say."""
    for row in report["contenders"]:
        row.pop("ratios", None)
        row["runs"] = len(row["runs"])
    return report


def of(result, kafka, workload):
    """The figures of a run by contender."""
    for report in result["reports"]:
        if report["kafka"] == kafka and report["workload"] == workload:
            return report, {row["contender"]: row for row in report["contenders"]}
    raise SystemExit(f"no run on {kafka} of the workload {workload}")


def draw(result):
    report, reading = of(result, "0.8.2.2", "plain")
    written, writing = of(result, "0.8.2.2", "writing plain")
    later, on_later = of(result, "0.9.0.1", "plain")
    reading["aiokafka"] = on_later["aiokafka"] | {"kafka": later["kafka"]}
    height = 40 + (len(READING) + len(WRITING)) * ROW + 2 * 64 + 58
    title = "How fast messages of 100 bytes are read and written, and at what cost"
    canvas = Canvas(WIDTH, height, title)
    canvas.text(16, 30, title, size=17, bold=True)
    top = draw_part(canvas, "Reading", READING, reading, 68)
    draw_part(canvas, "Writing", WRITING, writing, top + 34)
    date = datetime.datetime.fromtimestamp(report["measured_at"], datetime.timezone.utc).date()
    runs, writes = (part["contenders"][0]["runs"] for part in (report, written))
    for line, text in enumerate([
        f"{date}: scripts/pictures speed, which is benches/run --python-peers, with --produce for writing. Medians of "
        f"{runs} runs of reading and {writes} of",
        f"writing, on {result['processors']} processors shared with one broker of Kafka {report['kafka']}. All readers but "
        "PyKafka and the last row verify checksums.",
    ]):
        canvas.text(16, height - 32 + line * 17, text, "soft", size=11)
    return canvas.svg()


def draw_part(canvas, title, rows, figures, top):
    """A row for each contender, with a bar for its speed and a dot for its cost. Gives where they end."""
    rows = [(name, label) for name, label in rows if name in figures]
    bottom = top + 14 + len(rows) * ROW
    canvas.text(NAME, top, title, size=14, bold=True)
    canvas.text(SPEED, top, "million messages a second", "soft", size=11)
    canvas.text(COST, top, "CPU time for each (logarithmic)", "soft", size=11)
    most = max(figures[name]["msgs_per_s"] for name, _ in rows)
    for power in range(2, 6):
        x = place_cost(10**power)
        canvas.rectangle(x - 0.5, top + 10, 1, bottom - top - 8, "grid")
        canvas.text(x, bottom + 14, time_text(10**power), "soft", size=10, anchor="middle")
    for index, (name, label) in enumerate(rows):
        draw_row(canvas, name, label, figures[name], top + 14 + index * ROW, most)
    return bottom + 14


def draw_row(canvas, name, label, row, y, most):
    ours = name in OURS
    look = "second" if ours else "bound" if name == "raw" else "other"
    text = label.format(row["version"], row.get("kafka"))
    middle = y + ROW / 2 + 4
    canvas.text(NAME, middle, text, "ink" if ours else "soft", bold=ours)
    width = max(row["msgs_per_s"] / most * (SPEED_END - SPEED), 1)
    canvas.rectangle(SPEED, y + (ROW - BAR) / 2, width, BAR, look, radius=2)
    speed = row["msgs_per_s"] / 1e6
    # What is a hundredth of a million is told by its first digit.
    shown = f"{speed:.2f}" if speed >= 0.1 else f"{speed:.3f}"
    canvas.text(SPEED + width + 7, middle, shown, "ink" if ours else "soft", bold=ours)
    x = place_cost(row["cpu_ns_per_msg"])
    canvas.rectangle(COST, y + ROW / 2 - 0.75, x - COST, 1.5, look)
    canvas.circle(x, y + ROW / 2, 5, look)
    canvas.text(x + 11, middle, time_text(row["cpu_ns_per_msg"]), "ink" if ours else "soft", bold=ours)


def place_cost(ns):
    low, high = math.log10(20), math.log10(300_000)
    return COST + (math.log10(max(ns, 20)) - low) / (high - low) * (COST_END - COST)


def time_text(ns):
    if ns < 1000:
        return f"{ns:.0f} ns"
    us = ns / 1000
    return f"{us:.1f} µs" if us < 10 and us != int(us) else f"{us:.0f} µs"
