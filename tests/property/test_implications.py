"""Implications: one pass over the ordered pairs is the transitive closure, and there are few pairs."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.tagging.memory.implications import Pair, ancestors, circle_through, in_one_pass

TAGS = range(9)
GRAPHS = st.sets(st.tuples(st.sampled_from(TAGS), st.sampled_from(TAGS)).filter(lambda pair: pair[0] != pair[1]))


def closure(pairs: set[Pair]) -> set[Pair]:
    """By definition: the smallest transitive relation that holds the pairs."""
    closed = set(pairs)
    while further := {(a, d) for a, b in closed for c, d in pairs if b == c} - closed:
        closed |= further
    return closed


@given(GRAPHS, st.lists(st.floats(0, 1), min_size=len(TAGS), max_size=len(TAGS)))
def test_one_pass_carries_every_probability_as_far_as_the_closure(pairs: set[Pair], before: list[float]) -> None:
    closed, after = closure(pairs), list(before)
    for tag, implied in in_one_pass(pairs):
        after[implied] = max(after[implied], after[tag])
    assert after == [max([before[t], *(before[a] for a, b in closed if b == t)]) for t in TAGS]


@given(GRAPHS)
def test_ancestors_are_all_that_imply_a_tag(pairs: set[Pair]) -> None:
    closed, ordered = closure(pairs), in_one_pass(pairs)
    for tag in TAGS:
        assert ancestors(ordered, tag) == {a for a, b in closed if b == tag} - {tag}


@given(GRAPHS)
def test_a_circle_is_found_through_every_tag_that_is_on_one_and_through_no_other(pairs: set[Pair]) -> None:
    direct = {tag: {b for a, b in pairs if a == tag} for tag, _ in pairs}
    for tag in TAGS:
        way = circle_through(tag, direct)
        assert bool(way) == ((tag, tag) in closure(pairs))
        assert not way or way[0] == way[-1] == tag
        assert set(pairwise(way)) <= pairs


CHAIN = {(tag, tag + 1) for tag in range(2000)}
STAR = {(tag, 9_999) for tag in range(2000)}
CIRCLE = {(tag, (tag + 1) % 2000) for tag in range(2000)}


@pytest.mark.parametrize(
    ("pairs", "count"), [(CHAIN, 2000), (STAR, 2000), (CIRCLE, 2 * 1999)], ids=["chain", "star", "circle"]
)
def test_pairs_grow_with_the_implications_and_not_with_their_square(pairs: set[Pair], count: int) -> None:
    assert len(in_one_pass(pairs)) == count
