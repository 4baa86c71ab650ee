"""Who serves what: files first, then the announcement."""

import hashlib
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from models.errors import StorageUnavailableError
from stream.environment import load_settings
from stream.log.model_versions import KEEP_FILES, ModelPublisher
from stream.log.reading.positions import StoredOffset
from tests.fakes import FakeWriter


@pytest.fixture
def settings(tmp_path):
    return load_settings({}, data_dir=tmp_path)


@pytest.fixture
def writer():
    return FakeWriter()


@pytest.fixture
def publisher(settings, writer):
    return ModelPublisher(settings, "tagger", writer)


def path_of(uri):
    return Path(urlsplit(uri).path)


def test_announces_a_file_that_is_there_with_its_hash_and_offsets(publisher, writer):
    publisher.publish(3, b"weights", [StoredOffset("examples", 0, 9, "t", 0)])
    (event,) = writer.events
    assert path_of(event.uri).read_text() == "weights"
    assert event.sha256 == hashlib.sha256(b"weights").hexdigest()
    assert (event.model, event.version, event.offsets, event.base_uris) == ("tagger", 3, {"examples/0": 9}, ())


def test_a_delta_names_the_last_full_file(publisher, writer):
    kinds = ["full", "delta", "delta", "full", "delta"]
    for version, kind in enumerate(kinds, start=1):
        publisher.publish(version, kind.encode(), [], kind)
    uri = {event.version: event.uri for event in writer.events}
    applies_to = [event.base_uris for event in writer.events]
    assert applies_to == [(), (uri[1],), (uri[1],), (), (uri[4],)]


def test_keeps_the_last_files_and_always_the_full_one(publisher, writer, settings):
    publisher.publish(1, b"full", [])
    for version in range(2, 20):
        publisher.publish(version, b"delta", [], "delta")
    kept = {path.name[:12] for path in (settings.data_path / "models" / "tagger").iterdir()}
    assert kept == {f"{v:012d}" for v in [1, *range(20 - KEEP_FILES, 20)]}
    assert all(path_of(uri).exists() for uri in writer.events[-1].base_uris)


def test_a_file_that_cannot_be_written_is_not_announced(publisher, writer, settings):
    shutil.rmtree(settings.data_path / "models" / "tagger")
    with pytest.raises(StorageUnavailableError, match="No such file"):
        publisher.publish(1, b"full", [])
    assert writer.events == []


def test_a_folder_that_cannot_be_made_is_infrastructure(tmp_path, writer):
    (tmp_path / "models").write_text("")
    with pytest.raises(StorageUnavailableError):
        ModelPublisher(load_settings({}, data_dir=tmp_path), "ranker", writer)
