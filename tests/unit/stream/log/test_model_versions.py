"""Who serves what: files first, then the announcement; followers keep serving when one cannot be loaded."""

import hashlib
import shutil
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import stream.log.model_versions
from models.errors import StorageUnavailableError
from stream.environment import load_settings
from stream.events.schema import ModelPublished
from stream.log.model_versions import KEEP_FILES, ModelFollower, ModelPublisher
from stream.log.produce import LogWriter
from stream.log.reading.positions import StoredOffset
from stream.log.topics import create_topics
from tests.cluster import wait_for
from tests.fakes import FakeWriter

WAIT_S = 20.0  # the longest a test waits for a thread; a failure, not a pause


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


# ---- following ----------------------------------------------------------------------------------------------------


class Follower:
    """Follows until closed; keeps what it took, refuses versions named in `refuses`."""

    def __init__(self, settings, refuses=()):
        self.taken, self._refuses, self._news = [], dict(refuses), threading.Condition()
        self._follower = ModelFollower(settings, self._take)
        self._follower.start()
        self.caught_up = self._follower.caught_up
        self.failing = lambda: self._follower.failing

    def _take(self, event):
        if event.version in self._refuses:
            raise self._refuses[event.version]
        with self._news:
            self.taken.append((event.model, event.version))
            self._news.notify_all()

    def wait_for(self, *wanted):
        with self._news:
            assert self._news.wait_for(lambda: set(wanted) <= set(self.taken), WAIT_S), self.taken

    def close(self):
        self._follower.stop()
        self._follower.join(WAIT_S)
        assert not self._follower.is_alive()


@pytest.fixture
def log(broker_settings):
    create_topics(broker_settings)
    writer = LogWriter(broker_settings, "test")
    yield writer
    writer.close()


def announced(model, version):
    return ModelPublished(model=model, version=version, uri="file:///m", sha256="0" * 64)


def test_a_late_follower_takes_the_newest_of_each_model(broker_settings, log):
    for version in (1, 2, 3):
        log.send_event(announced("tagger", version))
    log.send_event(announced("ranker", 8))
    log.flush()
    follower = Follower(broker_settings)
    try:
        follower.wait_for(("tagger", 3), ("ranker", 8))
        assert follower.caught_up.wait(WAIT_S)
        log.send_event(announced("ranker", 9))
        log.flush()
        follower.wait_for(("ranker", 9))
    finally:
        follower.close()


@pytest.mark.parametrize("error", [FileNotFoundError("gone"), StorageUnavailableError("hash"), ValueError("format"),
                                   RuntimeError("CUDA out of memory")])  # fmt: skip
def test_a_version_that_cannot_be_loaded_hides_no_other(broker_settings, log, error):
    log.send_event(announced("tagger", 5))
    log.send("models", b"tagger", b"nonsense", [])
    log.send_event(announced("ranker", 8))
    log.flush()
    follower = Follower(broker_settings, {5: error})
    try:
        follower.wait_for(("ranker", 8))
        log.send_event(announced("tagger", 6))
        log.flush()
        follower.wait_for(("tagger", 6))
    finally:
        follower.close()
    assert follower.failing() is None


def test_a_version_that_cannot_be_loaded_is_said_until_one_can(broker_settings, log):
    log.send_event(announced("tagger", 5))
    log.send_event(announced("ranker", 8))
    log.flush()
    follower = Follower(broker_settings, {5: RuntimeError("CUDA out of memory")})
    try:
        follower.wait_for(("ranker", 8))
        assert follower.caught_up.wait(WAIT_S)
        assert follower.failing() == "tagger version 5: RuntimeError: CUDA out of memory"
    finally:
        follower.close()


def test_a_follower_that_fails_at_its_own_work_says_so_and_goes_on(broker_settings, log, monkeypatch):
    real, broken = stream.log.model_versions.decode, threading.Event()
    broken.set()

    def failing(*record):
        if broken.is_set():
            raise RuntimeError("what nobody thought of")
        return real(*record)

    monkeypatch.setattr("stream.log.model_versions.decode", failing)
    log.send_event(announced("tagger", 5))
    log.flush()
    follower = Follower(broker_settings)
    try:
        wait_for(follower.failing, "the fault to be said")
        assert follower.failing() == "models.v1: RuntimeError: what nobody thought of"
        broken.clear()
        log.send_event(announced("ranker", 8))
        log.flush()
        follower.wait_for(("ranker", 8))
        wait_for(lambda: follower.failing() is None, "the fault to be over")
    finally:
        follower.close()


def test_a_log_without_announcements_is_caught_up(broker_settings, log):
    follower = Follower(broker_settings)
    try:
        assert follower.caught_up.wait(WAIT_S)
    finally:
        follower.close()
