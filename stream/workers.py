"""One worker process each: build its parts from the settings, run until SIGTERM or Ctrl-C, finish what is in flight.

A worker of the embedded service also drains the log before it ends, since the embedded broker forgets it; and it ends
when the process that started it does.
"""

import functools
from collections.abc import Callable
from contextlib import ExitStack
from typing import Protocol, TypeVar

from prometheus_client import start_http_server

from models.encoders.base import Encoder
from models.errors import ConfigurationError
from stream.build import (
    build_datarefs,
    build_encoder,
    build_pictures,
    build_quick_decoder,
    build_slow_decoder,
    index_folder,
    objects_folder,
    open_index,
    open_objects,
)
from stream.index.contract import VectorIndex
from stream.index.objects import OBJECTS, ObjectIndex, ObjectPoints
from stream.ingest.parts import Ingest
from stream.ingest.pipeline import TOPICS, IngestPipeline
from stream.learn.worker import LearningParts, LearningWorker
from stream.log.model_versions import ModelPublisher
from stream.log.produce import LogWriter
from stream.log.reading.announced import read_growth
from stream.log.reading.consume import LogReader
from stream.log.reading.growth import never_grew
from stream.objects.cut import Cutter
from stream.objects.worker import ObjectsWorker
from stream.process import on_stop, share_one_heap, tune_process, work_in_long_slices, work_when_idle
from stream.retry import StoppedError, until_available
from stream.settings import Settings
from stream.stopping import StopRequest


class _Closing(Protocol):
    def close(self) -> None: ...


T = TypeVar("T")
Part = TypeVar("Part", bound=_Closing)


class _Process:
    """A worker's process: its parts are built while neighbours may be away, run until it is asked to stop, closed.

    Attributes:
        stopping: of the worker, asked by signals from the first moment on.
    """

    def __init__(self, settings: Settings) -> None:
        self.stopping = StopRequest()
        self._settings = settings
        self._parts = ExitStack()
        on_stop(self.stopping.stop, self.stopping.stop_now)

    def part(self, build: Callable[[], Part]) -> Part:
        """Build a part, waiting for its neighbour; the last is closed first.

        Raises:
            StoppedError: asked to stop before it was there.
        """
        part = self.wait(build)
        self._parts.callback(part.close)
        return part

    def wait(self, attempt: Callable[[], T]) -> T:
        """What `attempt` gives once its neighbour is there; raises as `part`."""
        return until_available(attempt, self.stopping.asked, what="start")

    def index(self, encoder: Encoder) -> VectorIndex:
        """The index, open."""
        index = self.part(lambda: open_index(self._settings))
        self.wait(lambda: index.open(encoder.version, encoder.dimension))
        return index

    def objects(self, encoder: Encoder) -> ObjectIndex:
        """The object index, open."""
        objects = self.part(lambda: open_objects(self._settings))
        self.wait(lambda: objects.open(encoder.version, encoder.dimension))
        return objects

    def work(self, worker: IngestPipeline | LearningWorker | ObjectsWorker) -> None:
        """Run until asked to stop."""
        if self._settings.metrics_port is not None:
            start_http_server(self._settings.metrics_port, addr=self._settings.serve.host)
        tune_process(self._settings.blas_threads)
        worker.run(drain=self._settings.embedded)

    def __enter__(self) -> "_Process":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        self._parts.close()
        return kind is not None and issubclass(kind, StoppedError)  # asked to stop while it waited: it has no work


def run_ingest(settings: Settings) -> None:
    """`mekiki work ingest`."""
    work_in_long_slices()
    with _Process(settings) as process:
        encoder = build_encoder(settings)
        index = process.index(encoder)
        writer = process.part(lambda: LogWriter(settings, "mekiki/ingest"))
        reader = process.part(lambda: LogReader(
            settings, TOPICS, "ingest", index.offsets, group_wide=not settings.embedded,
            grown=never_grew if settings.embedded else functools.partial(read_growth, settings),
            on_revoked=lambda partitions: pipeline.drop_partitions(partitions),
            on_assigned=lambda: pipeline.partitions_came(),
        ))  # fmt: skip
        decoder = process.part(lambda: build_quick_decoder(settings, encoder.preprocessing))
        slow_decoder = process.part(lambda: build_slow_decoder(settings, encoder.preprocessing))
        pictures, datarefs = build_pictures(settings), build_datarefs(settings)
        parts = Ingest(reader, writer, index, encoder, decoder, slow_decoder, pictures, datarefs, settings)
        pipeline = IngestPipeline(parts, process.stopping)
        process.work(pipeline)


def run_objects(settings: Settings) -> None:
    """`mekiki work objects`.

    Raises:
        ConfigurationError: no objects are wanted.
    """
    per_image = settings.objects.per_image
    if not per_image:
        raise ConfigurationError("MEKIKI_OBJECTS__PER_IMAGE: 0, no objects are wanted; raise it, or stop this worker")
    if settings.embedded:
        work_when_idle()
    with _Process(settings) as process:
        encoder = build_encoder(settings)
        images, objects = process.index(encoder), process.objects(encoder)
        decoder = process.part(lambda: build_slow_decoder(settings, encoder.preprocessing))
        pictures, datarefs = build_pictures(settings), build_datarefs(settings)
        cutter = Cutter(images, objects, encoder, decoder, pictures, datarefs, per_image)
        reader = process.part(lambda: LogReader(
            settings, ("images",), "objects", objects.offsets, group_wide=not settings.embedded,
            grown=never_grew if settings.embedded else functools.partial(read_growth, settings),
            on_revoked=lambda partitions: worker.drop_partitions(partitions),
        ))  # fmt: skip
        worker = ObjectsWorker(reader, cutter, process.stopping, embedded=settings.embedded)
        process.work(worker)


def run_tags(settings: Settings) -> None:
    """`mekiki work tags`."""
    from stream.learn.tagger_state import open_tagger
    from stream.learn.tags import TagsWorker

    share_one_heap()
    work_in_long_slices()
    with _Process(settings) as process:
        state = open_tagger(settings)
        process.part(lambda: state)
        writer = process.part(lambda: LogWriter(settings, "mekiki/tags"))
        reader = process.part(
            lambda: LogReader(settings, ("examples",), "tags", lambda: state.offsets, fetch_wait_ms=200)
        )
        parts = LearningParts(reader, writer, ModelPublisher(settings, "tagger", writer), settings, process.stopping)
        process.work(TagsWorker(parts, state))


def run_ranking(settings: Settings) -> None:
    """`mekiki work ranking`."""
    from stream.learn.ranking import RankingWorker, offsets_of, open_ranker  # torch: seconds, 200 MB

    work_in_long_slices()
    with _Process(settings) as process:
        state_file = open_ranker(settings)
        process.part(lambda: state_file)
        saved = state_file.load()
        encoder = build_encoder(settings)
        index = process.index(encoder)
        writer = process.part(lambda: LogWriter(settings, "mekiki/ranking"))
        reader = process.part(
            lambda: LogReader(settings, ("clicks",), "ranking", lambda: offsets_of(saved), fetch_wait_ms=500)
        )
        parts = LearningParts(reader, writer, ModelPublisher(settings, "ranker", writer), settings, process.stopping)
        process.work(RankingWorker(parts, index, state_file=state_file, saved=saved, dimension=encoder.dimension))


def run_index(settings: Settings) -> None:
    """`mekiki work index`: the process that owns Qdrant Edge; started by the embedded service."""
    from stream.index.edge import EdgeIndex
    from stream.index.process.server import IndexServer

    if not settings.index_socket:
        raise ConfigurationError("MEKIKI_INDEX_SOCKET: not set; `mekiki up` starts this process with an address")
    images = EdgeIndex(index_folder(settings), settings.qdrant)
    objects = ObjectPoints(EdgeIndex(objects_folder(settings), settings.qdrant, OBJECTS))
    server = IndexServer(images, settings.index_socket, objects)
    on_stop(server.stop)
    tune_process(settings.blas_threads)
    server.serve()
