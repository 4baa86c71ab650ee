"""The service's own pictures as a source for training: the index says which, the store has their bytes.

In: settings. Out: `StreamPictures`. Raises ConfigurationError (no index to be found, or in use),
IndexUnavailableError, StorageUnavailableError. Beside a running service its index is asked; where it is stopped, the
index in its data directory is opened for the while.
"""

import base64
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from models.encoders.base import Images
from models.errors import ConfigurationError, PoisonError
from models.preprocess import DEFAULT
from stream.build import build_datarefs, build_decoder, build_encoder, build_pictures, open_index
from stream.index.contract import VectorIndex
from stream.index.edge import EdgeIndex
from stream.pictures.dataref import DatarefReader
from stream.pictures.decode_pool import Decoded, DecodePool
from stream.pictures.store import PictureStore
from stream.settings import Settings

PAGE = 256  # records of the index at once


class StreamPictures:
    """See models.encoders.training.data.pictures.Pictures; about a kilobyte of memory for each picture.

    Attributes:
        tags: what each picture carries.
    """

    def __init__(self, index: VectorIndex, store: PictureStore, datarefs: DatarefReader, decoder: DecodePool) -> None:
        self._store, self._datarefs, self._decoder = store, datarefs, decoder
        self._bytes_of: dict[str, tuple[str, str]] = {}
        self.tags: dict[str, tuple[str, ...]] = {}
        self.looks: dict[str, bytes] = {}
        self.position = ", ".join(
            sorted(f"{offset.topic}/{offset.partition} at {offset.position}" for offset in index.offsets())
        )
        self._read(index)
        self.ids: Sequence[str] = sorted(self._bytes_of)

    def _read(self, index: VectorIndex) -> None:
        cursor: str | None = None
        while True:
            hits, cursor = index.scroll(cursor, PAGE)
            for hit in hits:
                self._bytes_of[hit.image_id] = hit.payload.stored, hit.payload.uri
                self.tags[hit.image_id] = hit.payload.tags
                self.looks[hit.image_id] = base64.b64decode(hit.payload.look)
            if cursor is None:
                return

    def load(self, ids: Sequence[str]) -> list[Images | None]:
        """See Pictures.load."""
        contents = [self._content(name) for name in ids]
        known = [place for place, content in enumerate(contents) if content is not None]
        answers = self._decoder.decode_many([content for content in contents if content is not None])
        found: list[Images | None] = [None] * len(ids)
        for place, answer in zip(known, answers, strict=True):
            if isinstance(answer, Decoded):
                found[place] = answer.pixels
        return found

    def _content(self, name: str) -> bytes | None:
        """The file's bytes; None where they are gone, or may not be read any more."""
        stored, uri = self._bytes_of[name]
        try:
            return self._store.get(stored) if stored else self._datarefs.read(uri)
        except (FileNotFoundError, PoisonError):
            return None


@contextmanager
def stream_pictures(settings: Settings) -> Iterator[StreamPictures]:
    """The pictures that the settings' service has.

    Raises:
        ConfigurationError, IndexUnavailableError: see the module.
    """
    with ExitStack() as parts:
        index = _index(settings)
        parts.callback(index.close)
        encoder = build_encoder(settings)
        index.open(encoder.version, encoder.dimension)
        decoder = parts.enter_context(build_decoder(settings, DEFAULT))
        yield StreamPictures(index, build_pictures(settings), build_datarefs(settings), decoder)


def _index(settings: Settings) -> VectorIndex:
    if settings.qdrant.url or settings.index_socket:
        return open_index(settings)
    folder = settings.data_path / "index"
    if not folder.exists():
        raise ConfigurationError(
            f"data directory {settings.data_path}: expected pictures in it; start `mekiki up` and post some, name "
            "another with --data-dir, or a Qdrant server in MEKIKI_QDRANT__URL"
        )
    return EdgeIndex(folder)
