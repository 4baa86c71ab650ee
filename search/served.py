"""The models that answer now: the tagger's snapshot and the ranker, each swapped in one assignment.

In: announcements from models.v1. Out: an immutable view per request. A version that cannot be loaded leaves the old
one serving.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from urllib.parse import unquote, urlsplit

from models.errors import StorageUnavailableError
from models.ranking.published import PublishedRanker
from models.tagging.snapshot import Snapshot
from stream import metrics
from stream.events import ModelPublished

log = logging.getLogger(__name__)


class ServedModels:
    """Readable from any thread; `take` is called by one."""

    def __init__(self) -> None:
        self.tagger: Snapshot | None = None
        self.ranker: PublishedRanker | None = None
        self.offsets: dict[str, dict[str, int]] = {}
        self._base: tuple[str, Snapshot] | None = None

    def take(self, event: ModelPublished) -> None:
        """Load and swap in one announced version.

        Raises:
            OSError: the file is gone (a newer one is announced).
            StorageUnavailableError: its bytes are not the announced ones.
        """
        if event.model == "tagger":
            self.tagger = self._tagger(event)
        else:
            self.ranker = PublishedRanker.load(_checked(event.uri, event.sha256))
        self.offsets[event.model] = event.offsets
        metrics.MODEL_VERSION.labels(event.model).set(event.version)

    def _tagger(self, event: ModelPublished) -> Snapshot:
        path = _checked(event.uri, event.sha256)
        if event.base_uri is None:
            snapshot = Snapshot.load(path)
            self._base = (event.uri, snapshot)
            return snapshot
        if self._base is None or self._base[0] != event.base_uri:
            self._base = (event.base_uri, Snapshot.load(_path(event.base_uri)))
        return self._base[1].apply(path.read_bytes())


def _path(uri: str) -> Path:
    return Path(unquote(urlsplit(uri).path))


def _checked(uri: str, sha256: str) -> Path:
    path = _path(uri)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        raise StorageUnavailableError(f"model file {path.name}: sha256 {found[:12]}, expected {sha256[:12]}")
    return path
