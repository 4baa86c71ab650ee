"""One tags worker after another over the same examples.v1 and state on disk."""

from pathlib import Path

from models.quantise import quantise
from models.tagging.examples import Example, TagOperation
from models.tagging.serving.catalogue import TagCatalogue
from models.tagging.store import TaggerStore
from models.tagging.tagger import Tagger
from search.served import ServedModels
from stream.environment import load_settings
from stream.events.example import SourcedExample, encode_example
from stream.events.schema import ModelPublished
from stream.learn.tagger_state import OpenTagger
from stream.learn.tags import TagsWorker
from stream.learn.worker import LearningParts
from stream.log.model_versions import ModelPublisher
from stream.log.reading.positions import position_of
from stream.log.record import Record
from stream.stopping import StopRequest
from tests.fake_log import FakeReader, MemoryLog
from tests.fakes import D, FakeWriter, unit

Learned = Example | TagOperation


def example(number: int, *added: str, **fields: object) -> Example:
    """Image i<number> with its vector."""
    return Example(f"i{number}", quantise(unit(number)[None])[0], added, **fields)


EXAMPLES = [example(n, "cat" if n % 2 else "kitty") for n in range(10)]
MERGE = TagOperation("s", "merge", ("kitty",), "cat")


class Examples:
    """What outlives a worker: examples.v1, the state on disk, what was announced."""

    def __init__(self, tmp_path: Path, **tagging: object) -> None:
        self.settings = load_settings({}, data_dir=tmp_path, tagging=tagging)
        self.log = MemoryLog()
        self.writer = FakeWriter()
        self._sent = 0  # records of tags.v1 that became examples

    def post(self, *examples: Learned, timestamp_ms: int = 0) -> None:
        """Append what follows from the next records of tags.v1, partition 0."""
        for one in examples:
            self.send(one, self._sent, timestamp_ms=timestamp_ms)
            self._sent += 1

    def send(
        self, one: Learned, offset: int, *, source: tuple[str, int] = ("tags", 0), encoder: str = "enc",
        timestamp_ms: int = 0,
    ) -> None:  # fmt: skip
        """Append what follows from the record at `offset` of topic and partition `source`, maybe once more."""
        sourced = SourcedExample(one, *source, position_of(0, offset), encoder)
        self.append(encode_example(sourced), timestamp_ms)

    def append(self, value: bytes, timestamp_ms: int = 0) -> None:
        """Append a record of examples.v1."""
        at = self.log.end("examples", 0)
        self.log.append(Record("examples", 0, at, position_of(0, at), timestamp_ms, b"key", value, ()))

    def state(self) -> OpenTagger:
        """What is on disk; somebody has to close it."""
        store = TaggerStore(self.settings.data_path / "tagger.sqlite", Tagger(dimension=D))
        return OpenTagger(store, *store.open())

    def worker(self) -> "Worker":
        """A new process: it knows what the checkpoint says."""
        self.writer = FakeWriter(acknowledged=self.writer.acknowledged)
        state = self.state()
        reader = FakeReader(self.log, ("examples",), lambda: state.offsets)
        publisher = ModelPublisher(self.settings, "tagger", self.writer)
        return Worker(LearningParts(reader, self.writer, publisher, self.settings, StopRequest()), state)

    def run(self) -> TagCatalogue:
        """A worker that ends once it has learned everything; what is served then."""
        self.worker().run()
        return self.served()

    def served(self) -> TagCatalogue:
        """What a search API serves that reads the newest announcement."""
        served = ServedModels()
        served.take([event for event in self.writer.events if isinstance(event, ModelPublished)][-1])
        assert served.tagger is not None
        return served.tagger.predictor.catalogue


class Worker:
    """A tags worker with its reader; `run` ends once everything is learned."""

    def __init__(self, parts: LearningParts, state: OpenTagger) -> None:
        self.reader, self.state = parts.reader, state
        self.worker = TagsWorker(parts, state)
        self.reader.at_end = self.worker.stopping.stop

    def run(self, *, drain: bool = False) -> None:
        try:
            self.worker.run(drain=drain)
        finally:
            self.state.close()


def counts(catalogue: TagCatalogue) -> dict[str, int]:
    """Images that carry each tag."""
    return {row.name: row.count for row in catalogue.tags()}
