"""What the ingest worker works with; its steps share it."""

from dataclasses import dataclass

from models.encoders.base import Encoder
from stream.index.contract import VectorIndex
from stream.log.produce import LogWriter
from stream.log.reading.consume import LogReader
from stream.pictures.dataref import DatarefReader
from stream.pictures.decode_pool import DecodePool
from stream.pictures.store import PictureStore
from stream.settings import Settings


@dataclass(frozen=True)
class Ingest:
    """See the module."""

    reader: LogReader
    writer: LogWriter
    index: VectorIndex
    encoder: Encoder
    decoder: DecodePool
    slow_decoder: DecodePool  # of pictures that are too much work for the other
    pictures: PictureStore
    datarefs: DatarefReader
    settings: Settings
