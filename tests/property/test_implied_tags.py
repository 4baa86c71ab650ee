"""Laws of implications among operations: none closes a circle, and what follows from tags is counted exactly."""

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.tagging.examples import Example, TagOperation
from models.tagging.memory.implications import circle_through
from models.tagging.store import TaggerStore
from models.tagging.tagger import Tagger
from tests.digests import all_images
from tests.property.test_tagging_laws import TAGS, VECTORS, logs, plain_log, small

IMPLIED = TagOperation("cat", "imply", ("cat",), "animal")
CHAIN = (IMPLIED, TagOperation("animal", "imply", ("animal",), "being"))


@pytest.mark.parametrize(
    ("before", "operation", "circle"),
    [
        ((IMPLIED,), TagOperation("s", "imply", ("animal",), "cat"), "animal -> cat -> animal"),
        (CHAIN, TagOperation("s", "imply", ("being",), "Cat"), "being -> cat -> animal -> being"),
        (CHAIN, TagOperation("s", "merge", ("cat", "being"), "thing"), "thing -> animal -> thing"),
        (CHAIN, TagOperation("s", "alias", ("being", "new word"), "cat"), "cat -> animal -> cat"),
        (CHAIN, TagOperation("s", "rename", ("being",), "cat"), "cat -> animal -> cat"),
        (
            (TagOperation("k", "alias", ("kitty",), "cat"),),
            TagOperation("s", "imply", ("kitty",), "cat"),
            "cat -> cat",
        ),
        (
            (IMPLIED, TagOperation("f", "forget", ("animal",)), TagOperation("i", "imply", ("cat",), "pet"),
             Example("b", VECTORS[1], ("animal",)), TagOperation("p", "imply", ("animal",), "cat")),
            TagOperation("s", "undo", target="f"),
            "animal -> cat -> animal",
        ),
    ],
    ids=["imply", "chain", "merge", "alias", "rename", "alias of itself", "undo of forget"],
)  # fmt: skip
def test_what_would_close_a_circle_of_implications_is_refused_with_the_way(
    before: tuple[Example | TagOperation, ...], operation: TagOperation, circle: str
) -> None:
    learner = small()
    learner.learn_many([Example("a", VECTORS[0], ("cat", "animal", "being")), *before], 0)
    names, implied = list(learner.statistics.vocabulary.names), learner.operations.implied()
    learner.learn_many([operation], 100)
    refused = learner.operations.by_id["s"]
    assert (refused.active, refused.outcome) == (
        False, f"implications {circle}: expected no circle; undo one of them first"
    )  # fmt: skip
    assert learner.operations.implied() == implied
    assert learner.statistics.vocabulary.names == names


def test_an_implication_between_tags_that_become_one_says_nothing_until_they_are_two_again() -> None:
    learner = small()
    merge = TagOperation("m", "merge", ("cat",), "animal")
    learner.learn_many([Example("a", VECTORS[0], ("cat", "animal")), IMPLIED, merge], 0)
    assert learner.operations.by_id["m"].active and learner.operations.implied() == ()
    learner.learn_many([TagOperation("u", "undo", target="m")], 3)
    assert learner.operations.implied() == ((0, 1),)


implications = st.builds(
    TagOperation, st.just(""), st.sampled_from(["imply", "imply", "merge", "rename", "alias"]),
    st.sampled_from(TAGS).map(lambda tag: (tag,)), st.sampled_from(TAGS),
)  # fmt: skip
forgotten = st.builds(TagOperation, st.just(""), st.just("forget"), st.sampled_from(TAGS).map(lambda tag: (tag,)))
taken_back = st.builds(TagOperation, st.just(""), st.just("undo"), target=st.integers(0, 12).map(str))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(implications, implications, forgotten, taken_back), max_size=14))
def test_no_operations_whatever_leave_a_circle_of_implications(operations: list[TagOperation]) -> None:
    learner = small()
    learner.learn_many([Example("a", VECTORS[0], TAGS)], 0)
    for number, one in enumerate(operations):
        named = dataclasses.replace(one, operation_id=str(number))
        learner.learn_many([named, Example("a", VECTORS[0], TAGS)], 10 * (number + 1))
        pairs = learner.operations.implied()
        direct = {tag: {b for a, b in pairs if a == tag} for tag, _ in pairs}
        assert not [way for tag in direct if (way := circle_through(tag, direct))]


def carrying(learner: Tagger) -> dict[str, int]:
    """By tag, the distinct images that carry it by themselves or by implication, counted image by image."""
    names, counts = learner.statistics.vocabulary.names, Counter[str]()
    for state in all_images(learner):
        carried = set(learner.statistics.tags_of(state)) if state.labelled else set()
        for tag, into in learner.operations.implied():
            carried |= {into} if tag in carried else set()
        counts.update(names[row] for row in carried)
    return counts


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(logs(6), implications.map(lambda one: [one]), taken_back.map(lambda one: [one])), max_size=8))
def test_images_that_carry_a_tag_are_counted_once_whatever_comes_between(
    parts: list[list[Example | TagOperation]],
) -> None:
    learner = small()
    learner.learn_many([Example("a", VECTORS[0], TAGS)], 0)
    for number, part in enumerate(parts):
        for at, one in enumerate(part, 100 * (number + 1)):
            named = dataclasses.replace(one, operation_id=str(number)) if isinstance(one, TagOperation) else one
            learner.learn_many([named], at)
        snapshot = learner.snapshot(wait=True)
        served = zip(snapshot.names, snapshot.columns.carried.tolist(), snapshot.columns.hidden, strict=True)
        assert {name: count for name, count, hidden in served if count and not hidden} == carrying(learner)


def test_counts_by_implication_are_the_same_after_a_restart(tmp_path: Path) -> None:
    store = TaggerStore(tmp_path / "tags.db", small())
    tagger, _ = store.open()
    tagger.learn_many([*plain_log(2, 100), IMPLIED, TagOperation("b", "imply", ("dog",), "animal")], 0)
    before = tagger.snapshot(wait=True).columns.carried
    store.checkpoint({})
    store.close()
    tagger, _ = TaggerStore(tmp_path / "tags.db", small()).open()
    after = tagger.snapshot(wait=True)
    assert after.columns.carried.tolist() == before.tolist()
    assert (after.columns.carried > after.columns.counts).any()


def test_implied_tags_are_never_less_probable() -> None:
    learner = small()
    learner.learn_many([*plain_log(2, 100), TagOperation("a", "imply", ("cat",), "animal")], 0)
    learner.learn_many([TagOperation("b", "imply", ("animal",), "being")], 101)
    predictor = learner.predictor()
    queries = VECTORS[:20].astype(np.float32) / 32767
    probabilities = predictor.probabilities(queries)
    cat, animal, being = (predictor.catalogue.row(tag) for tag in ("cat", "animal", "being"))
    assert (probabilities[:, animal] >= probabilities[:, cat]).all()
    assert (probabilities[:, being] >= probabilities[:, cat]).all()
    assert np.allclose(predictor.score("being", queries), probabilities[:, being], atol=1e-6)
