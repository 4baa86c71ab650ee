"""examples.v1 on the wire."""

import json
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from models.errors import SchemaError
from models.tagging.examples import Example, OperationKind, TagOperation
from stream.events.example import MAGIC, SourcedExample, decode_example, encode_example
from tests.strategies import ids, sources, tag_lists, texts

vectors = st.none() | arrays.arrays(np.int16, st.integers(1, 20))
examples = st.builds(
    Example, image_id=ids, vector=vectors, added=tag_lists, removed=tag_lists, complete=st.none() | st.booleans(),
    deleted=st.booleans(), revoked=tag_lists, said=st.lists(st.tuples(texts, sources), max_size=3).map(tuple),
)  # fmt: skip
operations = st.builds(
    TagOperation, operation_id=ids, kind=st.sampled_from(get_args(OperationKind)), tags=tag_lists, into=texts,
    images=tag_lists, target=texts, by=texts, time_ms=st.integers(0, 2**50), said_by=texts, since=texts,
)  # fmt: skip
sourced = st.builds(
    SourcedExample, example=examples | operations, topic=st.sampled_from(["images", "operations"]),
    partition=st.integers(0, 999), position=st.integers(1, 2**53 - 1), encoder=ids,
)  # fmt: skip


def flat(one: SourcedExample):
    e = one.example
    if isinstance(e, TagOperation):
        return one.topic, one.partition, one.position, one.encoder, e
    vector = None if e.vector is None else e.vector.tolist()
    return (
        one.topic,
        one.partition,
        one.position,
        one.encoder,
        e.image_id,
        vector,
        e.added,
        e.removed,
        e.complete,
        e.deleted,
        e.said,
        e.revoked,
    )


@given(sourced)
def test_gives_back_what_was_written(one):
    assert flat(decode_example(encode_example(one))) == flat(one)


@given(sourced)
def test_equal_examples_have_equal_bytes(one):
    assert encode_example(one) == encode_example(decode_example(encode_example(one)))


def test_the_layout_is_the_documented_one():
    one = SourcedExample(Example("a", np.array([1, -2], np.int16), ("cat",)), "tags", 3, 9, "enc")
    value = encode_example(one)
    size = int.from_bytes(value[4:8], "little")
    assert value[:4] == MAGIC == b"MKX1"
    assert json.loads(value[8 : 8 + size]) == {"id": "a", "src": ["tags", 3, 9], "enc": "enc", "add": ["cat"]}
    assert value[8 + size :] == b"\x01\x00\xfe\xff"


def test_an_operation_has_no_image_id_so_that_nobody_takes_it_for_an_example():
    one = SourcedExample(TagOperation("op-1", "merge", ("kitty",), "cat"), "tags", 3, 9, "enc")
    value = encode_example(one)
    header = {"op": "merge", "op_id": "op-1", "tags": ["kitty"], "into": "cat", "src": ["tags", 3, 9], "enc": "enc"}
    assert json.loads(value[8:]) == header


def test_a_vector_of_512_takes_two_bytes_a_number():
    one = SourcedExample(Example("cat-1", np.zeros(512, np.int16), ("cat",)), "images", 0, 1, "e" * 64)
    assert len(encode_example(one)) < 1024 + 200


@given(st.none() | st.binary(max_size=40) | st.binary(max_size=40).map(lambda rest: MAGIC + rest))
def test_other_bytes_are_refused(value):
    with pytest.raises(SchemaError, match="only ingest workers write this topic"):
        decode_example(value)


@pytest.mark.parametrize("header", [
    [], {}, "x", {"id": "a"}, {"id": "a", "src": [1], "enc": "e"}, {"id": "a", "src": 7, "enc": "e"},
    {"id": "a", "src": ["t", 0, "new"], "enc": "e"}, {"id": 3, "src": ["t", 0, 1], "enc": "e"},
    {"id": "a", "src": ["t", 0, 1], "enc": "e", "add": [1]}, {"id": "a", "src": ["t", 0, 1], "enc": "e", "add": "cat"},
    {"op": "melt", "op_id": "a", "src": ["t", 0, 1], "enc": "e"}, {"op": "merge", "src": ["t", 0, 1], "enc": "e"},
    {"op": "merge", "op_id": "a", "src": ["t", 0, 1], "enc": "e", "tags": "cat"},
    {"op": "merge", "op_id": "a", "src": ["t", 0, 1], "enc": "e", "by": 3},
    {"op": "merge", "op_id": "a", "src": ["t", 0, 1], "enc": "e", "ms": "now"},
    {"op": ["merge"], "op_id": "a", "src": ["t", 0, 1], "enc": "e"},
])  # fmt: skip
def test_a_broken_header_is_refused(header):
    text = json.dumps(header).encode()
    with pytest.raises(SchemaError, match="broken header"):
        decode_example(MAGIC + len(text).to_bytes(4, "little") + text)


@given(sourced.filter(lambda one: isinstance(one.example, Example) and one.example.vector is not None))
def test_half_a_number_at_the_end_is_refused(one):
    with pytest.raises(SchemaError, match="broken header"):
        decode_example(encode_example(one)[:-1])
