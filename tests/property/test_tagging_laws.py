"""Laws of the tag learner: what it knows is a function of the log, to the bit."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import UsageError
from models.quantise import quantise
from models.tagging.calibration import schedule
from models.tagging.calibration.schedule import SLOW_MS, Stage
from models.tagging.examples import Example, TagOperation
from models.tagging.memory.exemplars import image_hash
from models.tagging.store import TaggerStore
from models.tagging.tagger import Tagger
from tests.digests import all_images, digest, exact_digest

DIMENSION = 8
TAGS = ["cat", "dog", "猫", "red panda", "👩‍👩‍👧‍👦", "tree"]
_random = np.random.default_rng(7)
_points = _random.standard_normal((40, DIMENSION)).astype(np.float32)
VECTORS = quantise(_points / np.linalg.norm(_points, axis=1, keepdims=True))


def small() -> Tagger:
    return Tagger(dimension=DIMENSION, neighbours=5, max_exemplars=12)


def tag_sets() -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(TAGS), max_size=3, unique=True).map(tuple)


@st.composite
def logs(draw: st.DrawFn, max_size: int = 40) -> list[Example]:
    """Any log over twelve images: tags put on and off, pictures replaced, images deleted and posted again."""
    log = []
    for _ in range(draw(st.integers(1, max_size))):
        image = draw(st.integers(0, 11))
        vector = VECTORS[draw(st.integers(0, len(VECTORS) - 1))] if draw(st.booleans()) else None
        complete = draw(st.sampled_from([None, None, True, False]))
        deleted = draw(st.integers(0, 9)) == 0
        log.append(Example(f"image {image}", vector, draw(tag_sets()), draw(tag_sets()), complete, deleted))
    return log


def plain_log(seed: int, size: int) -> list[Example]:
    """Images tagged once each, with tags that follow from the vector."""
    random = np.random.default_rng(seed)
    points = random.standard_normal((size, DIMENSION)).astype(np.float32)
    vectors = quantise(points / np.linalg.norm(points, axis=1, keepdims=True))
    return [
        Example(f"{seed}/{i}", vectors[i], tuple(TAGS[t] for t in range(5) if points[i, t] > 0.8) or (TAGS[5],))
        for i in range(size)
    ]


def batches(log: list[Any], data: st.DataObject) -> Iterator[tuple[int, list[Any]]]:
    """The log cut anywhere, each piece with its position."""
    position = 0
    while position < len(log):
        step = data.draw(st.integers(1, len(log)))
        yield position, log[position : position + step]
        position += step


@settings(max_examples=40, deadline=None)
@given(logs(), st.data())
def test_arrival_batches_change_no_bit(log: list[Example], data: st.DataObject) -> None:
    whole, parts = small(), small()
    whole.learn_many(log, 0)
    for position, batch in batches(log, data):
        parts.learn_many(batch, position)
    assert digest(whole) == digest(parts)


@settings(max_examples=4, deadline=None)
@given(st.lists(st.integers(1, 150), min_size=1, max_size=4), st.integers(0, 3))
def test_restarts_and_batches_change_no_bit_of_calibrators_either(cuts: list[int], seed: int) -> None:
    log = plain_log(seed, 300)
    whole = small()
    whole.learn_many(log, 0)
    with tempfile.TemporaryDirectory() as folder:
        path, position = Path(folder) / "tags.db", 0
        for step in [*cuts, len(log)]:
            store = TaggerStore(path, small())
            tagger, _ = store.open()
            tagger.learn_many(log[position : position + step], position)
            position = min(position + step, len(log))
            store.checkpoint({"examples": position})
            store.close()
        store = TaggerStore(path, small())
        tagger, offsets = store.open()
        assert offsets == {"examples": len(log)}
        assert digest(tagger) == digest(whole)
        assert tagger.quality() == whole.quality()
        store.close()
    assert whole.metrics.images > 0


@settings(max_examples=6, deadline=None)
@given(st.data(), st.integers(0, 3))
def test_a_slow_log_is_cut_the_same_in_any_batches(data: st.DataObject, seed: int) -> None:
    times = np.cumsum(np.random.default_rng(seed).integers(0, SLOW_MS // 8, 300)).tolist()
    log: list[Example | TagOperation] = [
        replace(e, time_ms=t) for e, t in zip(plain_log(seed, 300), times, strict=True)
    ]
    log.insert(150, TagOperation("s", "rename", ("cat",), "kitty"))
    with mock.patch.multiple(schedule, STAGES=(Stage(0, 8, 4), Stage(32, 120, 6)), SLOW=12):
        whole, parts = small(), small()
        whole.learn_many(log, 0)
        for position, batch in batches(log, data):
            parts.learn_many(batch, position)
    assert digest(whole) == digest(parts)
    assert whole.metrics.images > 4 * 4 + 3 * 6  # more samples than positions alone give


@settings(max_examples=40, deadline=None)
@given(logs(), st.data())
def test_records_that_come_again_are_learned_once(log: list[Example], data: st.DataObject) -> None:
    once, twice = small(), small()
    once.learn_many(log, 100)
    stop = data.draw(st.integers(1, len(log)))
    twice.learn_many(log[:stop], 100)
    back = data.draw(st.integers(0, stop))
    assert twice.learn_many(log[back:], 100 + back) == len(log) - stop
    assert digest(once) == digest(twice)


@settings(max_examples=40, deadline=None)
@given(st.permutations(plain_log(1, 20)))
def test_any_order_gives_the_same_sums(log: list[Example]) -> None:
    one, other = small(), small()
    one.learn_many(plain_log(1, 20), 0)
    other.learn_many(log, 0)
    assert exact_digest(one) == exact_digest(other)


@settings(max_examples=60, deadline=None)
@given(logs())
def test_state_is_that_of_the_images_as_they_are_now(log: list[Example]) -> None:
    """Whatever happened on the way, the sums are those of a learner shown only the final picture of each image."""
    learner, fresh = small(), small()
    learner.learn_many(log, 0)
    names = learner.statistics.vocabulary.names
    fresh.learn_many([state.example(names) for state in all_images(learner) if state.labelled], 0)
    assert exact_digest(learner) == exact_digest(fresh)


@settings(max_examples=40, deadline=None)
@given(logs(), st.lists(st.integers(0, 39), min_size=1, max_size=8, unique=True))
def test_deleting_images_leaves_no_trace(log: list[Example], extra: list[int]) -> None:
    with_them, without = small(), small()
    without.learn_many(log, 0)
    guests = [Example(f"guest {i}", VECTORS[i], ("cat", "guest")) for i in extra]
    with_them.learn_many(guests[: len(guests) // 2] + log + guests[len(guests) // 2 :], 0)
    with_them.learn_many([Example(guest.image_id, deleted=True) for guest in guests], 100)
    assert exact_digest(with_them) == exact_digest(without)


@settings(max_examples=30, deadline=None)
@given(logs(), st.lists(st.integers(0, 2), min_size=3, max_size=12))
def test_shards_absorbed_in_any_order_are_the_whole(log: list[Example], shard_of: list[int]) -> None:
    whole = small()
    whole.learn_many(log, 0)
    shards = [small() for _ in range(3)]
    for position, example in enumerate(log):
        shard = shards[shard_of[int(example.image_id.removeprefix("image ")) % len(shard_of)]]
        shard.learn_many([example], position)
    for order in ((0, 1, 2), (2, 0, 1)):
        absorbed = small()
        for index in order:
            absorbed.absorb(shards[index])
        assert exact_digest(absorbed) == exact_digest(whole)


def test_a_shard_with_operations_is_refused() -> None:
    shard = small()
    shard.learn_many([Example("a", VECTORS[0], ("cat",)), TagOperation("s", "rename", ("cat",), "kitty")], 0)
    with pytest.raises(UsageError, match="absorb first"):
        small().absorb(shard)


@settings(max_examples=40, deadline=None)
@given(logs(), st.integers(0, 11))
def test_a_tag_put_on_and_taken_off_leaves_no_trace(log: list[Example], image: int) -> None:
    learner = small()
    learner.learn_many(log, 0)
    before = exact_digest(learner)
    learner.learn_many([Example(f"image {image}", added=("nova",))], 100)
    learner.learn_many([Example(f"image {image}", removed=("nova",))], 101)
    assert exact_digest(learner) == before


def test_exemplars_are_the_smallest_hashes_however_pushing_out_and_leaving_fall_together() -> None:
    """In one batch images push others out of a set that was not full, and one leaves: a pushed one comes back."""
    learners = small(), small()
    log = [Example(f"image {i}", VECTORS[i], ("cat",)) for i in range(10)]
    for learner in learners:
        learner.learn_many(log, 0)
    smallest = min(range(10), key=lambda i: image_hash(f"image {i}"))
    more = [
        *(Example(f"image {i}", VECTORS[i], ("cat",)) for i in range(10, 20)),
        Example(f"image {smallest}", deleted=True),
    ]
    learners[0].learn_many(more, 10)
    for at, example in enumerate(more, 10):
        learners[1].learn_many([example], at)
    assert len(learners[0].statistics.exemplars) == 12
    assert exact_digest(learners[0]) == exact_digest(learners[1])
