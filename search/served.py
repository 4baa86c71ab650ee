"""The models that answer now: what predicts tags and what ranks, each swapped in one assignment.

In: announcements from models.v1. Out: one immutable object for each model. A version that cannot be loaded leaves the
old one serving.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote, urlsplit

from models.errors import StorageUnavailableError
from models.ranking.published import PublishedRanker
from models.tagging.evidence.backend import NUMPY, Backend
from models.tagging.serving import delta
from models.tagging.serving.predictor import Predictor
from models.tagging.serving.snapshot import Snapshot
from search.tag_names import TagNames
from stream import metrics
from stream.events.schema import ModelPublished


@dataclass(frozen=True, eq=False)
class ServedTagger:
    """One version of the tagger.

    Attributes:
        predictor: predicts with it.
        offsets: up to where in the log it has learned, by topic and partition.
    """

    predictor: Predictor
    offsets: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def names(self) -> TagNames:
        """What the tags on images mean."""
        return TagNames(self.predictor.catalogue)


@dataclass(frozen=True, eq=False)
class ServedRanker:
    """One version of the ranker, and up to where in the log it has learned, by topic and partition."""

    ranker: PublishedRanker
    offsets: Mapping[str, int] = field(default_factory=dict)


@dataclass(eq=False)
class ServedModels:
    """The versions that serve. Any thread reads; one thread writes, the follower of models.v1, by `take`.

    Attributes:
        backend: what predictions are made on.
        tagger: None until one was published.
        ranker: None until one was published.
    """

    backend: Backend = NUMPY
    tagger: ServedTagger | None = None
    ranker: ServedRanker | None = None

    def __post_init__(self) -> None:
        self._full: tuple[str, Snapshot] | None = None  # the last full version that was read, and its URI

    @property
    def offsets(self) -> dict[str, dict[str, int]]:
        """Up to where in the log each served model has learned."""
        served = {"tagger": self.tagger, "ranker": self.ranker}
        return {name: dict(version.offsets) for name, version in served.items() if version is not None}

    def take(self, event: ModelPublished) -> None:
        """Load and swap in one announced version.

        Raises:
            FileNotFoundError: a file is gone; a newer version may be announced.
            StorageUnavailableError: its bytes are not the announced ones.
            CheckpointError: they are no model, or one of a newer format.
        """
        if event.model == "ranker":
            _checked(event.uri, event.sha256)
            self.ranker = ServedRanker(PublishedRanker.load(_path(event.uri)), event.offsets)
        else:
            snapshot = self._snapshot(event)
            before = self.tagger.predictor if self.tagger is not None else None
            self.tagger = ServedTagger(Predictor(snapshot, self.backend, before=before), event.offsets)
            metrics.show_quality(asdict(snapshot.quality))
        metrics.MODEL_VERSION.labels(event.model).set(event.version)

    def _snapshot(self, event: ModelPublished) -> Snapshot:
        content = _checked(event.uri, event.sha256)
        if not event.base_uris:
            self._full = event.uri, delta.decode(content)
            return self._full[1]
        uri = event.base_uris[0]
        if self._full is None or self._full[0] != uri:  # not followed from there
            self._full = uri, delta.decode(_path(uri).read_bytes())
        return delta.decode(content, self._full[1])


def _path(uri: str) -> Path:
    return Path(unquote(urlsplit(uri).path))


def _checked(uri: str, sha256: str) -> bytes:
    path = _path(uri)
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise StorageUnavailableError(f"model file {path.name}: sha256 {found[:12]}, expected {sha256[:12]}")
    return content
