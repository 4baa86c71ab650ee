"""The models that answer now: the tagger's snapshot and the ranker, each swapped in one assignment.

In: announcements from models.v1. Out: an immutable view per request. A version that cannot be loaded leaves the old
one serving.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from models.errors import StorageUnavailableError
from models.ranking.published import PublishedRanker
from models.tagging.evidence.backend import NUMPY, Backend
from models.tagging.serving.snapshot import Snapshot
from stream import metrics
from stream.events.schema import ModelPublished

log = logging.getLogger(__name__)


class ServedModels:
    """Readable from any thread; `take` is called by one."""

    def __init__(self, backend: Backend = NUMPY) -> None:
        self._backend = backend
        self.tagger: Snapshot | None = None
        self.ranker: PublishedRanker | None = None
        self.offsets: dict[str, dict[str, int]] = {}
        self._loaded: dict[str, Snapshot] = {}  # by the file that led to it: the last one, and what it was a delta of

    def take(self, event: ModelPublished) -> None:
        """Load and swap in one announced version.

        Raises:
            OSError: the file is gone (a newer one is announced).
            StorageUnavailableError: its bytes are not the announced ones.
        """
        if event.model == "ranker":
            _checked(event.uri, event.sha256)
            self.ranker = PublishedRanker.load(_path(event.uri))
            self._taken(event)
            return
        snapshot = self._tagger(event)
        self.tagger = snapshot
        metrics.show_quality(asdict(snapshot.quality))
        self._taken(event)

    def _taken(self, event: ModelPublished) -> None:
        self.offsets[event.model] = event.offsets
        metrics.MODEL_VERSION.labels(event.model).set(event.version)

    def _tagger(self, event: ModelPublished) -> Snapshot:
        content = _checked(event.uri, event.sha256)
        if not event.base_uris:
            snapshot = replace(Snapshot.of(content), backend=self._backend)
            self._loaded = {event.uri: snapshot}
            return snapshot
        base = self._loaded.get(event.base_uris[-1])
        if base is None:  # not followed from the beginning
            base = self._chained(event.base_uris)
        snapshot = base.apply(content)
        self._loaded = {event.base_uris[-1]: base, event.uri: snapshot}
        return snapshot

    def _chained(self, uris: Sequence[str]) -> Snapshot:
        """What a full version and the links after it lead to."""
        snapshot = replace(Snapshot.load(_path(uris[0])), backend=self._backend)
        for uri in uris[1:]:
            snapshot = snapshot.apply(_path(uri).read_bytes())
        return snapshot


def _path(uri: str) -> Path:
    return Path(unquote(urlsplit(uri).path))


def _checked(uri: str, sha256: str) -> bytes:
    path = _path(uri)
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise StorageUnavailableError(f"model file {path.name}: sha256 {found[:12]}, expected {sha256[:12]}")
    return content
