"""The learners of a world: the real workers over their states on disk, a poll or a checkpoint at a time."""

from typing import Any

from models.tagging.tagger import Tagger
from stream.learn.ranking import RankingWorker, offsets_of
from stream.learn.tagger_state import OpenTagger
from stream.learn.tags import TagsWorker
from stream.learn.worker import LearningParts
from stream.stopping import StopRequest
from tests.fakes import D
from tests.simulation.neighbours.readers import SoloReader
from tests.simulation.neighbours.store import Index, RankerFile, TaggerFile
from tests.simulation.processes.living import Living, Surroundings, Waits


class Learner(Living):
    """The thread of a learner: polls and learns, and makes a checkpoint now and then."""

    reader: SoloReader
    worker: TagsWorker | RankingWorker

    def parts(self, reader: SoloReader) -> Any:
        """What a worker works with; nothing is published."""
        stopping: Any = StopRequest()
        stopping.asked = Waits(self)
        parts: Any = (reader, self.writer, None, self.world.settings, stopping)
        self.reader = reader
        return LearningParts(*parts)

    def turn(self, *, eager: bool = False) -> None:
        """Learn what a poll gives, or make a checkpoint."""
        if self.writing:
            return
        self.writing = True
        if eager or self.chance.random.random() < 0.8:
            self.chance.note(self.name, " learns from ", self.reader.offset)
            most = 1_000 if eager else 1 + self.chance.below(8)
            self.worker.learn(self.worker.retry(self.name, self.reader.poll, most))  # type: ignore[arg-type]
        if eager or self.chance.random.random() < 0.3:
            self.chance.note(self.name, " makes a checkpoint at ", self.reader.offset)
            self.worker.checkpoint()
        self.writing = False


class TagLearner(Learner):
    """The tags worker."""

    def __init__(self, world: Surroundings, name: str) -> None:
        super().__init__(world, name)
        store = TaggerFile(world.state_path(name), Tagger(dimension=D, backend="numpy"), self, world.chance)
        self.state = OpenTagger(store, *store.open())
        self.worker = TagsWorker(self.parts(SoloReader(world.broker, self, "examples", self.state.offsets)), self.state)

    def end(self) -> None:
        if self.alive:
            super().end()
            self.state.close()


class RankLearner(Learner):
    """The ranking worker."""

    def __init__(self, world: Surroundings, name: str) -> None:
        super().__init__(world, name)
        self.state_file = RankerFile(world.state_path(name), self, world.chance)
        saved = self.state_file.load()
        parts = self.parts(SoloReader(world.broker, self, "clicks", offsets_of(saved)))
        index = Index(world.points, self, world.chance)
        self.worker = RankingWorker(parts, index, state_file=self.state_file, saved=saved, dimension=D)

    def end(self) -> None:
        if self.alive:
            super().end()
            self.state_file.close()
