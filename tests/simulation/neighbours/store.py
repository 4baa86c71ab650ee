"""The index and the states of the learners, as a process of a world sees them: away, refusing, torn, silent.

In: the calls of the real steps. Out: the same calls, with a moment before and after each write.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from models.errors import IndexUnavailableError, StateLostError, StorageUnavailableError
from models.state_file import StateFile
from models.tagging.store import TaggerStore
from models.tagging.tagger import Tagger
from stream.index.points import Point
from stream.learn.ranking import STATE_FORMAT
from tests.contract.dict_index import DictIndex, Points, StoredPoint
from tests.simulation.chance import Chance
from tests.simulation.neighbours.broker import Process


class Index(DictIndex):
    """See VectorIndex. All processes share the same points."""

    def __init__(self, points: Points, process: Process, chance: Chance) -> None:
        super().__init__(points)
        self._process, self._chance = process, chance

    def upsert(self, points: Sequence[Point], condition: Callable[[Sequence[Point]], Any] | None = None) -> None:
        """Point by point, as shards do: in no order, and maybe not all of them."""
        write = "offsets" if points[0].payload["kind"] == "offset" else "images"
        self._process.moment(write)
        self._process.check("index")
        if self._chance.hits("index refuses, nothing is written"):
            raise IndexUnavailableError("index: refused")
        if len(points) > 1:
            some = self._chance.random.sample(list(points), self._chance.below(len(points)))
            if self._chance.hits("part of a batch of points is written"):
                super().upsert(some, condition)
                raise IndexUnavailableError("index: went away in the middle of a write")
            if self._chance.hits("part of a batch of points is written, then killed"):
                super().upsert(some, condition)
                self._process.moment("killed")
        super().upsert(points, condition)
        if self._chance.hits("index writes, the answer is lost"):
            raise IndexUnavailableError("index: no answer")
        self._process.moment(write)

    def retrieve(
        self, ids: Sequence[str], *, with_vectors: bool = False, with_raw: bool = False
    ) -> Sequence[StoredPoint]:
        self._process.check("index")
        return super().retrieve(ids, with_vectors=with_vectors, with_raw=with_raw)

    def page(
        self, condition: Any, cursor: Any, limit: int, *, with_vectors: bool = False, with_raw: bool = False
    ) -> tuple[Sequence[StoredPoint], Any]:
        self._process.check("index")
        return super().page(condition, cursor, limit, with_vectors=with_vectors, with_raw=with_raw)


class TaggerFile(TaggerStore):
    """See TaggerStore."""

    def __init__(self, path: Path, tagger: Tagger, process: Process, chance: Chance) -> None:
        super().__init__(path, tagger)
        self._process, self._chance = process, chance

    def checkpoint(self, offsets: Mapping[str, Any]) -> None:
        """A disk that fails ends the process, whether it wrote or not."""
        self._process.moment("tagger checkpoint")
        if self._chance.hits("disk refuses, nothing is written"):
            raise StateLostError("tagger state: refused")
        super().checkpoint(offsets)
        if self._chance.hits("disk writes, the answer is lost"):
            raise StateLostError("tagger state: no answer")
        self._process.moment("tagger checkpoint")


class RankerFile(StateFile):
    """See StateFile."""

    def __init__(self, path: Path, process: Process, chance: Chance) -> None:
        super().__init__(path, format_number=STATE_FORMAT)
        self._process, self._chance = process, chance

    def save(self, facts: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        """The caller tries again."""
        self._process.moment("ranker checkpoint")
        self._process.check("disk")
        if self._chance.hits("disk refuses, nothing is written"):
            raise StorageUnavailableError("ranker state: refused")
        super().save(facts, arrays)
        if self._chance.hits("disk writes, the answer is lost"):
            raise StorageUnavailableError("ranker state: no answer")
        self._process.moment("ranker checkpoint")
