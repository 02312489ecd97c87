"""From measurements to one table: medians over the rounds, ratios to the relay of the same round, and the targets.

A core that is shared with other people's work is fast in one minute and slow in the next. So a figure is never compared
with one of another minute: each system's cost is divided by the relay's of the same round and the same number of calls
before the median is taken.
"""

from collections import defaultdict
from statistics import median

from rig.load import SELF_LATE_US

REFERENCE = "relay"


def known(values):
    return [value for value in values if value is not None]


def middle(values):
    values = known(values)
    return median(values) if values else None


def rows(records, systems):
    """One row for each system and number of calls, in the order in which they were given."""
    reference = {(r["round"], r["calls"]): r.get("cpu_us") for r in records if r["system"] == REFERENCE}
    grouped = defaultdict(list)
    for record in records:
        grouped[record["system"], record["calls"]].append(record)
    out = []
    for calls in sorted({record["calls"] for record in records}):
        for system in systems:
            group = grouped.get((system.key, calls))
            if group:
                out.append(row(system, calls, group, reference))
    return out


def row(system, calls, group, reference):
    good = [record for record in group if "failed" not in record]
    ratios = []
    for record in good:
        base = reference.get((record["round"], calls))
        if base and record["cpu_us"] is not None:
            ratios.append(record["cpu_us"] / base)
    numbers = ("cpu_us", "rss_kb", "up_p50_us", "up_p99_us", "down_p50_us", "down_p99_us", "self_late_us")
    return {
        "system": system.key,
        "title": system.title,
        "carries": system.carries,
        "algorithm_ms": system.algorithm_ms,
        "calls": calls,
        "rounds": len(good),
        **{name: middle(record[name] for record in good) for name in numbers},
        "ratio": middle(ratios),
        "ratio_least": min(ratios, default=None),
        "ratio_most": max(ratios, default=None),
        "self_late_rounds": sum((record["self_late_us"] or 0) > SELF_LATE_US for record in good),
        "sent": sum(record["sent"] for record in good),
        "lost": sum(record["lost"] for record in good),
        "late": sum(record["late"] for record in good),
        "broken_calls": sum(record["broken_calls"] for record in good),
        "violations": sum(record["violations"] for record in good),
        "failed": next((record["failed"] for record in group if "failed" in record), None),
    }


# ---- As text -----------------------------------------------------------------------------------------------------


def shown(value, form="{:.0f}"):
    return "-" if value is None else form.format(value)


def milliseconds(us):
    return None if us is None else us / 1000


def both(up, down):
    return f"{shown(milliseconds(up), '{:.2f}')} / {shown(milliseconds(down), '{:.2f}')}"


def spread(row):
    if row["ratio"] is None:
        return "-"
    if row["rounds"] < 2 or row["system"] == REFERENCE:
        return f"{row['ratio']:.2f}x"
    return f"{row['ratio']:.2f}x ({row['ratio_least']:.2f}-{row['ratio_most']:.2f})"


def remark(row):
    said = []
    if row["self_late_rounds"] * 2 > row["rounds"]:
        said.append("load late: do not trust")
    elif row["self_late_rounds"]:
        said.append(f"load late in {row['self_late_rounds']} of {row['rounds']}")
    if (row["lost"] + row["late"]) * 100 > row["sent"]:
        said.append("overwhelmed")
    if row["broken_calls"]:
        said.append(f"{row['broken_calls']} calls refused or lost")
    if row["violations"]:
        said.append(f"{row['violations']} breaches of protocol")
    if row["failed"]:
        said.append(row["failed"].splitlines()[0][:60])
    return "; ".join(said)


HEAD = (
    "system", "carries", "CPU us per call-s", "to the relay", "p50 up / down, ms", "p99 up / down, ms", "KB per call",
    "lost / late frames", "load late p99, ms", "",
)


def table(rows):
    """The rows as Markdown, a table for each number of calls."""
    out = []
    for calls in sorted({row["calls"] for row in rows}):
        some = [row for row in rows if row["calls"] == calls]
        cells = [HEAD] + [
            (
                row["title"],
                row["carries"],
                shown(row["cpu_us"]),
                spread(row),
                both(row["up_p50_us"], row["down_p50_us"]),
                both(row["up_p99_us"], row["down_p99_us"]),
                shown(row["rss_kb"]),
                f"{row['lost']} / {row['late']}",
                shown(milliseconds(row["self_late_us"]), "{:.2f}"),
                remark(row),
            )
            for row in some
        ]
        out.append(f"{calls} calls, {max(row['rounds'] for row in some)} rounds\n\n{markdown(cells)}")
    return "\n\n".join(out)


def markdown(cells):
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    lines = ["| " + " | ".join(text.ljust(width) for text, width in zip(line, widths)) + " |" for line in cells]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


# ---- The targets -------------------------------------------------------------------------------------------------


def target(what, wanted, most, value, form, at="", least=False):
    """One line: what was wanted, what it is, and their ratio (under 1 is better than wanted)."""
    if value is None:
        return {"what": what, "wanted": wanted, "measured": "not measured", "ratio": None, "met": None, "at": at}
    ratio = most / value if least and value else value / most
    met = value >= most if least else value <= most
    return {"what": what, "wanted": wanted, "measured": form.format(value), "ratio": ratio, "met": met, "at": at}


def find(rows, key):
    """A system's row at the largest number of calls up to 200, where the targets are set."""
    some = [row for row in rows if row["system"] == key and row["rounds"]]
    fit = [row for row in some if row["calls"] <= 200] or some
    return max(fit, key=lambda row: row["calls"], default=None)


def latency(row):
    """The worse of both directions, in ms, without what the resamplers hold back by design."""
    if row is None or row["up_p99_us"] is None or row["down_p99_us"] is None:
        return None
    return max(row["up_p99_us"], row["down_p99_us"]) / 1000


def targets(rows, extra):
    def of(key, name):
        row = find(rows, key)
        return (row[name] if row else None), (f"{row['calls']} calls" if row else "")

    out = []
    for key, title, most in (
        ("ringfence", "CPU: transcoding, batched and coalesced", 0.8),
        ("ringfence-tls", "CPU: the same with TLS to the model", 1.0),
        ("ringfence-plain", "CPU: no batching, no coalescing", 1.25),
    ):
        value, at = of(key, "ratio")
        out.append(target(title, f"<= {most:.2f}x the relay", most, value, "{:.2f}x", at))
    for key, title, most in (
        ("ringfence", "added latency, p99, batched", 2.0),
        ("ringfence-plain", "added latency, p99, without", 0.3),
    ):
        row = find(rows, key)
        at = f"{row['calls']} calls" if row else ""
        out.append(target(title, f"< {most} ms", most, latency(row), "{:.2f} ms", at))
    value, at = of("ringfence-tls", "rss_kb")
    out.append(target("memory a call, TLS to the model", "<= 80 KB (stretch 40)", 80, value, "{:.0f} KB", at))
    out.append(
        target("calls without a lost or late frame", ">= 600 (stretch 800)", 600, extra.get("most_calls"), "{:.0f}",
               "one core", least=True)
    )
    out.append(target("start: binary to ready", "< 100 ms", 100, extra.get("start_ms"), "{:.0f} ms"))
    out.append(target("image", "< 40 MB", 40, extra.get("image_mb"), "{:.1f} MB"))
    return out


def targets_text(targets):
    cells = [("target", "wanted", "measured", "at", "of the target", "")]
    for one in targets:
        verdict = {True: "met", False: "MISSED", None: ""}[one["met"]]
        cells.append(
            (one["what"], one["wanted"], one["measured"], one["at"], shown(one["ratio"], "{:.2f}"), verdict)
        )
    return markdown(cells)
