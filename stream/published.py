"""Who serves what: learners put model files down and announce them on models.v1; the search API follows.

In: the content of a model file. Out: the file under `<data_dir>/models/`, hashed, and one compacted record.
A delta names the full file it applies to, so a follower that starts late needs two files at most.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from models.errors import MekikiError, PoisonError, StorageUnavailableError
from stream.codec import decode
from stream.consume import LogReader
from stream.events import ModelPublished
from stream.index import StoredOffset
from stream.produce import LogWriter
from stream.settings import Settings

log = logging.getLogger(__name__)

POLL_S = 0.5  # a poll returns as soon as there are records
KEEP_FILES = 4  # older ones go; a follower is at most one announcement behind


def model_folder(settings: Settings, model: str) -> Path:
    """Where the files of a model are."""
    return settings.data_path / "models" / model


class ModelPublisher:
    """Writes and announces the versions of one model."""

    def __init__(self, settings: Settings, model: Literal["tagger", "ranker"], writer: LogWriter) -> None:
        self._folder = model_folder(settings, model)
        self._model = model
        self._writer = writer
        self._base: tuple[int, Path] | None = None
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageUnavailableError(f"models folder {self._folder}: {error.strerror}; free space") from error

    def publish(self, version: int, content: bytes, offsets: Sequence[StoredOffset], *, delta: bool = False) -> None:
        """Put the file of one version down and announce it; with `delta` it applies to the last full one."""
        kind = "delta" if delta else "full"
        path = self._folder / f"{version:012d}.{kind}.safetensors"
        partial = path.with_suffix(".part")
        try:
            partial.write_bytes(content)
            partial.replace(path)
        except OSError as error:
            raise StorageUnavailableError(f"models folder {self._folder}: {error.strerror}; free space") from error
        if not delta:
            self._base = (version, path)
        base_version, base_path = self._base if self._base is not None else (version, path)
        digest = hashlib.sha256(content).hexdigest()
        self._announce(version, path, digest, (base_version, base_path) if delta else None, offsets)
        self._clean()

    def _announce(
        self, version: int, path: Path, digest: str, base: tuple[int, Path] | None, offsets: Sequence[StoredOffset]
    ) -> None:
        event = ModelPublished(
            model=self._model,
            version=version,
            uri=path.as_uri(),
            sha256=digest,
            base_version=base[0] if base else None,
            base_uri=base[1].as_uri() if base else None,
            offsets={f"{o.topic}/{o.partition}": o.offset for o in offsets},
        )
        self._writer.send_event(event)
        self._writer.flush()

    def _clean(self) -> None:
        files = sorted(self._folder.glob("*.safetensors"))
        base = self._base[1] if self._base else None
        for stale in files[:-KEEP_FILES]:
            if stale != base:
                stale.unlink(missing_ok=True)


class ModelFollower(threading.Thread):
    """Follows models.v1 and calls back with every announcement; a daemon thread of the search API."""

    def __init__(self, settings: Settings, on_published: Callable[[ModelPublished], None]) -> None:
        super().__init__(name="models", daemon=True)
        self._reader = LogReader(settings, ("models",), "followers", lambda: (), fetch_wait_ms=200)
        self._on_published = on_published
        self._stopping = threading.Event()
        self.caught_up = threading.Event()

    def run(self) -> None:
        """Follow until `stop`; a model that cannot be loaded leaves the last one serving."""
        while not self._stopping.is_set():
            try:
                self._turn()
            except MekikiError as error:
                log.warning("model not taken over: %s", error)
                self._stopping.wait(0.5)
        self._reader.close()

    def _turn(self) -> None:
        records = self._reader.poll(POLL_S)
        newest: dict[str, ModelPublished] = {}
        for record in records:
            try:
                event = decode(record.key, record.value, record.headers).event
            except PoisonError as error:
                log.warning("models.v1 offset %s: %s", record.offset, error)
                continue
            if isinstance(event, ModelPublished):
                newest[event.model] = event
        for event in newest.values():
            self._take(event)
        if not (records or self.caught_up.is_set()) and self._reader.caught_up("models", 0):
            self.caught_up.set()

    def _take(self, event: ModelPublished) -> None:
        try:
            self._on_published(event)
        except (
            OSError,
            ValueError,
            KeyError,
            MekikiError,
        ) as error:  # the file is gone already: a newer one is announced
            log.info("model %s version %s not loaded: %s", event.model, event.version, error)

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
