"""The AsyncAPI document says what is really written."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from jsonschema import Draft202012Validator

from models.errors import SchemaError
from models.tagging.examples import Example, TagOperation
from stream.asyncapi import document, text
from stream.events.codec import encode
from stream.events.example import SourcedExample, encode_example
from stream.events.schema import EVENTS, ImagePosted
from stream.log.dead_letter import REPLAYED, dead_letter_headers
from stream.log.record import Record
from stream.log.topics import SHAPES, full_name
from stream.settings import Settings
from tests.fakes import encode_structured
from tests.strategies import EXAMPLES, events

COMMITTED = Path(__file__).resolve().parents[3] / "docs" / "asyncapi.json"
DOCUMENT = json.loads(text())
MESSAGES = DOCUMENT["components"]["messages"]


def test_bounds_are_said_in_json_schemas_words():
    """What pydantic cannot place it leaves under its own names, which no validator reads."""
    assert re.findall(r'"(?:ge|gt|le|lt)":', text()) == []


def check(instance, schema):
    Draft202012Validator(schema).validate(instance)


def test_the_committed_file_is_the_generated_one():
    assert COMMITTED.read_text() == text(), "run: python -m stream.asyncapi > docs/asyncapi.json"


def test_names_the_topics_of_the_settings():
    settings = Settings(kafka={"topic_prefix": "shop", "partitions": 12})
    channels = document(settings)["channels"]
    assert {channel["address"] for channel in channels.values()} == {full_name(settings, s.name) for s in SHAPES}
    assert channels["images"]["bindings"]["kafka"]["partitions"] == 12
    assert channels["clicks"]["bindings"]["kafka"]["partitions"] == 1


def references(node):
    if isinstance(node, dict):
        yield from ([node["$ref"]] if "$ref" in node else [])
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_every_reference_leads_somewhere():
    found = list(references(DOCUMENT))
    assert found
    for reference in found:
        node = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


def test_every_event_is_a_message_on_its_channel():
    for kind in EVENTS.values():
        assert kind.__name__ in DOCUMENT["channels"][kind.topic]["messages"]
        assert MESSAGES[kind.__name__]["name"] == kind.type


@pytest.mark.parametrize("name", MESSAGES)
def test_every_schema_is_a_schema_and_every_example_fits_it(name):
    message = MESSAGES[name]
    for part in ("headers", "payload"):
        Draft202012Validator.check_schema(message[part])
        for example in message.get("examples", []):
            if part in example:
                check(example[part], message[part])


@given(events)
def test_records_as_we_write_them_fit(event):
    message = MESSAGES[type(event).__name__]
    key, value, headers = encode(event, source="/shop", event_id="1")
    named = {name: raw.decode() for name, raw in headers}
    check(named, message["headers"])
    check(key.decode(), message["bindings"]["kafka"]["key"])
    if isinstance(event, ImagePosted):
        check(json.loads(named.get("ce_tags", "[]")), message["headers"]["properties"]["ce_tags"]["contentSchema"])
        body = event.model_dump(mode="json", exclude_none=True)
        check(body, MESSAGES["ImagePostedByReference"]["payload"])
    else:
        check(json.loads(value), message["payload"])
        check(json.loads(encode_structured(event, source="/shop")[1])["data"], message["payload"])


@pytest.mark.parametrize("name", ["ce_id", "ce_source", "ce_type", "ce_specversion"])
def test_the_schema_refuses_what_the_codec_refuses(name):
    for event in EXAMPLES.values():
        headers = {n: raw.decode() for n, raw in encode(event, source="/shop")[2]}
        del headers[name]
        assert not Draft202012Validator(MESSAGES[type(event).__name__]["headers"]).is_valid(headers)


def test_dead_letters_and_replay_marks_fit():
    record = Record("images", 0, 1, 2, 3, b"k", b"v", (("x", b"y"),))
    headers = dead_letter_headers(record, SchemaError("text", reason="bad_json"))
    check({name: raw.decode() for name, raw in headers}, MESSAGES["DeadLetter"]["headers"])
    check({REPLAYED: "0123"}, MESSAGES["ReplayMark"]["headers"])


@pytest.mark.parametrize("example", [
    Example("a", np.array([1, 2], np.int16), ("cat",), ("dog",), True), Example("a", deleted=True), Example("a"),
])  # fmt: skip
def test_the_header_of_an_example_fits(example):
    value = encode_example(SourcedExample(example, "images", 0, 7, "enc"))
    size = int.from_bytes(value[4:8], "little")
    check(json.loads(value[8 : 8 + size]), DOCUMENT["components"]["schemas"]["ExampleHeader"])


@pytest.mark.parametrize("operation", [
    TagOperation("s", "merge", ("kitty",), "cat"), TagOperation("s", "undo", target="op-1"),
    TagOperation("s", "split", ("crane",), "crane bird", ("a", "b")),
])  # fmt: skip
def test_the_header_of_an_operation_fits(operation):
    value = encode_example(SourcedExample(operation, "tags", 0, 7, "enc"))
    check(json.loads(value[8:]), DOCUMENT["components"]["schemas"]["OperationHeader"])
