"""Records of the index as fields and as bytes: what goes in comes out, whichever way it goes."""

import json
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from stream.index.contract import Condition, Hit, Range, TagFilter
from stream.index.payload import ImagePayload, IndexRecord, to_fields, to_record
from stream.index.process.wire import pack, unpack
from stream.log.reading.positions import StoredOffset
from tests.strategies import plain_values

TEXT = st.text(max_size=8)
NAMES = st.lists(TEXT, max_size=3).map(tuple)
COUNT = st.integers(0, 2**53)
PAYLOADS = st.builds(
    ImagePayload, TEXT, TEXT, TEXT, COUNT, COUNT, COUNT, TEXT, posted_at=TEXT, tags=NAMES,
    speakers=st.lists(st.tuples(TEXT, TEXT, COUNT), max_size=2).map(tuple),
    said=st.lists(st.lists(COUNT, max_size=2).map(tuple), max_size=3).map(tuple),
    complete=st.booleans(), title=TEXT, source_url=TEXT, author=TEXT, look=TEXT,
    metadata=st.dictionaries(TEXT | st.sampled_from(["$kind", "$vector", "$map"]), plain_values, max_size=2),
)  # fmt: skip
VECTORS = arrays.arrays(np.float32, 8, elements=st.floats(-1, 1, width=32))
RECORDS = st.one_of(
    st.builds(IndexRecord, TEXT, COUNT, PAYLOADS, st.none() | VECTORS, NAMES),
    st.builds(IndexRecord, TEXT, COUNT, seen=NAMES, deleted=st.just(True)),
    st.builds(IndexRecord, TEXT, COUNT, seen=NAMES, waiting=NAMES),
)
OFFSETS = st.builds(StoredOffset, TEXT, COUNT, COUNT, TEXT, COUNT)
HITS = st.builds(Hit, TEXT, st.floats(-1, 1), PAYLOADS, st.none() | VECTORS)
FILTERS = st.builds(TagFilter, NAMES, NAMES, NAMES)
RANGES = st.builds(
    Range, st.sampled_from(["posted_s", "aspect"]), st.none() | st.floats(0, 9), st.none() | st.floats(0, 9)
)
CONDITIONS = st.builds(
    Condition, st.lists(st.lists(FILTERS, max_size=2).map(tuple), max_size=2).map(tuple),
    st.lists(FILTERS, max_size=2).map(tuple), st.lists(RANGES, max_size=2).map(tuple),
)  # fmt: skip


def comparable(value):
    """The same with vectors as bytes: arrays do not compare to one truth."""
    if isinstance(value, (list, tuple)):
        return [comparable(one) for one in value]
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.tobytes()
    if getattr(value, "vector", None) is not None:
        return replace(value, vector=None), comparable(value.vector)
    return value


@given(RECORDS)
def test_a_record_comes_back_from_its_fields_which_are_plain_json(record):
    stored = json.loads(json.dumps(to_fields(record)))
    assert comparable(to_record(stored, record.vector)) == comparable(record)
    assert record.deleted == (stored["kind"] == "tombstone")


@given(PAYLOADS, TEXT)
def test_fields_that_a_reader_does_not_know_are_ignored_and_missing_ones_take_their_default(payload, extra):
    stored = to_fields(IndexRecord("a", 1, payload)) | {"of a later version": extra}
    for missing in ("complete", "posted_at"):
        stored.pop(missing, None)
    assert to_record(stored, None).payload == replace(payload, complete=False, posted_at="")


@given(st.lists(RECORDS, max_size=4), st.lists(OFFSETS, max_size=2), st.lists(HITS, max_size=3),
       CONDITIONS, st.none() | TEXT, VECTORS)  # fmt: skip
def test_calls_and_answers_come_through_as_they_were_to_the_bit(records, offsets, hits, filters, cursor, vector):
    document = [[records, offsets, 7, vector], {"tags": filters, "with_vectors": True}, [hits, cursor]]
    (arguments, options, answer) = unpack(pack(document))
    assert comparable(arguments) == comparable(document[0])
    assert comparable(answer) == comparable(document[2])
    assert options == document[1]
    assert all(type(one) is IndexRecord for one in arguments[0])
