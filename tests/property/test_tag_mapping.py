"""What rows count for: an operation edits the mapping to what all operations in force would make from nothing."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.tagging.examples import Example, TagOperation
from models.tagging.memory.images import ImageMemory
from models.tagging.memory.mapping import NOTHING, TagMapping
from models.tagging.memory.sufficient_statistics import SufficientStatistics
from models.tagging.operations import TagOperations

TAGS = ["a", "b", "c", "d", "e"]
NAMES = st.sampled_from([*TAGS, "new"])
ROWS = range(7)


def operations_on(images: int) -> tuple[TagOperations, SufficientStatistics]:
    """None carried out yet; every image carries two of the tags."""
    statistics = SufficientStatistics(2, ImageMemory.in_memory(), 10)
    vector = np.array([1, 2], np.int16)
    statistics.apply([Example(f"{n}", vector, (TAGS[n % 5], TAGS[(n + 2) % 5])) for n in range(images)], 0)
    return TagOperations(statistics), statistics


ASKED = st.one_of(
    st.tuples(st.sampled_from(["merge", "forget"]), st.lists(NAMES, min_size=1, max_size=2, unique=True), NAMES),
    st.tuples(st.sampled_from(["rename", "split", "imply"]), st.lists(NAMES, min_size=1, max_size=1), NAMES),
    st.tuples(st.just("alias"), st.lists(NAMES | st.just("other"), min_size=1, max_size=2, unique=True), NAMES),
    st.tuples(st.just("undo"), st.integers(0, 9), st.just("")),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(ASKED, min_size=1, max_size=10))
def test_an_edited_mapping_is_the_one_made_from_nothing(log: list[tuple[str, object, str]]) -> None:
    operations, statistics = operations_on(6)
    for number, (kind, tags, into) in enumerate(log):
        if kind == "undo":
            asked = TagOperation(f"{number}", "undo", target=f"{tags}")
        else:
            asked = TagOperation(f"{number}", kind, tuple(tags), into, images=("0", "1", "2"))
        operations.apply(asked, number)
        assert dict(statistics.mapping) == dict(operations.mapping())


@given(st.lists(st.tuples(st.lists(st.sampled_from(ROWS), min_size=1, max_size=3), st.sampled_from([*ROWS, NOTHING]))))
def test_moving_rows_is_replacing_what_they_count_for(moves: list[tuple[list[int], int]]) -> None:
    mapping, plain = TagMapping(), list(ROWS)
    for rows, into in moves:
        target = NOTHING if into == NOTHING else plain[into]
        sources = {plain[row] for row in rows} - {NOTHING}
        mapping.move(rows, target)
        plain = [target if at in sources else at for at in plain]
        assert [mapping.of(row) for row in ROWS] == plain
        assert mapping.tags(tuple(ROWS)) == tuple(sorted(set(plain) - {NOTHING}))
        for row in ROWS:
            company = {other for other in ROWS if plain[other] == plain[row] != NOTHING}
            assert mapping.members([row]) == company
    assert dict(TagMapping(mapping)) == dict(mapping)
    assert TagMapping().differing(mapping) == {row for row in ROWS if plain[row] != row}
