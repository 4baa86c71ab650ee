"""Who serves what: learners put model files down and announce them on models.v1; the search API follows.

In: the content of a model file. Out: the file under `<data_dir>/models/`, hashed, and one compacted record.
A delta names the full file it applies to: a follower that starts late needs it, and one that follows has it.
"""

import hashlib
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, get_args

from models.errors import MekikiError, PoisonError, StorageUnavailableError
from stream.events.codec import decode
from stream.events.schema import ModelPublished
from stream.log.produce import LogWriter
from stream.log.reading.consume import LogReader
from stream.log.reading.positions import StoredOffset
from stream.log.record import Record
from stream.settings import Settings

log = logging.getLogger(__name__)

Kind = Literal["full", "delta"]
Model = Literal["tagger", "ranker"]

FOLLOWING = "models.v1"  # in the place of a model's name, where following itself fails
LOST = "a batch of models.v1"  # likewise, where it cannot be read
MODELS = get_args(Model)
POLL_S = 0.5  # a poll returns as soon as there are records
KEEP_FILES = 4  # older ones go, but for the last full one; a follower is at most one announcement behind


class ModelPublisher:
    """Writes and announces the versions of one model."""

    def __init__(self, settings: Settings, model: Model, writer: LogWriter) -> None:
        self._folder = settings.data_path / "models" / model
        self._model = model
        self._writer = writer
        self._full: Path | None = None  # the last version that was
        with self._disk_errors():
            self._folder.mkdir(parents=True, exist_ok=True)

    def publish(self, version: int, content: bytes, offsets: Sequence[StoredOffset], kind: Kind = "full") -> None:
        """Put the file of one version down and announce it; a delta applies to the last version that was full."""
        path = self._folder / f"{version:012d}.{kind}.safetensors"
        partial = path.with_suffix(".part")
        with self._disk_errors():
            partial.write_bytes(content)
            partial.replace(path)
        if kind == "full":
            self._full = path
        event = ModelPublished(
            model=self._model,
            version=version,
            uri=path.as_uri(),
            sha256=hashlib.sha256(content).hexdigest(),
            base_uris=(self._full.as_uri(),) if self._full is not None and kind == "delta" else (),
            offsets={f"{o.topic}/{o.partition}": o.offset for o in offsets},
        )
        self._writer.send_event(event)
        self._writer.flush()
        for stale in sorted(self._folder.glob("*.safetensors"))[:-KEEP_FILES]:
            if stale != self._full:
                stale.unlink(missing_ok=True)

    @contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageUnavailableError(f"models folder {self._folder}: {error.strerror}; free space") from error


class ModelFollower(threading.Thread):
    """Follows models.v1 and calls back with every announcement; a daemon thread of the search API."""

    def __init__(self, settings: Settings, on_published: Callable[[ModelPublished], None]) -> None:
        super().__init__(name="models", daemon=True)
        self._reader = LogReader(settings, ("models",), "followers", lambda: (), fetch_wait_ms=300)
        self._on_published = on_published
        self._stopping = threading.Event()
        self.caught_up = threading.Event()
        self._failing: dict[str, str] = {}  # by model; written by this thread, replaced whole
        self._gone: dict[str, ModelPublished] = {}  # the newest of a model, where a file of it is not there

    def run(self) -> None:
        """Follow until `stop`; a model that cannot be loaded leaves the last one serving."""
        while not self._stopping.is_set():
            try:
                self._turn()
                self._failing = {name: why for name, why in self._failing.items() if name != FOLLOWING}
            except MekikiError as error:
                log.warning("model not taken over: %s", error)
                self._stopping.wait(0.5)
            except Exception as error:  # a thread that ended here would leave old models serving, and nobody told
                log.exception("model not taken over")
                self._failing = self._failing | {FOLLOWING: f"{FOLLOWING}: {type(error).__name__}: {error}"}
                self._stopping.wait(0.5)
        self._reader.close()

    def _turn(self) -> None:
        records = self._reader.poll(POLL_S)
        newest: dict[str, ModelPublished] = {}
        refused: dict[str, str] = {}
        for record in records:
            if record.lost:
                refused[LOST] = f"{FOLLOWING} offset {record.offset}: cannot be read, a version may be announced there"
                continue
            try:
                event = decode(record.key, record.value, record.headers).event
            except PoisonError as error:
                log.warning("models.v1 offset %s: %s", record.offset, error)
                refused[_name(record)] = f"{FOLLOWING} offset {record.offset}: {error}"
                continue
            if isinstance(event, ModelPublished):
                newest[event.model] = event
                refused = {name: why for name, why in refused.items() if name not in (event.model, LOST)}
        for event in newest.values() if records else list(self._gone.values()):
            self._take(event)
        self._failing = self._failing | {name: why for name, why in refused.items() if name in (*MODELS, LOST)}
        if not records and (self._gone or not self.caught_up.is_set()) and self._reader.caught_up("models", 0):
            self._failing = self._failing | {
                model: f"{model} version {event.version}: a file of it is gone, and no newer version is announced"
                for model, event in self._gone.items()
            }
            self.caught_up.set()

    def _take(self, event: ModelPublished) -> None:
        gone = self._gone.pop(event.model, None)
        try:
            self._on_published(event)
            self._failing = {name: why for name, why in self._failing.items() if name not in (event.model, LOST)}
        except FileNotFoundError as error:  # a newer one is announced, or a shared folder shows it later
            if gone is not event:
                log.info("model %s version %s not loaded: %s", event.model, event.version, error)
            self._gone[event.model] = event
        except Exception as error:
            log.exception("model %s version %s not loaded", event.model, event.version)
            why = f"{event.model} version {event.version}: {type(error).__name__}: {error}"
            self._failing = self._failing | {event.model: why}

    @property
    def failing(self) -> str | None:
        """Why a version that was announced last does not serve; from any thread."""
        return "; ".join(self._failing.values()) or None

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()


def _name(record: Record) -> str:
    """The model that a record is about, by its key."""
    return (record.key or b"").decode(errors="replace")
