"""One ranking worker after another over the same clicks, index and state on disk."""

from pathlib import Path

import numpy as np

from models.ranking.published import PublishedRanker
from models.ranking.ranknet import Ranker
from models.state_file import Saved, StateFile
from search.served import ServedModels
from stream.environment import load_settings
from stream.events.schema import Clicked, Impression, PairClicked
from stream.index.payload import ImagePayload, IndexRecord
from stream.learn.ranking import RankingWorker, offsets_of, open_ranker
from stream.learn.worker import LearningParts
from stream.log.dead_letter import REASON
from stream.log.model_versions import ModelPublisher
from stream.stopping import StopRequest
from tests.fake_log import FakeReader, MemoryLog
from tests.fake_stores import FakeIndex
from tests.fakes import D, FakeWriter, unit


def pair(preferred: str, over: str) -> PairClicked:
    return PairClicked(preferred=preferred, over=over)


def page(name: str, *shown: str, propensities: tuple[float, ...] | None = None) -> Impression:
    return Impression(impression_id=name, session_id="s", shown=shown, propensities=propensities)


def click(name: str, image_id: str) -> Clicked:
    return Clicked(impression_id=name, session_id="s", image_id=image_id)


class Clicks:
    """What outlives a worker. The index holds i0 to i9, of which `unit(n)` is the vector."""

    def __init__(self, tmp_path: Path, **ranking: object) -> None:
        self.settings = load_settings({}, data_dir=tmp_path, ranking=ranking)
        self.log = MemoryLog()
        self.index = FakeIndex()
        self.writer = FakeWriter()
        self.post_images(*range(10))

    def post_images(self, *numbers: int, position: int = 1) -> None:
        payload = ImagePayload("0" * 64, "memory://", "png", 4, 4, 4, "fake-1")
        self.index.real.write([IndexRecord(f"i{n}", position, payload, unit(n)) for n in numbers], [])

    def delete_image(self, number: int) -> None:
        self.index.real.write([IndexRecord(f"i{number}", 5, deleted=True)], [])

    def worker(self) -> "Worker":
        """A new process: it knows what the checkpoint says."""
        self.writer = FakeWriter(acknowledged=self.writer.acknowledged)
        state_file = open_ranker(self.settings)
        saved = state_file.load()
        reader = FakeReader(self.log, ("clicks",), lambda: offsets_of(saved))
        publisher = ModelPublisher(self.settings, "ranker", self.writer)
        parts = LearningParts(reader, self.writer, publisher, self.settings, StopRequest())
        worker = RankingWorker(parts, self.index, state_file=state_file, saved=saved, dimension=D)
        return Worker(worker, reader, state_file)

    def run(self) -> None:
        """A worker that ends once it has learned everything."""
        self.worker().run()

    def saved(self) -> Saved:
        """What is on disk: facts and arrays."""
        state_file = open_ranker(self.settings)
        try:
            saved = state_file.load()
        finally:
            state_file.close()
        assert saved is not None, "no checkpoint"
        return saved

    def learned(self) -> Ranker:
        """The ranker on disk."""
        facts, arrays = self.saved()
        return Ranker.from_state(arrays, facts["ranker"])

    def served(self) -> PublishedRanker:
        """What a search API that follows the announcements serves."""
        served = ServedModels()
        served.take(self.writer.events[-1])
        assert served.ranker is not None
        return served.ranker.ranker

    def dead(self) -> list[str]:
        """Reasons of the dead letters."""
        return [dict(sent.headers)[REASON].decode() for sent in self.writer.to("clicks.dlq")]


class Worker:
    """A ranking worker with its reader; `run` ends once everything is learned."""

    def __init__(self, worker: RankingWorker, reader: FakeReader, state_file: StateFile) -> None:
        self.worker, self.reader, self._state_file = worker, reader, state_file

        reader.at_end = worker.stopping.stop

    def run(self, *, drain: bool = False) -> None:
        try:
            self.worker.run(drain=drain)
        finally:
            self._state_file.close()


def expected(*pairs: tuple[int, int, float]) -> Ranker:
    """A ranker that was told these pairs (preferred, over, weight), and nothing else."""
    ranker = Ranker(D, seed=0)
    preferred, over = (np.stack([unit(one[side]) for one in pairs]) for side in (0, 1))
    ranker.learn_many(preferred, over, np.array([weight for *_, weight in pairs], np.float32))
    return ranker


def same(one: Ranker, other: Ranker) -> bool:
    """Whether two rankers are equal to the bit."""
    (arrays, document), (others, other_document) = one.state(), other.state()
    return document == other_document and all(np.array_equal(arrays[name], others[name]) for name in arrays)
