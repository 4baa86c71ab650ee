"""Our topics: names, shapes, and what is said when they are not as they must be."""

import pytest

from models.errors import ConfigurationError
from stream.environment import load_settings
from stream.log.client import client_options
from stream.log.topics import SHAPES, create_topics, describe_topics, full_name

NAMES = tuple(shape.name for shape in SHAPES)


def test_names_are_prefix_topic_version_and_dead_letters_end_in_dlq():
    settings = load_settings({"MEKIKI_KAFKA__TOPIC_PREFIX": "shop"})
    assert full_name(settings, "images") == "shop.images.v1"
    assert full_name(settings, "images.dlq") == "shop.images.v1.dlq"
    assert len({full_name(settings, name) for name in NAMES}) == len(NAMES)


def test_what_must_stay_in_one_order_has_one_partition():
    partitions = {shape.name: shape.partitions for shape in SHAPES}
    assert partitions["examples"] == partitions["clicks"] == partitions["models"] == 1
    assert partitions["operations"] == 1
    assert partitions["images"] == 0  # as many as the settings say


def test_without_a_broker_the_sentence_names_the_variable():
    with pytest.raises(ConfigurationError, match="MEKIKI_KAFKA__BOOTSTRAP_SERVERS: not set"):
        client_options(load_settings({}))


def test_sasl_is_handed_on_unmasked():
    options = client_options(load_settings({
        "MEKIKI_KAFKA__BOOTSTRAP_SERVERS": "a:9092,b:9092", "MEKIKI_KAFKA__SECURITY_PROTOCOL": "SASL_SSL",
        "MEKIKI_KAFKA__SASL_MECHANISM": "PLAIN", "MEKIKI_KAFKA__SASL_USERNAME": "me",
        "MEKIKI_KAFKA__SASL_PASSWORD": "hunter2",
    }))  # fmt: skip
    assert options["bootstrap_servers"] == ["a:9092", "b:9092"]
    assert options["sasl_plain_password"] == "hunter2"


def test_creates_what_is_missing_once(broker_settings):
    created = create_topics(broker_settings)
    assert created == [full_name(broker_settings, name) for name in NAMES]
    assert create_topics(broker_settings) == []
    described = describe_topics(broker_settings, NAMES)
    assert {name: topic.partitions for name, topic in described.items()} == {
        shape.name: shape.partitions or 2 for shape in SHAPES
    }
    assert len({topic.topic_id for topic in described.values()}) == len(NAMES)


def test_a_topic_that_is_not_there_is_named_with_the_remedy(broker_settings):
    with pytest.raises(ConfigurationError, match=r"images.v1: does not exist; run `mekiki topics create`"):
        describe_topics(broker_settings, ("images",))
