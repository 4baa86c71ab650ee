"""Real brokers and real worker processes for tests, started and killed as an operator's machine would."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from stream.environment import as_environment, load_settings
from stream.log.embedded_broker import EmbeddedBroker, free_port
from stream.log.topics import create_topics
from stream.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
KAFKA_SCRIPT = ROOT.parent / "shared" / "kafka" / "run-kafka"
COMMANDS = {name: ("work", name) for name in ("index", "ingest", "tags", "ranking")} | {"serve": ("serve",)}
DEADLINE_S = 120.0


def kafka_skip_reason() -> str | None:
    """Why no real Kafka can be had, None if one can."""
    if os.environ.get("MEKIKI_TEST_KAFKA"):
        return None
    if KAFKA_SCRIPT.exists() and shutil.which("java"):
        return None
    return "no real Kafka: MEKIKI_TEST_KAFKA names none and no script starts one"


@contextmanager
def real_kafka(folder: Path) -> Iterator[str]:
    """Bootstrap servers of an Apache Kafka."""
    named = os.environ.get("MEKIKI_TEST_KAFKA")
    if named:
        yield named
        return
    with started_kafka(folder) as cluster:
        yield cluster["bootstrap"]


@contextmanager
def started_kafka(folder: Path) -> Iterator[dict]:
    """An Apache Kafka of our own, as its script describes it."""
    process, line = None, ""
    for attempt in range(3):  # a random cluster id that begins with a dash is refused by Kafka's own tool
        process = subprocess.Popen(
            [str(KAFKA_SCRIPT), "--dir", str(folder / f"kafka{attempt}")], stdout=subprocess.PIPE, text=True
        )
        line = process.stdout.readline()
        if line:
            break
        process.wait()
        process.stdout.close()
    try:
        yield json.loads(line)
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


@contextmanager
def embedded_kafka(folder: Path) -> Iterator[str]:
    """Bootstrap servers of the embedded broker."""
    with EmbeddedBroker(folder / "broker.log") as broker:
        yield broker.bootstrap_servers


def wait_for(
    condition: Callable[[], object], what: str, deadline_s: float = DEADLINE_S, pause_s: float = 0.05
) -> object:
    """Poll until the condition gives something true; its value."""
    until_s = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < until_s, f"{what} did not happen within {deadline_s:.0f} s"
        time.sleep(pause_s)  # between two looks; what ends the wait is the condition


class Cluster:
    """Worker processes over one data directory and one set of topics."""

    def __init__(self, bootstrap: str, data_dir: Path, *, embedded: bool, **sections: dict) -> None:
        data_dir.mkdir(parents=True, exist_ok=True)
        base = load_settings({}, data_dir=data_dir)
        kafka = base.kafka.model_copy(
            update={
                "bootstrap_servers": bootstrap,
                "topic_prefix": f"test-{uuid.uuid4().hex[:12]}",
                "session_timeout_ms": 2_000 if embedded else 6_000,
                "partitions": 2,
            }
            | sections.pop("kafka", {})
        )
        port = free_port()
        serve = base.serve.model_copy(update={"port": port, "url": f"http://127.0.0.1:{port}"})
        updates = {name: getattr(base, name).model_copy(update=values) for name, values in sections.items()}
        self.settings: Settings = base.model_copy(
            update={
                "kafka": kafka,
                "embedded": embedded,
                "index_socket": f"127.0.0.1:{free_port()}",
                "serve": serve,
                "log_level": "DEBUG",
                **updates,
            }
        )
        self.logs = data_dir / "logs"
        self.logs.mkdir(exist_ok=True)
        self.processes: dict[str, subprocess.Popen] = {}
        self._begun: dict[str, int] = {}  # where the log of a worker stood when it was started
        create_topics(self.settings)

    def start(self, *names: str, module: str = "admin.cli") -> None:
        """Start workers; `ingest-2` is a second one of its kind. `module` is what runs instead of ours."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MEKIKI_")} | as_environment(
            self.settings
        )
        for name in names:
            with (self.logs / f"{name}.log").open("ab") as output:
                self._begun[name] = output.seek(0, os.SEEK_END)
                self.processes[name] = subprocess.Popen(
                    [sys.executable, "-m", module, *COMMANDS[name.partition("-")[0]]],
                    cwd=ROOT,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                )

    def kill(self, name: str) -> None:
        """SIGKILL: no goodbye."""
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def stop(self, *names: str) -> None:
        """SIGTERM, and a clean end."""
        for name in names:
            process = self.processes.pop(name)
            process.send_signal(signal.SIGTERM)
            code = process.wait(60)
            assert code == 0, f"{name} ended with {code}:\n{self.log(name)}"

    def freeze(self, name: str) -> None:
        """SIGSTOP: it does not know that time goes on without it."""
        self.processes[name].send_signal(signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """SIGCONT."""
        self.processes[name].send_signal(signal.SIGCONT)

    def said(self, name: str, text: str) -> int:
        """How often a worker said this since it was started."""
        with (self.logs / f"{name}.log").open("rb") as log:
            log.seek(self._begun[name])
            return log.read().count(text.encode())

    def log(self, name: str) -> str:
        return (self.logs / f"{name}.log").read_text()[-4000:]

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()
        self.processes.clear()
