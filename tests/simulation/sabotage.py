"""Faults put into the real code on purpose, to see that the worlds find them: a patch each, named by what it does."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from models.errors import IndexUnavailableError, PoisonError
from models.ranking.pairs import Pair
from stream.events.codec import Envelope
from stream.events.example import SourcedExample
from stream.events.schema import PairClicked
from stream.index.payload import IndexRecord
from stream.index.point_index import Filters, PointIndex
from stream.ingest.batch import Batch
from stream.ingest.parts import Ingest
from stream.ingest.write import Write
from stream.learn.pairs import PairReader
from stream.learn.tagger_state import OpenTagger
from stream.log.dead_letter import dead_letter_headers, send_dead_letters
from stream.log.reading.positions import StoredOffset
from stream.log.record import Record
from stream.pictures.store import PictureFolder
from stream.pictures.store import picture_name as name
from stream.retry import until_available

Patch = contextlib.AbstractContextManager[object]
Letters = Sequence[tuple[Record, PoisonError]]


class LateFlush:
    """Pictures of which `flush` does nothing and `flush_now` does it."""

    def __init__(self, real: Any) -> None:
        self.flush_now = real.flush
        self._real = real

    def flush(self) -> None:
        """Later."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@contextlib.contextmanager
def _around_apply(
    before: Callable[[Ingest, Batch], None] | None = None, after: Callable[[Ingest], None] | None = None
) -> Iterator[None]:
    """Do something before or after a batch is written, until it succeeds."""
    init, apply = Write.__init__, Write.apply
    known: dict[int, tuple[Ingest, Any]] = {}

    def remember(self: Write, parts: Ingest, waits: Any) -> None:
        pictures: Any = LateFlush(parts.pictures) if after is not None else parts.pictures
        known[id(self)] = replace(parts, pictures=pictures), waits
        init(self, known[id(self)][0], waits)

    def sabotaged(self: Write, batch: Batch) -> None:
        parts, waits = known[id(self)]
        if before is not None:
            until_available(lambda: before(parts, batch), waits, what="sabotage")
        apply(self, batch)
        if after is not None:
            until_available(lambda: after(parts), waits, what="sabotage")

    with patch.object(Write, "__init__", remember), patch.object(Write, "apply", sabotaged):
        yield


def _offsets_first() -> Patch:
    return _around_apply(before=lambda parts, batch: parts.index.write([], batch.offsets))


def _pictures_last() -> Patch:
    return _around_apply(after=lambda parts: parts.pictures.flush_now())  # type: ignore[attr-defined]


def _images_last() -> Patch:
    real = PointIndex.write

    def write(self: PointIndex, records: Sequence[IndexRecord], offsets: Sequence[StoredOffset]) -> None:
        real(self, (), offsets)
        real(self, records, ())

    return patch.object(PointIndex, "write", write)


def _offsets_anyway() -> Patch:
    real = PointIndex.write

    def write(self: PointIndex, records: Sequence[IndexRecord], offsets: Sequence[StoredOffset]) -> None:
        with contextlib.suppress(IndexUnavailableError):
            real(self, records, ())
        real(self, (), offsets)

    return patch.object(PointIndex, "write", write)


def _unflushed(writer: Any, letters: Letters) -> None:
    """What was sent before is acknowledged, the letters are not."""
    writer.flush()
    for record, error in letters:
        writer.send(f"{record.topic}.dlq", record.key, record.value, dead_letter_headers(record, error))


def _unflushed_alone(writer: Any, letters: Letters) -> None:
    """Examples without a dead letter beside them wait for the next flush."""
    if letters:
        send_dead_letters(writer, letters)


def _marks_lost() -> Patch:
    real = OpenTagger.__init__

    def init(self: OpenTagger, store: Any, tagger: Any, document: dict[str, Any]) -> None:
        real(self, store, tagger, document | {"high_water_marks": {}})

    return patch.object(OpenTagger, "__init__", init)


def _clicks_learned_twice() -> Patch:
    real = PairReader.read

    def read(self: PairReader, envelope: Envelope) -> list[Pair]:
        pairs = real(self, envelope)
        again = not pairs and isinstance(envelope.event, PairClicked)
        return real(self, replace(envelope, id=f"{envelope.id}/again")) if again else pairs

    return patch.object(PairReader, "read", read)


def _after_ignored() -> Patch:
    real = OpenTagger.is_new

    def is_new(self: OpenTagger, sourced: SourcedExample) -> bool:
        return real(self, replace(sourced, after=None))

    return patch.object(OpenTagger, "is_new", is_new)


@contextlib.contextmanager
def _one_name() -> Iterator[None]:
    with contextlib.ExitStack() as patches:
        for module in ("waits", "prepare", "write"):
            patches.enter_context(patch(f"stream.ingest.{module}.picture_name", lambda image_id, _: name(image_id, 0)))
        yield


SABOTAGES: dict[str, Callable[[], Patch]] = {
    "offsets are stored before anything of their batch": _offsets_first,
    "offsets are written before the images": _images_last,
    "offsets are written although the images were not": _offsets_anyway,
    "the flush of dead letters is left out in ingest": lambda: patch(
        "stream.ingest.write.send_dead_letters", _unflushed
    ),
    "the flush of dead letters is left out in the ranker": lambda: patch(
        "stream.learn.ranking.send_dead_letters", _unflushed
    ),
    "the tagger forgets its high-water marks when it starts": _marks_lost,
    "the ranker learns a repeated click twice": _clicks_learned_twice,
    "pictures are flushed after the offsets": _pictures_last,
    "examples are not flushed before the images": lambda: patch(
        "stream.ingest.write.send_dead_letters", _unflushed_alone
    ),
    "an older write replaces a newer point": lambda: patch.object(
        Filters, "replaceable", lambda self, points: self.every(())
    ),
    "an example does not wait for the one before it": _after_ignored,
    "what is remembered of images is kept through a rebalance": lambda: patch.object(
        Write, "forget", lambda self: None
    ),
    "the ranker forgets at a restart what it read": lambda: patch.object(
        PairReader, "restore", lambda self, document: None
    ),
    "a picture that was removed may come back": lambda: patch(
        "stream.pictures.sqlite_store.REMOVE", "DELETE FROM named_pictures WHERE name = ?"
    ),
    "all pictures of an image have one name": _one_name,
    "names of picture files are not synced": lambda: patch.object(PictureFolder, "flush", lambda self: None),
}  # fmt: skip
