"""The embedded service: broker, index, workers and search API as child processes on one data directory.

In: settings with a data directory. Out: running processes; `stop` drains the log, then checkpoints, then ends them in
the order of the data's way. A worker that dies is started again, except where its exit code says that starting again
will not help.
"""

import contextlib
import fcntl
import logging
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from admin.connect import SERVICE_FILE, Api, ServiceFile
from admin.operators.index import convert_index
from models.errors import (
    EXIT_CIRCUIT_BREAKER,
    EXIT_CONFIGURATION,
    EXIT_TEMPORARY,
    BrokerUnavailableError,
    ConfigurationError,
    FatalError,
    MekikiError,
    StorageUnavailableError,
)  # fmt: skip
from stream.disk import START_BYTES, WRITE_BYTES, check_room
from stream.environment import PARENT_PIPE, as_environment
from stream.log.embedded_broker import EmbeddedBroker, free_port, process_wait
from stream.log.topics import create_topics
from stream.settings import Settings
from stream.stopped import note_stopped, stopped_workers

log = logging.getLogger(__name__)

READY_DEADLINE_S = 60.0
DRAIN_DEADLINE_S = 60.0
RESTART_PAUSE_S = 0.5
STABLE_S = 30.0  # a child that lived so long is not in a crash loop
DEATHS = 4  # in a row, each within STABLE_S, before the service gives up
SESSION_TIMEOUT_MS = 2_000  # the embedded broker lets a group join take half of it

WORKERS = (
    "index",
    "ingest",
    "tags",
    "ranking",
    "objects",
)  # all but the first show metrics, on ports one after another
COMMANDS = {name: ("work", name) for name in WORKERS} | {"serve": ("serve",)}


@dataclass
class _Child:
    process: subprocess.Popen[bytes]
    log_path: Path
    started_s: float = field(default_factory=time.monotonic)


class EmbeddedService:
    """Everything on one machine; a context manager."""

    def __init__(self, settings: Settings) -> None:
        self._data_path = settings.data_path.absolute()
        self._lock = self._lock_folder()
        check_room(self._data_path, START_BYTES)
        self._logs = self._data_path / "logs"
        self._logs.mkdir(exist_ok=True)
        self._broker = EmbeddedBroker(self._logs / "broker.log")
        port = settings.serve.port or free_port()
        kafka = settings.kafka.model_copy(update={
            "bootstrap_servers": self._broker.bootstrap_servers, "session_timeout_ms": SESSION_TIMEOUT_MS,
        })  # fmt: skip
        self.settings = settings.model_copy(update={
            "data_dir": self._data_path, "embedded": True, "index_socket": f"127.0.0.1:{free_port()}", "kafka": kafka,
            "serve": settings.serve.model_copy(update={"port": port, "url": f"http://{settings.serve.host}:{port}"}),
        })  # fmt: skip
        self._children: dict[str, _Child] = {}
        self._deaths: dict[str, int] = {}
        self._braked: set[str] = set()
        note_stopped(self._data_path, {})
        self._stopping = False

    @property
    def api_url(self) -> str:
        """Where the search API answers."""
        return self.settings.serve.url or ""

    def _lock_folder(self) -> IO[str]:
        try:
            self._data_path.mkdir(parents=True, exist_ok=True)
            lock = (self._data_path / "lock").open("w")
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(
                f"data directory {self._data_path}: already in use; stop the other `mekiki up` or choose another "
                "with --data-dir"
            ) from None
        except OSError as error:
            raise StorageUnavailableError(
                f"data directory {self._data_path}: {error.strerror}; choose another"
            ) from error
        return lock

    def _spawn(self, name: str, *, armed: bool = True) -> None:
        path = self._logs / f"{name}.log"
        ingest = self.settings.ingest.model_copy(update={"breaker_armed": armed and self.settings.ingest.breaker_armed})
        first = self.settings.metrics_port
        metrics_port = first + WORKERS.index(name) - 1 if first and name in WORKERS else first
        settings = self.settings.model_copy(update={"ingest": ingest, "metrics_port": metrics_port})
        self._children[name] = _Child(spawn(settings, COMMANDS[name], path), path)

    def _wait_ready(self) -> None:
        deadline_s = time.monotonic() + READY_DEADLINE_S
        with contextlib.closing(Api(self.settings, timeout_s=2.0)) as api:
            while time.monotonic() < deadline_s:
                self.check(restart_after_s=0.0)
                with contextlib.suppress(MekikiError):
                    api.get("/readyz")
                    status = api.status()
                    if status.tagger_version is not None and status.ranker_version is not None:
                        return
                process_wait(self._children["serve"].process, 0.1)
        raise BrokerUnavailableError(f"service: not ready within {READY_DEADLINE_S:.0f} s; see {self._logs}")

    def check(self, *, restart_after_s: float = RESTART_PAUSE_S) -> None:
        """Start what died again.

        Raises:
            FatalError: a child ended in a way that starting again will not mend.
        """
        if not self._broker.alive() and not self._stopping:
            raise BrokerUnavailableError(
                f"embedded broker: ended by itself, what it held is lost; see {self._logs / 'broker.log'}, start again"
            )
        for name in self._braked - stopped_workers(self._data_path).keys():
            self._braked.discard(name)
            log.warning("%s goes on, an operator says so", name)
            self._spawn(name, armed=False)  # the records that stopped it come first
        for name, child in list(self._children.items()):
            code = child.process.poll()
            if code is None or self._stopping:
                continue
            if code == EXIT_CIRCUIT_BREAKER:
                self._brake(name)
                continue
            self._deaths[name] = self._deaths.get(name, 0) + 1 if time.monotonic() - child.started_s < STABLE_S else 1
            if code == EXIT_CONFIGURATION or self._deaths[name] >= DEATHS:
                raise _ended(name, code, child.log_path)
            check_room(self._data_path, WRITE_BYTES)
            log.warning("%s ended with code %s; starting it again", name, code)
            if restart_after_s:
                time.sleep(restart_after_s)  # a worker that dies at once must not take a core with its starts
            self._spawn(name)

    def _brake(self, name: str) -> None:
        """Leave a worker alone that took too many records for bad; everything else goes on."""
        said = _last_words(self._children.pop(name).log_path)
        self._braked.add(name)
        note_stopped(self._data_path, stopped_workers(self._data_path) | {name: said})
        log.error("%s stopped: %s; everything else goes on, and it does after `mekiki dlq resume`", name, said)

    def stop(self) -> None:
        """Drain, checkpoint, end; in the order of the data's way. Safe to call twice."""
        self._stopping = True
        for name in ("serve", "ingest", "tags", "ranking", "objects", "index"):
            child = self._children.pop(name, None)
            if child is not None:
                _end(name, child)
        self._broker.stop()
        (self._data_path / SERVICE_FILE).unlink(missing_ok=True)
        self._lock.close()

    def __enter__(self) -> "EmbeddedService":
        """Start everything and wait until the API is ready.

        Raises:
            MekikiError: what a child said when it could not start.
        """
        try:
            convert_index(self.settings)
            self._broker.start()
            create_topics(self.settings)
            for name in COMMANDS:
                if name != "objects" or self.settings.objects.per_image:
                    self._spawn(name)
            self._wait_ready()
            addresses = self._broker.bootstrap_servers, self.api_url, self.settings.index_socket
            ServiceFile(os.getpid(), *addresses).write(self._data_path)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def spawn(settings: Settings, command: Sequence[str], log_path: Path) -> subprocess.Popen[bytes]:
    """A child process that runs a command of `mekiki` with these settings; it ends when this one does."""
    environment = {k: v for k, v in os.environ.items() if not k.upper().startswith("MEKIKI_")}
    environment |= as_environment(settings) | {PARENT_PIPE: "1"}
    with log_path.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "admin.cli", *command],
            stdin=subprocess.PIPE, stdout=output, stderr=output, env=environment, start_new_session=True,
        )  # fmt: skip


def _end(name: str, child: _Child) -> None:
    process = child.process
    process.terminate()
    if not process_wait(process, DRAIN_DEADLINE_S):
        log.warning("%s did not end within %.0f s; killing it, it goes on from its checkpoint", name, DRAIN_DEADLINE_S)
        process.kill()
        process.wait()
    if process.stdin is not None:
        process.stdin.close()


def _last_words(log_path: Path) -> str:
    lines = log_path.read_text(errors="replace").strip().splitlines()[-20:]
    said = next((line for line in reversed(lines) if line.startswith("mekiki:")), lines[-1] if lines else "")
    return said.removeprefix("mekiki: ")


def _ended(name: str, code: int, log_path: Path) -> FatalError:
    error = FatalError(f"{name} ended with code {code}: {_last_words(log_path)} (log: {log_path})")
    error.exit_code = code if code > 0 else EXIT_TEMPORARY  # type: ignore[misc]  # the child's own verdict
    return error
