"""One ingest worker after another over the same log, index, pictures and topics, all of them in memory."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from models.tagging.examples import Example, TagOperation
from stream.environment import load_settings
from stream.events.example import SourcedExample, decode_example, encode_example
from stream.events.schema import ImageDecoded, ImageDeleted, ImagePosted, TagsApplied
from stream.ingest.parts import Ingest
from stream.ingest.pipeline import TOPICS, IngestPipeline
from stream.ingest.stages import QUEUE_BATCHES
from stream.ingest.waits import events_of
from stream.log.dead_letter import REASON
from stream.pictures.dataref import DatarefReader
from stream.stopping import StopRequest
from tests.fake_log import FakeReader, MemoryLog
from tests.fake_stores import FakeIndex, FakePictures
from tests.fakes import FakeDecoder, FakeEncoder, FakeWriter, Journal

WAIT_S = 15.0  # the longest a test waits for a thread; a failure, not a pause
STALLED_BATCHES = 3 * QUEUE_BATCHES + 1  # decoded, where the last step stands still: in its hands, in the queues, ...


def post(image_id: str, content: bytes = b"pic1", **fields: object) -> ImagePosted:
    return ImagePosted(image_id=image_id, content=content, **fields)


def tag(image_id: str, *tags: str) -> TagsApplied:
    return TagsApplied(image_id=image_id, tags=tags)


def delete(image_id: str) -> ImageDeleted:
    return ImageDeleted(image_id=image_id)


def wait_for(condition: Callable[[], object]) -> None:
    """Look until the condition holds."""
    until_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < until_s, "it did not happen"
        time.sleep(0.001)  # between two looks; what ends the wait is the condition


class Rig:
    """What outlives a worker, and the workers. `journal` says in which order things became durable."""

    def __init__(self, tmp_path: Path, *, partitions: int = 1, **sections: dict[str, object]) -> None:
        self.settings = load_settings({}, data_dir=tmp_path, **sections)
        self.journal = Journal()
        self.log = MemoryLog(partitions)
        self.index = FakeIndex(self.journal)
        self.writer = FakeWriter(self.journal)
        self.pictures = FakePictures(self.journal)
        self.slow_decoder = FakeDecoder(patient=True)
        self._brought = 0  # of what the slow lane said, how much came back through the log

    def worker(self, *, index: FakeIndex | None = None, group_wide: bool = False) -> "Worker":
        """A new worker process; it remembers nothing of the one before."""
        index = index or self.index
        failing = self.writer.failing
        self.writer = writer = FakeWriter(self.journal, self.writer.acknowledged)
        writer.failing = failing
        self.pictures = pictures = FakePictures(self.journal, self.pictures.names, self.pictures.away)
        reader = FakeReader(
            self.log, TOPICS, index.offsets,
            on_revoked=lambda partitions: pipeline.drop_partitions(partitions),
            on_assigned=lambda: pipeline.partitions_came(), group_wide=group_wide,
        )  # fmt: skip
        ingest = self.settings.ingest
        uploads = self.settings.data_path / "uploads"
        datarefs = DatarefReader(ingest.dataref_roots, ingest.dataref_hosts, 1_000, uploads=uploads)
        decoder = FakeDecoder()
        parts = Ingest(
            reader, writer, index, FakeEncoder(), decoder, self.slow_decoder, pictures, datarefs, self.settings
        )
        pipeline = IngestPipeline(parts, StopRequest())
        return Worker(pipeline, parts, decoder)

    def run(self) -> None:
        """A new worker that ends once it has read and written everything."""
        self.worker().drain()

    def settle(self) -> None:
        """Work until no picture waits for its decoding, what the slow lane says coming back through the log."""
        worker = self.worker().start()
        try:
            wait_for(lambda: self.is_done() and self._places_waiting() <= self._places_said())
        finally:
            worker.pipeline.stopping.stop()
            worker.join()
        said = self.decoded()
        self.log.post(*said[self._brought :])
        self._brought = len(said)
        self.run()

    def _places_said(self) -> set[tuple[str, int]]:
        """Image and position of each picture that the slow lane said; a worker that ended may still say one."""
        return {(event.image_id, event.of) for event in self.decoded()}

    def _places_waiting(self) -> set[tuple[str, int]]:
        with self.index.lock:
            records = self.index.real.scroll_waiting(None, 100)[0]
        return {
            (record.image_id, one.record.position) for record in records for one in events_of(record) if one.is_picture
        }

    def decoded(self) -> list[ImageDecoded]:
        """What the slow lane said."""
        return [one.event for one in self.writer.to("images") if isinstance(one.event, ImageDecoded)]

    def pictures_waiting(self) -> int:
        """Pictures that are not decoded yet."""
        with self.index.lock:
            return sum(len(record.undecoded) for record in self.index.real.scroll_waiting(None, 100)[0])

    def examples(self) -> list[tuple[tuple[str, int, int], Example | TagOperation]]:
        """What the learner gets: (where it came from, what it is), in the order of the topic."""
        return [((one.topic, one.partition, one.position), one.example) for one in self._examples()]

    def _examples(self) -> list[SourcedExample]:
        return [decode_example(sent.value) for sent in self.writer.to("examples")]

    def dead(self) -> list[tuple[str, bytes | None, str]]:
        """Dead letters as (topic, key, reason)."""
        letters = [sent for sent in self.writer.acknowledged if sent.topic.endswith(".dlq")]
        return [(sent.topic, sent.key, dict(sent.headers)[REASON].decode()) for sent in letters]

    def offsets(self) -> dict[tuple[str, int], int]:
        """Where the state stands."""
        with self.index.lock:
            return {(at.topic, at.partition): at.offset for at in self.index.real.offsets()}

    def is_done(self) -> bool:
        """Whether everything in the log is covered by the offsets."""
        return self.offsets() == self.log.ends()

    def outcome(self) -> tuple[object, ...]:
        """Everything that outlives the workers, each example and dead letter counted once."""
        ids = {record.key.decode() for p in range(self.log.partitions) for record in self.log.read("images", p, 0)}
        images = self.index.real.fetch(sorted(ids), with_vectors=True, with_raw=True)
        stored = {
            i: (
                r.deleted,
                r.position,
                r.waiting,
                r.payload,
                r.seen,
                None if r.vector is None else r.vector.tobytes(),
            )
            for i, r in images.items()
        }
        examples = {encode_example(replace(one, after=None)) for one in self._examples()}  # however batches are cut
        return stored, dict(self.pictures.kept), self.offsets(), examples, set(self.dead())


class Worker:
    """A pipeline with its reader; `start` runs it in a thread of its own."""

    def __init__(self, pipeline: IngestPipeline, parts: Ingest, decoder: FakeDecoder) -> None:
        self.pipeline, self.parts, self.reader, self.decoder = pipeline, parts, parts.reader, decoder
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def drain(self) -> None:
        """Run in this thread until everything is read and written."""
        self.pipeline.stopping.stop()
        self.pipeline.run(drain=True)

    def start(self) -> "Worker":
        self._thread.start()
        return self

    def _run(self) -> None:
        try:
            self.pipeline.run()
        except BaseException as error:  # noqa: BLE001 - looked at by the test
            self.failure = error

    def wait_stalled(self) -> None:
        """Wait until a neighbour that is away has filled every queue, with batches of one picture each."""
        wait_for(lambda: self.decoder.calls >= STALLED_BATCHES)
        polls = self.reader.polls
        wait_for(lambda: self.reader.polls >= polls + 2)

    def join(self) -> None:
        """Wait for the end of `run`."""
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive(), "the worker did not end"
