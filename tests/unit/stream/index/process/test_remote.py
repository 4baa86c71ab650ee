"""The index in another process: its failures arrive as what they are, and its absence is one to wait for."""

import contextlib
import threading

import pytest

from models.errors import (
    ConfigurationError,
    EncoderMismatchError,
    IndexUnavailableError,
    StorageUnavailableError,
)
from stream.index.edge import EdgeIndex
from stream.index.objects import OBJECTS, ObjectPoints
from stream.index.payload import IndexRecord
from stream.index.process.remote import RemoteIndex, RemoteObjects
from stream.index.process.server import IndexServer
from stream.log.embedded_broker import free_port
from stream.retry import until_available
from tests.fake_stores import FakeIndex
from tests.fakes import D, FakeEncoder


class FailingIndex(FakeIndex):
    """What the server owns; `count` raises what it is told to."""

    error = None

    def count(self, *kind, **options):
        if self.error is not None:
            raise self.error
        return self.real.count(*kind, **options)


@pytest.fixture
def index():
    return FailingIndex()


@contextlib.contextmanager
def served(index, address, objects=None):
    server = IndexServer(index, address, objects)
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield
    finally:
        server.stop()
        thread.join()


@pytest.fixture
def remote(index):
    address = f"127.0.0.1:{free_port()}"
    with served(index, address):
        client = RemoteIndex(address)
        client.open(FakeEncoder.version, D)
        yield client
        client.close()


@pytest.mark.parametrize("error", [
    IndexUnavailableError("index: away; 猫"), StorageUnavailableError("index: disk full; free some space"),
    EncoderMismatchError("encoder a: expected b"), ConfigurationError("index folder: damaged"),
    ValueError("vector with NaN: expected finite numbers"),
])  # fmt: skip
def test_a_failure_of_the_owner_is_the_same_failure_here(index, remote, error):
    index.error = error
    with pytest.raises(type(error)) as caught:
        remote.count()
    assert type(caught.value) is type(error)
    assert str(caught.value) == str(error)


def test_a_process_that_is_gone_is_waited_for_and_found_again():
    address = f"127.0.0.1:{free_port()}"
    client = RemoteIndex(address, timeout_s=5.0)
    with served(FakeIndex(), address):
        client.open(FakeEncoder.version, D)
        assert client.count() == 0
    with pytest.raises(IndexUnavailableError, match=address):
        client.count()
    with served(FakeIndex(), address):
        client.open(FakeEncoder.version, D)
        assert client.count() == 0
    client.close()


def test_a_process_that_was_started_again_is_opened_again(tmp_path):
    address = f"127.0.0.1:{free_port()}"
    client = RemoteIndex(address, timeout_s=5.0)
    with served(EdgeIndex(tmp_path / "index"), address):
        client.open(FakeEncoder.version, D)
        client.write([IndexRecord("i1", 1, deleted=True)], [])
    with served(EdgeIndex(tmp_path / "index"), address):
        found = until_available(lambda: client.fetch(["i1"]), threading.Event(), what="index")
    assert found["i1"].deleted
    client.close()


def test_an_address_that_is_taken_is_named(index):
    address = f"127.0.0.1:{free_port()}"
    with served(index, address), pytest.raises(ConfigurationError, match=address):
        IndexServer(FakeIndex(), address)


def test_the_first_call_to_a_process_that_was_started_again_is_answered_for_images_and_objects(tmp_path):
    """One client notices the end of the process before, the other does not: it asks nothing meanwhile."""
    address = f"127.0.0.1:{free_port()}"
    images, objects = RemoteIndex(address, timeout_s=5.0), RemoteObjects(address, timeout_s=5.0)

    def both():
        of_objects = ObjectPoints(EdgeIndex(tmp_path / "objects", layout=OBJECTS))
        return served(EdgeIndex(tmp_path / "index"), address, of_objects)

    with both():
        for client in (images, objects):
            client.open(FakeEncoder.version, D)
        assert objects.count() == 0
    with both():
        until_available(images.count, threading.Event(), what="index")
        assert objects.count() == 0
        assert images.count() == 0
    images.close()
    objects.close()
