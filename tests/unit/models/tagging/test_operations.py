"""Operations on tags as they are served: in deltas, and as good as learning the changed log from the beginning."""

import dataclasses

import numpy as np

from models.evaluate import average_precision
from models.quantise import dequantise
from models.tagging.examples import Example, OperationRow, TagOperation
from models.tagging.memory.chunks import CHUNK
from models.tagging.memory.images import ImageMemory
from models.tagging.memory.implications import ancestors
from models.tagging.memory.sufficient_statistics import SufficientStatistics
from models.tagging.operations import TagOperations
from models.tagging.serving.catalogue import TagCatalogue
from models.tagging.serving.delta import decode, encode
from models.tagging.tagger import Tagger
from tests.digests import exact_digest
from tests.tagged_images import DIMENSION, images, learner

PARTS = ("tag 1", "tag 2", "tag 3")
MERGE = TagOperation("m", "merge", PARTS, "whole")


def merged_log(log: list[Example]) -> list[Example]:
    """The log as it would be had everybody written `whole`."""
    return [
        dataclasses.replace(example, added=tuple("whole" if tag in PARTS else tag for tag in example.added))
        for example in log
    ]


def test_average_precision_after_a_merge_is_that_of_relearning_from_the_merged_log() -> None:
    operated, relearned = learner(1200), Tagger(dimension=DIMENSION, neighbours=8, max_exemplars=2 * CHUNK)
    operated.learn_many([MERGE], operated.next_position)
    relearned.learn_many(merged_log(images(0, 1200, 12)), 0)
    held_out = merged_log(images(3, 300, 12))
    truth = np.array(["whole" in example.added for example in held_out])
    queries = np.stack([dequantise(example.vector) for example in held_out if example.vector is not None])
    one, other = operated.predictor(), relearned.predictor()
    assert exact_digest(operated) == exact_digest(relearned)
    weights = [predictor.catalogue.weights("whole") for predictor in (one, other)]
    assert np.allclose(*weights, atol=1e-6)
    by_ridge = [average_precision(truth, queries @ of_tag) for of_tag in weights]
    by_all = [average_precision(truth, predictor.score("whole", queries)) for predictor in (one, other)]
    assert abs(by_ridge[0] - by_ridge[1]) < 1e-9
    assert abs(by_all[0] - by_all[1]) < 0.02  # calibrators remember what they were trained on
    assert min(by_all) > truth.mean() + 0.2


def test_a_delta_carries_what_came_of_operations() -> None:
    tagger = learner()
    base = tagger.snapshot(wait=True)
    split = TagOperation("s", "split", ("tag 5",), "tag 50", images=tuple(f"0/{i}" for i in range(400)))
    tagger.learn_many([MERGE, split], tagger.next_position)
    then = tagger.snapshot(wait=True)
    tagger.learn_many(
        [TagOperation("u", "undo", target="m"), TagOperation("x", "forget", ("no",))], tagger.next_position
    )
    now = tagger.snapshot(wait=True)
    assert [row.outcome for row in now.operations[:3]] == ["undone", "done", "done"]
    assert now.operations[0] == OperationRow("m", "merge", PARTS, "whole", "undone", False)
    assert len(now.operations[1].moved) == TagCatalogue(then).tag("tag 50").count > 0
    assert "expected" in now.operations[3].outcome
    for old in (base, then, None):
        assert decode(encode(now, old), old).operations == now.operations


def test_what_an_undo_needs_beside_is_no_operation_of_anybody() -> None:
    tagger = learner()
    log = [
        TagOperation("f", "forget", ("tag 1",)),
        Example("new", None, ("tag 1",)),
        TagOperation("u", "undo", target="f"),
    ]
    tagger.learn_many(log, tagger.next_position)
    assert [row.operation_id for row in tagger.snapshot(wait=True).operations] == ["f", "u"]


def test_implications_of_ten_thousand_tags_are_served_as_as_many_pairs_and_made_again_only_on_change() -> None:
    chain = [(f"tag {n}", f"tag {n + 1}") for n in range(2_000)]
    star = [(f"tag {n}", "tag 9999") for n in range(3_000, 5_000)]
    operations = of_tags(10_000)
    for number, (tag, implied) in enumerate([*chain, *star]):
        operations.apply(TagOperation(f"{number}", "imply", (tag,), implied), number)
    pairs = operations.implied()
    assert len(pairs) == 4_000
    assert ancestors(pairs, 2_000) == set(range(2_000))
    assert operations.implied() is pairs
    operations.apply(TagOperation("undo", "undo", target="1000"), 4_000)
    assert ancestors(operations.implied(), 2_000) == set(range(1_001, 2_000))


def of_tags(count: int) -> TagOperations:
    """Of so many tags on no image; the row of `tag 7` is 7."""
    statistics = SufficientStatistics(DIMENSION, ImageMemory.in_memory(), 10)
    for number in range(count):
        statistics.vocabulary.row(f"tag {number}", 0)
    return TagOperations(statistics)


def test_an_undone_split_leaves_no_name_of_its_own() -> None:
    tagger = learner()
    before = {row.name for row in tagger.predictor().catalogue.tags()}
    split = TagOperation("s", "split", ("tag 5",), "tag 6", images=tuple(f"0/{i}" for i in range(400)))
    tagger.learn_many([split, TagOperation("u", "undo", target="s")], tagger.next_position)
    after = tagger.predictor().catalogue
    assert {row.name for row in after.tags()} == before
    assert after.snapshot.known == len(before)


def test_splits_of_splits_may_be_undone_in_any_order() -> None:
    some = tuple(f"0/{i}" for i in range(400))
    first = TagOperation("1", "split", ("tag 5",), "tag 50", images=some)
    second = TagOperation("2", "split", ("tag 50",), "tag 51", images=some[::2])
    before = exact_digest(learner())
    for order in (("1", "2"), ("2", "1")):
        tagger = learner()
        undone = [TagOperation(f"undo {target}", "undo", target=target) for target in order]
        tagger.learn_many([first, second, undone[0]], tagger.next_position)
        assert exact_digest(tagger) != before
        tagger.learn_many([undone[1]], tagger.next_position)
        assert exact_digest(tagger) == before
        assert not [row.name for row in tagger.predictor().catalogue.tags() if row.name.startswith("\0")]
