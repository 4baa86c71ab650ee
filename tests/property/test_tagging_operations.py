"""Laws of operations on tags: relearning from the changed log gives the same sums, and undo leaves no trace."""

import dataclasses
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.tagging.examples import Example, TagOperation
from models.tagging.store import TaggerStore
from tests.digests import all_images, digest, exact_digest
from tests.property.test_tagging_laws import TAGS, VECTORS, logs, plain_log, small


def renamed(log: list[Example], into: str, *tags: str) -> list[Example]:
    def of(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(into if name in tags else name for name in names)

    return [dataclasses.replace(example, added=of(example.added), removed=of(example.removed)) for example in log]


TAG_OPERATIONS = [
    TagOperation("s", "merge", ("cat", "dog"), "animal"),
    TagOperation("s", "merge", ("cat",), "dog"),
    TagOperation("s", "rename", ("cat",), "feline"),
    TagOperation("s", "alias", ("kitty", "cat"), "猫"),
    TagOperation("s", "forget", ("cat", "tree")),
    TagOperation("s", "imply", ("cat",), "animal"),
    TagOperation("s", "split", ("cat",), "lynx", images=tuple(f"image {i}" for i in range(6))),
]


@settings(max_examples=30, deadline=None)
@given(logs(), logs())
def test_a_merge_equals_relearning_from_the_merged_log(before: list[Example], after: list[Example]) -> None:
    after = renamed(after, "animal", "cat", "dog")  # of a name merged away, "take off" means the merged tag
    merged, relearned = small(), small()
    merged.learn_many([Example("x", VECTORS[0], ("cat", "dog")), *before, TAG_OPERATIONS[0], *after], 0)
    relearned.learn_many([Example("x", VECTORS[0], ("animal",)), *_kept(before), *after], 0)
    assert exact_digest(merged) == exact_digest(relearned)


def _kept(log: list[Example]) -> list[Example]:
    """What a log of cat and dog leaves on each image, said in the merged tag."""
    learner = small()
    learner.learn_many(log, 0)
    names = learner.statistics.vocabulary.names
    return renamed([state.example(names) for state in all_images(learner)], "animal", "cat", "dog")


@pytest.mark.parametrize("operation", TAG_OPERATIONS, ids=lambda operation: operation.kind)
@settings(max_examples=12, deadline=None)
@given(log=logs(), later=logs(12))
def test_undo_leaves_no_trace(operation: TagOperation, log: list[Example], later: list[Example]) -> None:
    later = [dataclasses.replace(example, removed=()) for example in later]
    all_used = Example("x", VECTORS[0], ("cat", "dog", "猫", "tree"))
    operated, plain = small(), small()
    plain.learn_many([all_used, *log, *later], 0)
    operated.learn_many([all_used, *log, operation, *later, TagOperation("u", "undo", target="s")], 0)
    assert operated.operations.by_id["s"].outcome == "undone"
    assert exact_digest(operated) == exact_digest(plain)


@pytest.mark.parametrize("operation", TAG_OPERATIONS, ids=lambda operation: operation.kind)
def test_an_undone_operation_changes_no_prediction(operation: TagOperation) -> None:
    log = [*plain_log(5, 200), Example("image 1", VECTORS[1], ("cat",))]
    operated, plain = small(), small()
    plain.learn_many(log, 0)
    operated.learn_many([*log, operation, TagOperation("u", "undo", target="s")], 0)
    queries = VECTORS[:10].astype(np.float32) / 32767
    predicted = [learner.predictor().predict(queries, 10) for learner in (plain, operated)]
    for one, other in zip(*(map(dict, of_all) for of_all in predicted), strict=True):
        # a split leaves a row of its own, and a product of more rows may round otherwise on some processors
        assert other == pytest.approx(one, abs=1e-6)


@settings(max_examples=20, deadline=None)
@given(logs(), st.sampled_from(TAG_OPERATIONS), logs(), st.data())
def test_batches_and_restarts_change_no_bit(
    before: list[Example], operation: TagOperation, after: list[Example], data: st.DataObject
) -> None:
    log = [*before, operation, *after, TagOperation("u", "undo", target="s")]
    whole = small()
    whole.learn_many(log, 0)
    cut = data.draw(st.integers(0, len(log)))
    with tempfile.TemporaryDirectory() as folder:
        for start, stop in ((0, cut), (cut, len(log))):
            store = TaggerStore(Path(folder) / "tags.db", small())
            tagger, _ = store.open()
            tagger.learn_many(log[start:stop], start)
            store.checkpoint({})
            assert stop < len(log) or digest(tagger) == digest(whole)
            store.close()


def test_a_merged_tag_ranks_like_a_relearned_one() -> None:
    log = plain_log(2, 300)
    merged, relearned = small(), small()
    merged.learn_many([*log, TAG_OPERATIONS[0]], 0)
    relearned.learn_many(renamed(log, "animal", "cat", "dog"), 0)
    one, other = merged.predictor().catalogue, relearned.predictor().catalogue
    assert np.allclose(one.weights("animal"), other.weights("animal"), atol=1e-6)
    assert np.array_equal(one.weights("CAT"), one.weights("animal"))
    assert [row.name for row in one.tags()].count("cat") == 0


@pytest.mark.parametrize(
    "operation",
    [
        TagOperation("s", "merge", ("never used", "cat"), "x"),
        TagOperation("s", "undo", target="nothing"),
        TagOperation("s", "rename", ("cat",), "\0"),
        TagOperation("s", "forget", ()),
    ],
)
def test_what_cannot_be_done_is_refused_and_changes_nothing(operation: TagOperation) -> None:
    learner = small()
    learner.learn_many([Example("a", VECTORS[0], (TAGS[0],))], 0)
    before = exact_digest(learner)
    learner.learn_many([operation], 1)
    assert not learner.operations.by_id["s"].active
    assert "expected" in learner.operations.by_id["s"].outcome
    assert exact_digest(learner) == before
    learner.learn_many([Example("a", None, (TAGS[1],))], 2)


def test_other_names_of_a_forgotten_tag_come_back_with_it() -> None:
    learner = small()
    log = [Example("a", VECTORS[0], ("cat",)), TagOperation("k", "alias", ("kitty",), "cat")]
    learner.learn_many([*log, TagOperation("f", "forget", ("cat",)), TagOperation("u", "undo", target="f")], 0)
    learner.learn_many([Example("b", VECTORS[1], ("kitty",))], 4)
    assert [(row.name, row.count) for row in learner.predictor().catalogue.tags()] == [("cat", 2)]


def test_a_forgotten_tag_begins_anew_and_comes_back_with_undo() -> None:
    learner = small()
    learner.learn_many([Example("a", VECTORS[0], ("cat",)), TagOperation("f", "forget", ("cat",))], 0)
    assert learner.statistics.sums.images == 0
    assert not learner.predictor().catalogue.tags()
    learner.learn_many([Example("b", VECTORS[1], ("cat",))], 2)
    assert [(row.name, row.count) for row in learner.predictor().catalogue.tags()] == [("cat", 1)]
    learner.learn_many([TagOperation("u", "undo", target="f")], 3)
    assert [(row.name, row.count) for row in learner.predictor().catalogue.tags()] == [("cat", 2)]
