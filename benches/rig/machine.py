"""The machine that is measured on: what it is, what is built for it, and processes that cannot outlive the measurement.

A figure without its machine, versions and date is a rumour, so they are gathered here and printed with every table. A
process is started on one core, watched by its own number, and stopped by that number; should this program die, the kernel
ends its children too.
"""

import ctypes
import os
import platform
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from datetime import datetime, timezone
from pathlib import Path

BENCHES = Path(__file__).resolve().parent.parent
PROJECT = BENCHES.parent
CACHE = Path(os.environ.get("RINGFENCE_BENCH_CACHE", Path.home() / ".cache" / "ringfence-bench"))

CORES = sorted(os.sched_getaffinity(0))
SYSTEM_CORE, LOAD_CORE = CORES[0], CORES[-1]

# The system and the load go before whatever else runs here, where that is allowed; on an idle machine it changes nothing.
FIRST = -15
MAY_GO_FIRST = (
    subprocess.run(["nice", "-n", str(FIRST), "true"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE).stderr == b""
)

# Where much else runs, even that is not enough: a wake that comes late finds many sockets ready, and serving them together
# is cheaper. Real-time scheduling keeps wakes prompt; it is asked for, for it can starve whatever else runs on two cores.
REALTIME = False

DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)
LIBC = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """Something without which there is nothing to measure."""


def run(*command, **options):
    """Runs a command to its end and gives back what it said."""
    done = subprocess.run([str(word) for word in command], text=True, stdout=subprocess.PIPE, **options)
    if done.returncode:
        raise Failed(f"{' '.join(str(word) for word in command)} failed with code {done.returncode}")
    return done.stdout


def version(*command):
    """The first line of what a program says of its version; None if it is not here."""
    try:
        return run(*command, stderr=subprocess.STDOUT).splitlines()[0].strip()
    except (OSError, Failed, IndexError):
        return None


# ---- Processes ---------------------------------------------------------------------------------------------------


def settle(core):
    """A new process, before it becomes a program: on its core, ahead of other work, and not to outlive us."""
    os.sched_setaffinity(0, {core})
    LIBC.prctl(DIE_WITH_PARENT, signal.SIGKILL)
    if REALTIME:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    elif MAY_GO_FIRST:
        os.setpriority(os.PRIO_PROCESS, 0, FIRST)


class Process:
    """A process of ours, on one core, with a log of its own."""

    def __init__(self, name, command, core, folder, environment=None):
        self.name = name
        self.log = Path(folder) / f"{name}.log"
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                env={**os.environ, **(environment or {})},
                preexec_fn=lambda: settle(core),
            )
        self.pid = self.child.pid

    def last_words(self):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-8:])

    def wait_for(self, ready, patience=30.0, step=0.02):
        """Seconds until `ready()` was true."""
        began = time.monotonic()
        while time.monotonic() - began < patience:
            if self.child.poll() is not None:
                raise Failed(f"{self.name} ended with code {self.child.returncode}:\n{self.last_words()}")
            if ready():
                return time.monotonic() - began
            time.sleep(step)
        raise Failed(f"{self.name} was not ready after {patience:.0f} s:\n{self.last_words()}")

    def stop(self, patience=5.0):
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(patience)
            except subprocess.TimeoutExpired:
                self.child.kill()
        self.child.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def free_port():
    """A port of the loopback that nobody had a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def answers(url):
    try:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=1) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


# ---- What is built -----------------------------------------------------------------------------------------------


class Built:
    """The programs, built in release unless they are said to be there."""

    def __init__(self, target, build, told):
        self.folder = Path(target) / "release"
        self.ringfence = self.folder / "ringfence"
        self.ws_relay = self.folder / "examples" / "ws_relay"
        self.relay = CACHE / "relay"
        CACHE.mkdir(parents=True, exist_ok=True)
        if build:
            told("building (release)")
            cargo = ["cargo", "build", "--locked", "--release", "--bin", "ringfence", "--example", "ws_relay"]
            run(*cargo, cwd=PROJECT, env={**os.environ, "CARGO_TARGET_DIR": str(target)})
        missing = [str(program) for program in (self.ringfence, self.ws_relay) if not program.exists()]
        if missing:
            raise Failed(f"not built: {', '.join(missing)}")
        compiler = os.environ.get("CC", "cc")
        run(compiler, "-O2", "-Wall", "-o", self.relay, BENCHES / "relay.c")


def install_node_peer(told):
    """The folder of the Node peer with its packages, kept in the cache."""
    folder, source = CACHE / "twilio-node", BENCHES / "peers" / "twilio-node"
    if not shutil.which("npm"):
        raise Failed("npm is not here")
    wanted = (source / "package.json").read_text()
    folder.mkdir(parents=True, exist_ok=True)
    for file in ("package.json", "server.js"):
        shutil.copy(source / file, folder / file)
    mark = folder / "installed"
    if not mark.exists() or mark.read_text() != wanted:
        told("installing the Node peer's packages")
        run("npm", "install", "--no-audit", "--no-fund", "--silent", cwd=folder, stderr=subprocess.DEVNULL, timeout=600)
        mark.write_text(wanted)
    return folder


def install_pipecat(told):
    """The Python that has Pipecat, kept in the cache."""
    folder, source = CACHE / "pipecat", BENCHES / "peers" / "pipecat" / "requirements.txt"
    wanted, mark = source.read_text(), folder / "installed"
    if not mark.exists() or mark.read_text() != wanted:
        told("installing Pipecat (half a gigabyte)")
        run("python3", "-m", "venv", folder)
        run(folder / "bin" / "pip", "install", "-q", "--disable-pip-version-check", "-r", source, timeout=1200)
        mark.write_text(wanted)
    return folder / "bin" / "python"


class Authority:
    """A certificate for 127.0.0.1, and the authority that vouches for it: made anew, worth nothing elsewhere."""

    def __init__(self, folder):
        self.root, self.certificate, self.key = (Path(folder) / name for name in ("root.pem", "model.pem", "model.key"))
        root_key, request = Path(folder) / "root.key", Path(folder) / "model.csr"
        extensions = Path(folder) / "model.ext"
        extensions.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=CA:FALSE\n")
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        self.openssl(
            "req", "-x509", *curve, "-days", "2", "-subj", "/CN=a bench", "-keyout", root_key, "-out", self.root
        )
        self.openssl("req", *curve, "-subj", "/CN=localhost", "-keyout", self.key, "-out", request)
        self.openssl(
            "x509", "-req", "-in", request, "-CA", self.root, "-CAkey", root_key, "-set_serial", "1", "-days", "2",
            "-extfile", extensions, "-out", self.certificate,
        )

    @staticmethod
    def openssl(*words):
        run("openssl", *words, stderr=subprocess.DEVNULL)


# ---- What it is --------------------------------------------------------------------------------------------------


def processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def described(built):
    """Everything that a figure depends on and that this program does not choose."""
    try:
        commit = run("git", "describe", "--always", "--dirty", cwd=PROJECT, stderr=subprocess.DEVNULL).strip()
    except (OSError, Failed):
        commit = None
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": processor(),
        "cores": len(CORES),
        "memory_gb": round(memory / 2**30),
        "kernel": platform.release(),
        "load_average_before": os.getloadavg()[0],
        "system_on_core": SYSTEM_CORE,
        "load_on_core": LOAD_CORE,
        "priority": "real-time" if REALTIME else f"niceness {FIRST if MAY_GO_FIRST else 0}",
        "commit": commit,
        "ringfence": version(built.ringfence, "--version"),
        "rustc": version("rustc", "--version"),
        "cc": version(os.environ.get("CC", "cc"), "--version"),
    }


def image_megabytes():
    """The size of the image that tests/container.sh has built, if it has."""
    cache = Path(os.environ.get("RINGFENCE_TEST_CACHE", Path.home() / ".cache" / "ringfence-test")) / "containers"
    settings = cache / "storage.conf"
    if not settings.exists():
        return None
    own = {"CONTAINERS_STORAGE_CONF": str(settings), "CONTAINERS_CONF": str(cache / "containers.conf")}
    try:
        said = run(
            "podman", "image", "inspect", "--format", "{{.Size}}", "localhost/ringfence:test",
            env={**os.environ, **own}, stderr=subprocess.DEVNULL, timeout=30,
        )
        return int(said) / 1e6
    except (OSError, ValueError, Failed, subprocess.TimeoutExpired):
        return None


def scratch():
    """A folder that is gone when the measurement is."""
    return tempfile.TemporaryDirectory(prefix="ringfence-bench-")
