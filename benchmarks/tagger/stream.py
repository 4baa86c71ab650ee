"""What the running tags worker does: examples a second from examples.v1 to a durable checkpoint.

The embedded broker, kafka-python, `mekiki work tags` as a process of its own, its SQLite store on disk, the service's
default settings. The examples are in the log before the worker starts. Measured is the worker's way through this
backlog: read, decode, learn, publish versions, write checkpoints. The clock starts when the worker announces the
version it starts with, so that the start of the process does not count, and stops when the broker has the offset of the
last example, which the worker commits only after its state is durable. The worker is asked to end as soon as it is
ready: it then learns the log to its end by the same loop and checkpoints at once, not up to five seconds later.

This happens twice on one data directory: the first backlog warms up and is not counted.
"""

import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from kafka import KafkaConsumer, TopicPartition

from admin.operators.embedded import spawn
from benchmarks.workloads import TAGS, TagStream
from stream.environment import load_settings
from stream.events.example import SourcedExample, encode_example, example_headers
from stream.log.client import broker_errors, client_options
from stream.log.embedded_broker import EmbeddedBroker, process_wait
from stream.log.produce import LogWriter
from stream.log.reading.consume import LogReader
from stream.log.topics import create_topics
from stream.settings import Settings

WARM_UP = 57_344  # at 30,000 tags; fills the exemplars and reaches the last stage of the sampling schedule
MEASURED = 40_960
LEAST = 2_048
CHUNK = 2_048  # produced between two acknowledgements
POLL_S = 0.05
DEADLINE_S = 600.0
ENCODER = "bench"


def run(tags: int = TAGS) -> float:
    """Examples a second; fewer tags than 30,000 take as much fewer examples."""
    warm_up, measured = (max(LEAST, count * tags // TAGS) for count in (WARM_UP, MEASURED))
    stream = TagStream(tags)
    with tempfile.TemporaryDirectory(prefix="mekiki-bench-") as folder, EmbeddedBroker() as broker:
        settings = load_settings({}, data_dir=Path(folder), embedded=True, kafka={
            "bootstrap_servers": broker.bootstrap_servers,
        })  # fmt: skip
        create_topics(settings)
        _produce(settings, stream, warm_up)
        _learn_backlog(settings, warm_up)
        _produce(settings, stream, measured)
        return measured / _learn_backlog(settings, warm_up + measured)


def _produce(settings: Settings, stream: TagStream, count: int) -> None:
    with closing(LogWriter(settings, "mekiki/bench")) as writer:
        for position, examples in stream.batches(count, CHUNK):
            for version, example in enumerate(examples, start=position + 1):
                value = encode_example(SourcedExample(example, "images", 0, version, ENCODER))
                writer.send("examples", example.image_id.encode(), value, example_headers("images", 0, version))
            writer.flush()


def _learn_backlog(settings: Settings, end: int) -> float:
    """Seconds from the worker's readiness to the durable checkpoint at offset `end` of examples.v1."""
    with closing(LogReader(settings, ("models",), "bench", lambda: ())) as models:
        while not models.caught_up("models", 0):
            models.poll(POLL_S)
        with _worker(settings) as process, _committed(settings) as committed:
            _wait(process, lambda: bool(models.poll(POLL_S)), settings)
            started_s = time.perf_counter()
            process.terminate()
            _wait(process, lambda: committed() == end, settings)
            return time.perf_counter() - started_s


@contextmanager
def _worker(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    with spawn(settings, ("work", "tags"), _log_path(settings)) as process:
        try:
            yield process
            process.wait(DEADLINE_S)
        finally:
            process.kill()


@contextmanager
def _committed(settings: Settings) -> Iterator[Callable[[], int | None]]:
    """A function that gives the offset which the worker has committed."""
    at = TopicPartition(settings.topic("examples"), 0)
    options = {"group_id": f"{settings.kafka.topic_prefix}.tags", "enable_auto_commit": False}
    with broker_errors(settings), closing(KafkaConsumer(**client_options(settings), **options)) as consumer:
        consumer.assign([at])
        yield lambda: consumer.committed(at)


def _wait(process: subprocess.Popen[bytes], condition: Callable[[], bool], settings: Settings) -> None:
    """Until the condition holds, or once more after the worker ended.

    Raises:
        RuntimeError: the worker ended before.
        TimeoutError: it holds too late.
    """
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        if process_wait(process, POLL_S) and not condition():
            said = _log_path(settings).read_text(errors="replace").strip().splitlines()[-1:]
            raise RuntimeError(f"tags worker ended early with code {process.returncode}: {' '.join(said)}")
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"tags worker: not done within {DEADLINE_S:.0f} s; use fewer tags")


def _log_path(settings: Settings) -> Path:
    return settings.data_path / "tags.log"
