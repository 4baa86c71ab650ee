"""The parts of a process, as the settings choose them: index, encoder, decoders, pictures.

In: settings. Out: parts, not connected yet. Raises ConfigurationError where the settings name none.
"""

from dataclasses import replace
from pathlib import Path

from models.encoders import EncoderFolders, load_encoder
from models.encoders.base import Encoder
from models.errors import ConfigurationError
from models.preprocess import Preprocessing
from stream.index.contract import VectorIndex
from stream.index.objects import OBJECTS, ObjectIndex, ObjectPoints
from stream.index.process.remote import RemoteIndex, RemoteObjects
from stream.pictures.dataref import DatarefReader
from stream.pictures.decode_pool import DecodePool, Limits
from stream.pictures.sqlite_store import PictureFile
from stream.pictures.store import PictureFolder, PictureStore
from stream.settings import Settings

QUICK_WORK = 10_000_000  # of ImageHeader.work: a tenth to a third of a second
QUICK_MEMORY_BYTES = 400_000_000  # a picture of so little work needs less


def open_index(settings: Settings) -> VectorIndex:
    """The index the settings name.

    Raises:
        ConfigurationError: none is named.
    """
    if settings.qdrant.url:
        from stream.index.qdrant import QdrantIndex  # its client takes a second to import, in each of five processes

        return QdrantIndex(settings.qdrant)
    if settings.index_socket:
        return RemoteIndex(settings.index_socket)
    raise ConfigurationError(
        "MEKIKI_QDRANT__URL: not set; name a Qdrant server, or run `mekiki up`, which brings an index of its own"
    )


def open_objects(settings: Settings) -> ObjectIndex:
    """The object index the settings name, beside the index.

    Raises:
        ConfigurationError: none is named.
    """
    if settings.index_socket and not settings.qdrant.url:
        return RemoteObjects(settings.index_socket)
    if settings.qdrant.url:
        from stream.index.qdrant import QdrantIndex

        return ObjectPoints(QdrantIndex(settings.qdrant, OBJECTS))
    raise ConfigurationError("MEKIKI_QDRANT__URL: not set; name a Qdrant server, or run `mekiki up`")


def index_folder(settings: Settings) -> Path:
    """Where the embedded index lies."""
    return settings.data_path / "index"


def objects_folder(settings: Settings) -> Path:
    """Where the embedded object index lies."""
    return settings.data_path / "objects"


def build_encoder(settings: Settings) -> Encoder:
    """The encoder the settings name."""
    encoder = settings.encoder
    return load_encoder(
        encoder.backend, encoder.name, EncoderFolders(settings.encoders_path), cache_dir=settings.cache_path,
        threads=encoder.threads,
    )  # fmt: skip


def build_decoder(settings: Settings, how: Preprocessing) -> DecodePool:
    """Child processes that decode whatever is allowed, for an encoder that takes pictures so."""
    return DecodePool(settings.ingest.decode_workers, _limits(settings), how)


def build_slow_decoder(settings: Settings, how: Preprocessing) -> DecodePool:
    """One that decodes what is too much work for `build_quick_decoder`."""
    return DecodePool(1, _limits(settings), how)


def build_quick_decoder(settings: Settings, how: Preprocessing) -> DecodePool:
    """Child processes for the stream, where nobody waits long for another's picture."""
    limits = _limits(settings)
    quick = replace(limits, quick_work=QUICK_WORK, memory_bytes=min(limits.memory_bytes, QUICK_MEMORY_BYTES))
    return DecodePool(settings.ingest.decode_workers, quick, how)


def _limits(settings: Settings) -> Limits:
    ingest = settings.ingest
    return Limits(
        max_bytes=ingest.max_image_bytes, max_pixels=ingest.max_pixels, max_side_px=ingest.max_side_px,
        memory_bytes=ingest.decode_memory_bytes, deadline_s=ingest.decode_deadline_s,
    )  # fmt: skip


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
