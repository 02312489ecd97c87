"""What is measured: each system, how it is started, and where the load calls it.

All of them get the same calls from the same load. They differ in how much of the job they do, and `carries` says that,
because a program that only passes bytes along must not be taken for one that answers a telephone.
"""

import json
from contextlib import contextmanager
from dataclasses import dataclass, field

from rig.machine import SYSTEM_CORE, Failed, Process, answers, free_port, listens, run

ACCOUNT = "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
SECRETS = {
    "TWILIO_ACCOUNT_SID": ACCOUNT,
    "TWILIO_AUTH_TOKEN": "0123456789abcdef0123456789abcdef",
    "OPENAI_API_KEY": "sk-simulated",
    "RINGFENCE_ADMIN_TOKEN": "opens-nothing-but-a-bench",
}


@dataclass
class Running:
    """A system that is up."""

    process: Process
    url: str
    model_port: int
    load_arguments: list = field(default_factory=list)


@dataclass
class System:
    """One row of the table."""

    key: str
    title: str
    carries: str
    start: object  # (system, folder, calls) -> a context that gives Running
    only_at: int = 0  # the one number of calls it is measured at, because more would overwhelm it; 0: all
    algorithm_ms: float = 0.0  # what its resamplers hold back by design, each way

    def running(self, folder, calls):
        return self.start(folder, calls)


@contextmanager
def started(name, command, folder, path, model_port, environment=None, ready=None, more=()):
    """Starts a program whose last number is its port, and waits until it is ready."""
    port = command[0]
    with Process(name, command[1:], SYSTEM_CORE, folder, environment) as process:
        process.wait_for(ready or (lambda: listens(port)))
        yield Running(process, f"{path[0]}://127.0.0.1:{port}{path[1]}", model_port, list(more))


def relay(built):
    def start(folder, _calls):
        port, model = free_port(), free_port()
        return started("relay", [port, built.relay, port, model], folder, ("ws", "/media"), model)

    return System("relay", "raw epoll relay, no WebSocket (1.0x)", "bytes", start)


def ws_relay(built, buffer=None):
    def start(folder, _calls):
        port, model = free_port(), free_port()
        sizes = [] if buffer is None else [buffer]
        return started("ws_relay", [port, built.ws_relay, port, model, *sizes], folder, ("ws", "/media"), model)

    if buffer is None:
        return System("tungstenite", "tokio + tungstenite relay, its own buffers", "messages", start)
    return System(f"tungstenite-{buffer // 1024}k", f"the same, read buffers of {buffer // 1024} KB", "messages", start)


# ---- Ringfence ---------------------------------------------------------------------------------------------------

UNBATCHED = {"server": 'batching = "off"', "line": 'coalesce = "0ms"'}


def settings(port, model, rest, calls, scheme="ws", batched=True):
    """A configuration whose caps are never the reason why a call ends here."""
    own = {"server": "", "line": ""} if batched else UNBATCHED
    return f"""
[server]
listen = "127.0.0.1:{port}"
public_url = "http://127.0.0.1:{port}"
{own["server"]}
[carrier.twilio]
api_base = "http://127.0.0.1:{rest}"
[model.main]
url = "{scheme}://127.0.0.1:{model}/v1/realtime"
model = "gpt-realtime-2.1"
[agent.desk]
numbers = ["*"]
instructions = "You answer the phone. Say that you are an automated assistant."
greeting = "Greet the caller and ask how you can help."
[agent.desk.cap]
spend = {{ warn = 40.0, end = 50.0 }}
duration = {{ warn = "2h", end = "3h" }}
silence = {{ warn = "10m", end = "20m" }}
[agent.desk.line]
{own["line"]}
[limits]
calls = {max(calls, 1)}
per_caller_per_hour = 1000000
pending_streams = {max(calls, 32)}
[budget]
day_usd = 1000000
agent_day_usd = 1000000
caller_day_usd = 1000000
[ledger]
url = "sqlite:ringfence.db"
"""


def ringfence(built, key, title, authority=None, batched=True):
    def start(folder, calls):
        port, model, rest = free_port(), free_port(), free_port()
        (folder / "ringfence.toml").write_text(
            settings(port, model, rest, calls, "wss" if authority else "ws", batched)
        )
        environment, more = dict(SECRETS), ["--carrier-api-at", f"127.0.0.1:{rest}"]
        if authority:
            environment["SSL_CERT_FILE"] = str(authority.root)
            more += ["--model-cert", str(authority.certificate), "--model-key", str(authority.key)]
        command = [port, built.ringfence, "serve", "--config", "ringfence.toml"]
        ready = f"http://127.0.0.1:{port}/readyz"
        return started(
            "ringfence", command, folder, ("http", "/twilio/voice"), model, environment, lambda: answers(ready), more
        )

    return System(key, title, "the whole job", start, algorithm_ms=2.0)


def knows_batching(built, folder):
    """Whether this binary can be told to do without."""
    (folder / "unbatched.toml").write_text(settings(8080, 9090, 9091, 1, batched=False))
    try:
        run(built.ringfence, "check", "--config", folder / "unbatched.toml", env={"PATH": "", **SECRETS})
    except Failed:
        return False
    return True


# ---- Peers -------------------------------------------------------------------------------------------------------


FEW = 20  # calls that every peer can carry on one core


def node_peer(folder_of_peer):
    def start(folder, _calls):
        port, model = free_port(), free_port()
        environment = {"PORT": str(port), "MODEL_URL": f"ws://127.0.0.1:{model}/v1/realtime", "NODE_ENV": "production"}
        command = [port, "node", folder_of_peer / "server.js"]
        return started("node", command, folder, ("ws", "/media-stream"), model, environment)

    versions = json.loads((folder_of_peer / "package.json").read_text())["dependencies"]
    title = f"Twilio's Node sample (fastify {versions['fastify']}, ws {versions['ws']})"
    return System("twilio-node", title, "pass-through", start)


def pipecat(python, server):
    def start(folder, _calls):
        port, model = free_port(), free_port()
        environment = {"PORT": str(port), "MODEL_URL": f"ws://127.0.0.1:{model}/v1/realtime"}
        command = [port, python, server]
        return started("pipecat", command, folder, ("ws", "/media-stream"), model, environment)

    version = (server.parent / "requirements.txt").read_text().split("==")[1].split()[0]
    return System("pipecat", f"Pipecat {version}", "the whole job", start, only_at=FEW)
