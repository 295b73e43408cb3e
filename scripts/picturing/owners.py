"""Who delivers what, while one of two members is cut off from ZooKeeper."""

import json
import subprocess
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

from picturing.common import ROOT, Canvas, as_text, require, save, today

COMMAND = "scripts/pictures owners"
NAMES = {
    "divvy": "divvy",
    "Java": "Java's high-level consumer",
    "PyKafka": "PyKafka's BalancedConsumer",
}
# A member that delivers nothing for longer than this, in seconds, has paused.
PAUSE = 1.0

WIDTH = 880
LEFT, RIGHT, TOP = 50, 250, 92
ROW, LANE, BETWEEN = 16, 5, 48


def make(files):
    """Strikes the three clients, or takes what an earlier run has left, and makes the picture."""
    if files and files[0].endswith(".json"):
        run = json.loads(Path(files[0]).read_text(encoding="utf-8"))
    elif files:
        run = understand(Path(files[0]))
    else:
        run = strike()
    save("owners.json", as_text(run) + "\n")
    save("owners.svg", draw(run))


def strike():
    require("tools", "python")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "deliveries"
        program = ["cargo", "run", "--release", "--quiet", "--package", "divvy-tests", "--bin", "anchors"]
        subprocess.run([*program, "--", "--record", str(file)], cwd=ROOT, check=True)
        return understand(file)


def understand(file):
    """What of the deliveries is drawn."""
    first, *lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    makes = []
    for line in lines:
        if "make" in line:
            makes.append(line | {"deliveries": []})
        elif line["at"] >= -first["before_s"]:
            makes[-1]["deliveries"].append(line)
    order = list(NAMES)
    makes.sort(key=lambda make: order.index(make["make"]))
    summaries = [summary(make["make"], make["healed"], make["deliveries"], first["cut_off"]) for make in makes]
    return {"date": today(), "command": COMMAND} | first | {"makes": summaries}


def summary(name, healed, deliveries, cut_off):
    times = Counter(delivery["number"] for delivery in deliveries)
    return {
        "make": name,
        "healed_s": round(healed, 2),
        "messages": len(times),
        "twice": sum(1 for count in times.values() if count > 1),
        "beside": beside(deliveries, cut_off, healed),
        "spans": spans(deliveries),
    }


def beside(deliveries, cut_off, healed):
    """How many messages the one cut off has delivered of partitions that the other one delivered already."""
    taken = {}
    for delivery in deliveries:
        if delivery["member"] != cut_off and delivery["at"] >= 0:
            taken.setdefault(delivery["partition"], delivery["at"])
    # What was not its own before the cut has no new owner.
    own = {d["partition"] for d in deliveries if d["member"] == cut_off and d["at"] < 0}
    return sum(
        1
        for delivery in deliveries
        if delivery["member"] == cut_off
        and delivery["partition"] in own
        and taken.get(delivery["partition"], healed) < delivery["at"] < healed
    )


def spans(deliveries):
    """From when to when each member has delivered of each partition."""
    found = defaultdict(list)
    for delivery in deliveries:
        of_member = found[delivery["partition"], delivery["member"]]
        if of_member and delivery["at"] - of_member[-1][1] <= PAUSE:
            of_member[-1][1] = delivery["at"]
        else:
            of_member.append([delivery["at"], delivery["at"]])
    return [
        {"partition": partition, "member": member, "from_s": round(start, 2), "to_s": round(end, 2)}
        for (partition, member), of_member in sorted(found.items())
        for start, end in of_member
    ]


def draw(run):
    panel = run["partitions"] * ROW
    height = TOP + len(run["makes"]) * (panel + BETWEEN) + 16
    title = "Who delivers while one of two members is cut off from ZooKeeper"
    canvas = Canvas(WIDTH, height, title)
    start, end = -run["before_s"], 20 + run["aftermath_s"]
    scale = (WIDTH - LEFT - RIGHT) / (end - start)

    def place(seconds):
        return LEFT + (min(max(seconds, start), end) - start) * scale

    canvas.text(16, 30, title, size=17, bold=True)
    legend(canvas)
    for index, make in enumerate(run["makes"]):
        draw_panel(canvas, make, run, TOP + index * (panel + BETWEEN), place)
    canvas.text(
        16,
        height - 14,
        f"{run['date']}: {run['command']}. Kafka {run['kafka']}, two members of each client on a topic of "
        f"{run['partitions']} partitions, {run['messages_per_s']} messages/s, session timeout "
        f"{run['session_timeout_s']} s.",
        "soft",
        size=11,
    )
    return canvas.svg()


def legend(canvas):
    x, y = 16, 54
    for look, text, width in [
        ("first", "delivers: the member that is cut off", 240),
        ("second", "delivers: the other member", 190),
    ]:
        canvas.rectangle(x, y - 7, 18, LANE, look, radius=1.5)
        canvas.text(x + 25, y, text, "soft")
        x += width + 16
    canvas.rectangle(x, y - 10, 18, 12, "bad", opacity=0.3)
    canvas.text(x + 25, y, "both deliver the same partition", "soft")


def draw_panel(canvas, make, run, top, place):
    height = run["partitions"] * ROW
    canvas.rectangle(place(0), top, place(make["healed_s"]) - place(0), height, "band")
    canvas.text(place(make["healed_s"]), top - 6, "cut off from ZooKeeper", "soft", size=11, anchor="end")
    canvas.text(24, top + height / 2, "partition", "soft", size=10, anchor="middle", upwards=True)
    canvas.text(16, top - 7, NAMES[make["make"]], size=14, bold=True)
    for partition in range(run["partitions"]):
        y = top + partition * ROW
        canvas.rectangle(LEFT, y + ROW - 0.5, place(1e9) - LEFT, 0.5, "grid")
        canvas.text(LEFT - 8, y + 11, str(partition), "soft", size=10, anchor="end")
        draw_partition(canvas, make, run["cut_off"], partition, y, place)
    for seconds in range(0, int(20 + run["aftermath_s"]) + 1, 5):
        canvas.rectangle(place(seconds) - 0.25, top + height, 0.5, 4, "soft")
        text = f"{seconds} s" if seconds == 0 else str(seconds)
        canvas.text(place(seconds), top + height + 15, text, "soft", size=10, anchor="middle")
    draw_figures(canvas, make, top)


def draw_partition(canvas, make, cut_off, partition, y, place):
    lanes = {True: [], False: []}
    for span in make["spans"]:
        if span["partition"] == partition:
            lanes[span["member"] == cut_off].append((span["from_s"], span["to_s"]))
    for start, end in lanes[True]:
        for other_start, other_end in lanes[False]:
            x, until = place(max(start, other_start)), place(min(end, other_end))
            if until > x:
                canvas.rectangle(x, y + 0.5, until - x, ROW - 1.5, "bad", opacity=0.3)
    for is_cut_off, look, offset in [(True, "first", 1.5), (False, "second", ROW - LANE - 2)]:
        for start, end in lanes[is_cut_off]:
            width = max(place(end) - place(start), 1.5)
            canvas.rectangle(place(start), y + offset, width, LANE, look, radius=1.5)


def draw_figures(canvas, make, top):
    x = WIDTH - RIGHT + 26
    look = "bad" if make["beside"] else "good"
    canvas.text(x, top + 34, f"{make['beside']:,}", look, size=34, bold=True)
    explained = ["messages from the one cut off,", "beside those of the other one", "from the same partition"]
    for line, text in enumerate(explained):
        canvas.text(x, top + 54 + line * 15, text, "soft")
    canvas.text(x, top + 108, f"{make['twice']:,} of {make['messages']:,} messages", "ink")
    canvas.text(x, top + 123, "delivered more than once", "soft")
