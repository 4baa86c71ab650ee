"""One worker process each: build its parts from the settings, run until SIGTERM or Ctrl-C, finish what is in flight.

A worker of the embedded service also drains the log before it ends, since the embedded broker forgets it; and it ends
when the process that started it does.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Protocol

from prometheus_client import start_http_server

from models.encoders import load_encoder
from models.encoders.base import Encoder
from models.errors import ConfigurationError
from stream.index.contract import VectorIndex
from stream.index.qdrant import QdrantIndex
from stream.index.remote import RemoteIndex
from stream.ingest.pipeline import TOPICS, Ingest, IngestPipeline
from stream.learn.worker import LearningParts, LearningWorker
from stream.log.consume import LogReader
from stream.log.model_versions import ModelPublisher
from stream.log.produce import LogWriter
from stream.pictures.dataref import DatarefReader
from stream.pictures.decode_pool import DecodePool, Limits
from stream.pictures.sqlite_store import PictureFile
from stream.pictures.store import PictureFolder, PictureStore
from stream.process import on_stop, share_one_heap, tune_process, work_in_long_slices
from stream.settings import Settings


def open_index(settings: Settings) -> VectorIndex:
    """The index the settings name.

    Raises:
        ConfigurationError: none is named.
    """
    if settings.qdrant.url:
        return QdrantIndex(settings.qdrant)
    if settings.index_socket:
        return RemoteIndex(settings.index_socket)
    raise ConfigurationError(
        "MEKIKI_QDRANT__URL: not set; name a Qdrant server, or run `mekiki up`, which brings an index of its own"
    )


def build_encoder(settings: Settings) -> Encoder:
    """The encoder the settings name."""
    encoder = settings.encoder
    return load_encoder(
        encoder.backend, projection_path=encoder.projection, cache_dir=settings.cache_path, threads=encoder.threads
    )


def build_decoder(settings: Settings) -> DecodePool:
    """Child processes that decode."""
    ingest = settings.ingest
    return DecodePool(ingest.decode_workers, Limits(
        max_bytes=ingest.max_image_bytes, max_pixels=ingest.max_pixels,
        memory_bytes=ingest.decode_memory_bytes, deadline_s=ingest.decode_deadline_s,
    ))  # fmt: skip


def build_pictures(settings: Settings) -> PictureStore:
    """Where inline pictures are kept."""
    if settings.pictures_url:
        return PictureFolder(settings.pictures_url)
    return PictureFile((settings.data_path / "pictures.sqlite").absolute())


def build_datarefs(settings: Settings) -> DatarefReader:
    """What datarefs may name; the upload folder of the embedded service is always allowed."""
    ingest = settings.ingest
    return DatarefReader(
        ingest.dataref_roots, ingest.dataref_hosts, ingest.max_image_bytes, uploads=settings.data_path / "uploads"
    )


class _Closing(Protocol):
    def close(self) -> None: ...


def _work(settings: Settings, worker: IngestPipeline | LearningWorker, parts: Sequence[_Closing]) -> None:
    """Run until asked to stop, then close the parts in their order."""
    on_stop(worker.stopping.stop, worker.stopping.stop_now)
    if settings.metrics_port is not None:
        start_http_server(settings.metrics_port, addr=settings.serve.host)
    tune_process(settings.blas_threads)
    with ExitStack() as stack:
        for part in reversed(parts):
            stack.callback(part.close)
        worker.run(drain=settings.embedded)


def run_ingest(settings: Settings) -> None:
    """`mekiki work ingest`."""
    work_in_long_slices()
    encoder = build_encoder(settings)
    index = open_index(settings)
    index.open(encoder.version, encoder.dimension)
    reader = LogReader(
        settings, TOPICS, "ingest", index.offsets, group_wide=not settings.embedded,
        on_revoked=lambda partitions: pipeline.drop_partitions(partitions),
    )  # fmt: skip
    writer = LogWriter(settings, "mekiki/ingest")
    decoder, pictures = build_decoder(settings), build_pictures(settings)
    pipeline = IngestPipeline(
        Ingest(reader, writer, index, encoder, decoder, pictures, build_datarefs(settings), settings)
    )
    _work(settings, pipeline, (decoder, reader, writer, index))


def run_tags(settings: Settings) -> None:
    """`mekiki work tags`."""
    from stream.learn.tagger_state import open_tagger
    from stream.learn.tags import TagsWorker

    share_one_heap()
    work_in_long_slices()
    state = open_tagger(settings)
    reader = LogReader(settings, ("examples",), "tags", lambda: state.offsets, fetch_wait_ms=200)
    writer = LogWriter(settings, "mekiki/tags")
    parts = LearningParts(reader, writer, ModelPublisher(settings, "tagger", writer), settings)
    _work(settings, TagsWorker(parts, state), (reader, writer, state))


def run_ranking(settings: Settings) -> None:
    """`mekiki work ranking`."""
    from stream.learn.ranking import RankingWorker, offsets_of, open_ranker  # torch: seconds, 200 MB

    work_in_long_slices()
    state_file = open_ranker(settings)
    saved = state_file.load()
    encoder = build_encoder(settings)
    index = open_index(settings)
    index.open(encoder.version, encoder.dimension)
    reader = LogReader(settings, ("clicks",), "ranking", lambda: offsets_of(saved), fetch_wait_ms=500)
    writer = LogWriter(settings, "mekiki/ranking")
    parts = LearningParts(reader, writer, ModelPublisher(settings, "ranker", writer), settings)
    worker = RankingWorker(parts, index, state_file=state_file, saved=saved, dimension=encoder.dimension)
    _work(settings, worker, (reader, writer, state_file, index))


def run_index(settings: Settings) -> None:
    """`mekiki work index`: the process that owns Qdrant Edge; started by the embedded service."""
    from stream.index.edge import EdgeIndex
    from stream.index.server import IndexServer

    if not settings.index_socket:
        raise ConfigurationError("MEKIKI_INDEX_SOCKET: not set; `mekiki up` starts this process with an address")
    server = IndexServer(EdgeIndex(settings.data_path / "index"), settings.index_socket)
    on_stop(server.stop)
    tune_process(settings.blas_threads)
    server.serve()
