"""One measurement: a system that was just started, the load on the other core, and what both of them say of it.

The load program plays the callers and the model, times the sound by one clock and reads what the system took of its core
from the kernel's accounts. Its word is not taken for everything: it says how late it was itself, and a measurement in
which it could not keep its own time is marked.
"""

import json
import os
import subprocess
from pathlib import Path

from rig.machine import LOAD_CORE, Failed, settle
from rig.systems import SECRETS

SELF_LATE_US = 5000  # the load's own p99: beyond it, a row is not to be trusted


class Load:
    """How the load is run, always the same way."""

    def __init__(self, program, seconds, talk=0.35, ramp=50):
        self.program = program
        self.seconds = seconds
        self.talk = talk
        self.ramp = ramp

    def bound(self, calls):
        """Seconds after which it must be over: everybody has been rung up, measured, and has hung up."""
        return calls / self.ramp + self.seconds + 60

    def on(self, running, calls):
        """Loads a running system, and gives back the load's own report."""
        command = [
            self.program, "load", running.url, "--calls", calls, "--for", f"{self.seconds}s", "--talk", self.talk,
            "--ramp", f"{self.ramp}/s", "--model-at", f"127.0.0.1:{running.model_port}",
            "--watch-pid", running.process.pid, "--json", *running.load_arguments,
        ]
        child = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **SECRETS},
            preexec_fn=lambda: settle(LOAD_CORE),
        )
        try:
            said, complaints = child.communicate(timeout=self.bound(calls))
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            raise Failed(f"the load was not over after {self.bound(calls):.0f} s") from None
        except BaseException:
            child.kill()
            child.wait()
            raise
        try:
            return json.loads(said)
        except ValueError:
            words = complaints.strip().splitlines()[-3:]
            raise Failed(f"the load ended with code {child.returncode}: {' '.join(words)}") from None


def measured(load, system, calls, scratch):
    """Starts a system, loads it, stops it. A flat record of what came out; `failed` says why nothing did."""
    folder = Path(scratch) / f"{system.key}-{os.urandom(3).hex()}"
    folder.mkdir()
    record = {"system": system.key, "calls": calls}
    try:
        with system.running(folder, calls) as running:
            report = load.on(running, calls)
    except Failed as why:
        return {**record, "failed": str(why)}
    return {**record, **summary(report), "report": report}


def summary(report):
    """What the table needs of a report."""
    watched = report.get("watched") or {}
    up, down = report.get("frames_up") or {}, report.get("frames_down") or {}
    endings = report.get("endings") or {}
    return {
        "cpu_us": watched.get("cpu_us_per_call_s"),
        "rss_kb": watched.get("rss_kb_per_call"),
        "up_p50_us": part(report, "up_us", "p50"),
        "up_p99_us": part(report, "up_us", "p99"),
        "down_p50_us": part(report, "down_us", "p50"),
        "down_p99_us": part(report, "down_us", "p99"),
        "self_late_us": part(report, "self_late_us", "p99"),
        "heard_up": up.get("arrived", 0),
        "heard_down": down.get("arrived", 0),
        "sent": up.get("sent", 0) + down.get("sent", 0),
        "lost": up.get("lost", 0) + down.get("lost", 0),
        "late": up.get("late", 0) + down.get("late", 0),
        "broken_calls": sum(endings.get(name, 0) for name in ("refused", "lost")),
        "violations": report.get("violations", 0),
    }


def part(report, name, which):
    return (report.get(name) or {}).get(which)


def peak_kb(pid):
    """The most memory that a process has had, in KB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    return None
