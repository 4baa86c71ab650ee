"""Following models.v1: the newest of each model is taken; where it cannot be, the old one serves and that is said."""

import threading

import pytest

import stream.log.model_versions
from models.errors import StorageUnavailableError
from stream.events.schema import ModelPublished
from stream.log.model_versions import ModelFollower
from stream.log.produce import LogWriter
from stream.log.topics import create_topics
from tests.cluster import wait_for
from tests.damaged_log import post_batch, wrong_checksum

WAIT_S = 20.0  # the longest a test waits for a thread; a failure, not a pause


class Follower:
    """Follows until closed; keeps what it took, refuses versions named in `refuses`."""

    def __init__(self, settings, refuses=()):
        self.taken, self._refuses, self._news = [], refuses, threading.Condition()
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


def test_a_file_that_is_gone_with_none_newer_is_said_and_taken_once_it_is_there(broker_settings, log):
    log.send_event(announced("tagger", 5))
    log.flush()
    refuses = {5: FileNotFoundError("gone")}
    follower = Follower(broker_settings, refuses)
    try:
        sentence = "tagger version 5: a file of it is gone, and no newer version is announced"
        assert wait_for(follower.failing, "the missing file to be said") == sentence
        refuses.clear()
        follower.wait_for(("tagger", 5))
        wait_for(lambda: follower.failing() is None, "the fault to be over")
    finally:
        follower.close()


def test_an_announcement_that_nobody_understands_is_said_until_a_later_one(broker_settings, log):
    log.send_event(announced("tagger", 5))
    log.send("models", b"tagger", b"nonsense", [])
    log.send("models", b"somebody else's", b"nonsense", [])
    log.flush()
    follower = Follower(broker_settings)
    try:
        follower.wait_for(("tagger", 5))
        assert wait_for(follower.failing, "the announcement to be said").startswith("models.v1 offset 1: ")
        log.send_event(announced("ranker", 8))
        log.flush()
        follower.wait_for(("ranker", 8))
        assert follower.failing()
        log.send_event(announced("tagger", 6))
        log.flush()
        follower.wait_for(("tagger", 6))
        wait_for(lambda: follower.failing() is None, "the fault to be over")
    finally:
        follower.close()


def test_announcements_that_cannot_be_read_are_said_until_a_later_one(broker_settings, log):
    post_batch(broker_settings, "models", [b"a", b"b"], wrong_checksum)
    follower = Follower(broker_settings)
    try:
        sentence = "models.v1 offset 1: cannot be read, a version may be announced there"
        assert wait_for(follower.failing, "the damage to be said") == sentence
        log.send_event(announced("tagger", 6))
        log.flush()
        follower.wait_for(("tagger", 6))
        wait_for(lambda: follower.failing() is None, "the fault to be over")
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
