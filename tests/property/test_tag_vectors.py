"""The vocabulary of exports: ids never move, whatever is done to tags later, and later records change no value."""

from collections.abc import Iterator, Sequence
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.tagging.examples import Example, TagOperation
from models.tagging.tag_vectors import TagColumn, TagVectors
from models.tagging.tagger import Tagger
from tests.property.test_tagging_laws import DIMENSION, VECTORS, logs
from tests.property.test_tagging_operations import TAG_OPERATIONS

UNDO = TagOperation("u", "undo", target="s")


@pytest.fixture(autouse=True, scope="module")
def often() -> Iterator[None]:
    """Look at the budget after every fourth record, so that rows change hands."""
    with patch("models.tagging.tagger.EVERY", 4):
        yield


def learned(log: Sequence[Example | TagOperation], max_tags: int) -> Tagger:
    tagger = Tagger(dimension=DIMENSION, neighbours=5, max_exemplars=12, max_tags=max_tags)
    tagger.learn_many(log, 0)
    return tagger


def places(columns: Sequence[TagColumn]) -> list[tuple[int, str, int]]:
    return [(column.id, column.name, column.first_seen) for column in columns]


@settings(max_examples=40, deadline=None)
@given(logs(40), st.sampled_from(TAG_OPERATIONS), st.integers(2, 6), st.data())
def test_the_vocabulary_of_a_prefix_begins_that_of_the_whole(
    log: list[Example], operation: TagOperation, max_tags: int, data: st.DataObject
) -> None:
    at, undone = sorted(data.draw(st.integers(0, len(log))) for _ in range(2))
    whole = [*log[:at], operation, *log[at:undone], UNDO, *log[undone:]]
    cut = data.draw(st.integers(0, len(whole)))
    before, after = (TagVectors(learned(part, max_tags)).columns for part in (whole[:cut], whole))
    assert places(after)[: len(before)] == places(before)
    assert [column.id for column in after] == list(range(len(after)))
    assert len({(column.name, column.first_seen) for column in after}) == len(after)


@settings(max_examples=25, deadline=None)
@given(logs(40), st.sampled_from(TAG_OPERATIONS))
def test_a_column_says_what_its_word_counts_for(log: list[Example], operation: TagOperation) -> None:
    tagger = learned([*log, operation], 100)
    vectors = TagVectors(tagger)
    found = {
        image_id: row
        for batch in vectors.batches()
        for image_id, row in zip(batch.image_ids, batch.probabilities, strict=True)
    }
    predictor = tagger.predictor()
    for column in vectors.columns:
        if column.counts_for is None:
            assert all(row[column.id] == 0 for row in found.values())
            continue
        assert vectors.columns[column.counts_for].tag == column.tag
        assert all(row[column.id] == row[column.counts_for] for row in found.values())
        served = predictor.catalogue.row(column.tag)
        assert predictor.snapshot.names[served] == column.tag


def test_a_renamed_word_keeps_its_column_and_a_forgotten_one_is_improbable():
    log = [Example(f"i{n}", VECTORS[n % len(VECTORS)], ("cat" if n % 2 else "dog",)) for n in range(20)]
    before = TagVectors(learned(log, 100))
    after = TagVectors(learned([*log, TagOperation("s", "rename", ("cat",), "feline")], 100))
    named = {column.name: column for column in after.columns}
    assert [column.name for column in before.columns] == ["dog", "cat"]
    assert [column.name for column in after.columns] == ["dog", "cat", "feline"]
    assert (named["cat"].tag, named["cat"].counts_for, named["feline"].counts_for) == ("feline", 2, 2)
    forgotten = TagVectors(learned([*log, TagOperation("s", "forget", ("cat",))], 100))
    assert (forgotten.columns[1].state, forgotten.columns[1].tag) == ("forgotten", "")
    values = np.concatenate([batch.probabilities for batch in forgotten.batches()])
    assert (values[:, 1] == 0).all() and (values[:, 0] > 0).all()


def test_a_cold_tag_keeps_its_id_and_says_so():
    log = [Example(f"i{n}", VECTORS[n % len(VECTORS)], (f"tag {n}",)) for n in range(8)]
    columns = TagVectors(learned(log, 2)).columns
    assert [column.name for column in columns] == [f"tag {n}" for n in range(8)]
    assert {column.state for column in columns} == {"served", "cold"}
