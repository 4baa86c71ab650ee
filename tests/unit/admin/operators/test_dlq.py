"""`mekiki dlq skip`: an operator lets the service go past what cannot be read, and past nothing else."""

import json

import pytest
from typer.testing import CliRunner

from admin.cli import app
from models.errors import UsageError
from stream.environment import as_environment
from stream.log.topics import create_topics
from tests.damaged_log import post_batch, wrong_checksum


@pytest.fixture
def mekiki(broker_settings, monkeypatch):
    """Runs a command on topics of their own; what it says on both outputs."""
    create_topics(broker_settings)
    for name, value in as_environment(broker_settings).items():
        monkeypatch.setenv(name, value)

    def run(*arguments):
        done = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=True)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.output

    return run


@pytest.mark.parametrize("topic", ["images", "operations", "clicks"])
def test_a_batch_that_cannot_be_read_becomes_one_dead_letter_that_is_not_replayed(mekiki, broker_settings, topic):
    post_batch(broker_settings, topic, [b"a"])
    bad = post_batch(broker_settings, topic, [b"b", b"c"], wrong_checksum)
    assert mekiki("dlq", "skip", topic, 0, bad) == f"{topic} 0: goes on at offset {bad + 2}\n"
    mekiki("dlq", "skip", topic, 0, bad)  # twice is once
    (letter,) = json.loads(mekiki("dlq", "list", "--json"))
    assert (letter["topic"], letter["reason"], letter["value_bytes"]) == (topic, "unreadable", 0)
    assert letter["text"].startswith(f"offset {bad} of {topic} 0 to {bad + 1}: cannot be read (its checksum is wrong)")
    said = mekiki("dlq", "replay", letter["id"])
    assert f"dead letter {letter['id']}: there are no bytes to replay" in said
    assert said.endswith("replayed 0 dead letters\n")
    assert json.loads(mekiki("dlq", "list", "--json")) == [letter]


def test_what_can_be_read_or_is_not_there_is_refused_in_one_sentence(mekiki, broker_settings):
    post_batch(broker_settings, "images", [b"a", b"b"])
    bad = post_batch(broker_settings, "images", [b"c"], wrong_checksum)
    for arguments, sentence in [
        (("images", 0, 1), "offset 1 of images 0: expected a batch that cannot be read, it can be read;"),
        (("images", 0, bad + 1), "offset 3 of images 0: expected a batch that cannot be read, nothing stands there;"),
        (("images", 1, 0), "offset 0 of images 1: expected a batch that cannot be read, nothing stands there;"),
        (("images", 2, 0), "partition 2 of images: expected 0 to 1;"),
        (("--", "images", -1, 0), "partition -1 of images: expected 0 to 1;"),
        (("--", "images", 0, -1), "offset -1: expected 0 or more;"),
        (("examples", 0, 0), "topic examples: expected images, operations, clicks;"),
    ]:
        with pytest.raises(UsageError, match=sentence) as said:
            mekiki("dlq", "skip", *arguments)
        assert "\n" not in str(said.value)
    assert json.loads(mekiki("dlq", "list", "--json")) == []
