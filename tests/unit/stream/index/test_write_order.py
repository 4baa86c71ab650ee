"""A write that fails in the middle: offsets are never there before the images they cover, whichever Qdrant it is."""

import numpy as np
import pytest
import qdrant_edge
from qdrant_client import QdrantClient
from qdrant_client.http.exceptions import ResponseHandlingException

from models.errors import IndexUnavailableError
from models.quantise import dequantise, quantise
from stream.index.edge import EdgeIndex
from stream.index.payload import ImagePayload, IndexRecord
from stream.index.qdrant import FILTER_CLAUSES, QdrantIndex
from stream.log.reading.positions import StoredOffset
from stream.settings import QdrantSettings

D = 8
COUNT = 2 * FILTER_CLAUSES + 10  # images: several operations on a server
PAYLOAD = ImagePayload("0" * 64, "memory://", "png", 4, 4, 4, "enc-1")


def records(count, position=1):
    vectors = np.random.default_rng(0).standard_normal((count, D)).astype(np.float32)
    vectors = dequantise(quantise(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)))
    return [IndexRecord(f"i{n}", position, PAYLOAD, vectors[n]) for n in range(count)]


def offset(at):
    return StoredOffset("images", 0, at, "t", 0)


class Failing:
    """Lets so many operations through, then fails once; None: never."""

    def __init__(self):
        self.left = None
        self.made = 0

    def check(self, error):
        self.made += 1
        if self.left == 0:
            self.left = None
            raise error
        if self.left is not None:
            self.left -= 1


@pytest.fixture
def server(monkeypatch):
    """The adapter of a server, and what fails under it."""
    failing, upsert = Failing(), QdrantClient.upsert

    def torn(client, *arguments, **named):
        failing.check(ResponseHandlingException(OSError("connection reset")))
        return upsert(client, *arguments, **named)

    monkeypatch.setattr(QdrantClient, "upsert", torn)
    index = QdrantIndex(QdrantSettings(url=":memory:", collection="test"))
    index.open("enc-1", D)
    yield index, failing
    index.close()


@pytest.fixture
def edge(monkeypatch, tmp_path):
    """The embedded index, and what fails under it."""
    failing, shard_type = Failing(), qdrant_edge.EdgeShard

    class Shard:
        """A shard of which an update may fail."""

        def __init__(self, shard):
            self.shard = shard

        @staticmethod
        def create(*arguments):
            return Shard(shard_type.create(*arguments))

        def __getattr__(self, name):
            return getattr(self.shard, name)

        def update(self, operation):
            failing.check(RuntimeError("write-ahead log: I/O error"))
            return self.shard.update(operation)

    monkeypatch.setattr(qdrant_edge, "EdgeShard", Shard)
    index = EdgeIndex(tmp_path / "index")
    index.open("enc-1", D)
    yield index, failing
    index.close()


@pytest.fixture(params=["server", "edge"])
def torn(request):
    """An index, what fails under it, and how many points go in one of its operations."""
    return *request.getfixturevalue(request.param), FILTER_CLAUSES if request.param == "server" else COUNT


def test_an_offset_is_never_there_before_its_images(torn):
    index, failing, part = torn
    failing.made = 0
    index.write(records(COUNT), [offset(1)])
    for passed in range(failing.made):
        failing.left, position = passed, 2 + passed
        with pytest.raises(IndexUnavailableError):
            index.write(records(COUNT, position), [offset(2)])
        stored = index.fetch([f"i{n}" for n in range(COUNT)])
        assert sum(record.position == position for record in stored.values()) == min(passed * part, COUNT)
        assert index.offsets() == [offset(1)]


def test_a_write_that_failed_is_whole_after_the_next_try(torn):
    index, failing, _ = torn
    failing.left = 0
    with pytest.raises(IndexUnavailableError):
        index.write(records(COUNT), [offset(9)])
    assert (index.count(), index.offsets()) == (0, [])
    index.write(records(COUNT), [offset(9)])
    assert (index.count(), index.offsets()) == (COUNT, [offset(9)])
