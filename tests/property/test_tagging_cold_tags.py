"""Bounded memory: cold tags wait on disk, lose nothing, and are restored as they were."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.quantise import quantise
from models.tagging.examples import Example, TagOperation
from models.tagging.serving.catalogue import TagCatalogue
from models.tagging.serving.delta import decode, encode
from models.tagging.store import TaggerStore
from models.tagging.tagger import Tagger
from tests.digests import digest, exact_digest
from tests.property.test_tagging_laws import DIMENSION, VECTORS, logs

EVERY = 4


@pytest.fixture(autouse=True, scope="module")
def often() -> Iterator[None]:
    """Look at the budget after every fourth record."""
    with patch("models.tagging.tagger.EVERY", EVERY):
        yield


def learner(max_tags: int) -> Tagger:
    return Tagger(dimension=DIMENSION, neighbours=5, max_exemplars=12, max_tags=max_tags)


def rename_first(log: list[Example]) -> list[Example | TagOperation]:
    middle = len(log) // 2
    return [*log[:middle], TagOperation("s", "rename", ("cat",), "kitty"), *log[middle:]]


@settings(max_examples=60, deadline=None)
@given(logs(60), st.booleans())
def test_a_budget_changes_no_sum(log: list[Example], operated: bool) -> None:
    bounded, free = learner(2), learner(100)
    for one in (bounded, free):
        one.learn_many(rename_first(log) if operated else log, 0)
    assert exact_digest(bounded) == exact_digest(free)


@settings(max_examples=30, deadline=None)
@given(logs(60), st.data())
def test_batches_and_restarts_change_no_bit(log: list[Example], data: st.DataObject) -> None:
    whole = learner(2)
    whole.learn_many(log, 0)
    with tempfile.TemporaryDirectory() as folder:
        path, position = Path(folder) / "tags.db", 0
        while position < len(log):
            step = data.draw(st.integers(1, len(log)))
            store = TaggerStore(path, learner(2))
            tagger, _ = store.open()
            tagger.learn_many(log[position : position + step], position)
            position += step
            store.checkpoint({})
            result = digest(tagger)
            store.close()
    assert result == digest(whole)


def test_what_checkpoints_write_of_changes_is_the_whole_state(tmp_path: Path) -> None:
    """One session with many checkpoints: tags evicted and restored, calibrators of their own, operations, undo."""
    log = [record for start in range(0, 1_200, 60) for record in (*flood(50, start), *flood(10, start // 2))]
    store = TaggerStore(tmp_path / "tags.db", learner(40))
    tagger, _ = store.open()
    for start in range(0, len(log), 60):
        asked = TagOperation(f"o{start}", "rename", (f"only once {start}",), f"kept {start}")
        undo = TagOperation(f"u{start}", "undo", target=f"o{start - 60}")
        tagger.learn_many([*log[start : start + 60], asked, undo], tagger.next_position)
        store.checkpoint({"examples": tagger.next_position})
    written = digest(tagger)
    assert tagger.calibrators.own and len(tagger.cold_tags) > 100
    store.close()
    tagger, offsets = TaggerStore(tmp_path / "tags.db", learner(40)).open()
    assert (digest(tagger), offsets) == (written, {"examples": tagger.next_position})


def test_a_new_name_starts_with_what_was_learned_of_the_old_one_on_a_row_given_again_too() -> None:
    bounded = learner(10)
    bounded.learn_many(flood(200), 0)
    words = bounded.statistics.vocabulary
    assert words.free
    evaluated = bounded.metrics.positives(words.row("often", 0))
    bounded.learn_many([TagOperation("s", "rename", ("often",), "usual")], 200)
    assert bounded.metrics.positives(words.row("usual", 0)) == evaluated > 0


def flood(count: int, start: int = 0) -> list[Example]:
    random = np.random.default_rng(start)
    points = random.standard_normal((count, DIMENSION)).astype(np.float32)
    vectors = quantise(points / np.linalg.norm(points, axis=1, keepdims=True))
    return [Example(f"flood {start + i}", vectors[i], (f"only once {start + i}", "often")) for i in range(count)]


def test_a_flood_is_bounded_and_a_tag_comes_back_as_it_was() -> None:
    bounded, free = learner(50), learner(10_000)
    log = [Example("a", VECTORS[0], ("rare one",)), *flood(1_000)]
    for one in (bounded, free):
        one.learn_many(log, 0)
    assert len(bounded.statistics.vocabulary) <= 50 + EVERY * 2
    assert len(bounded.cold_tags) >= 950
    served, _ = bounded.predictor().catalogue, free.predictor()
    assert "rare one" not in [row.name for row in served.tags()]
    assert served.tag("often").count == 1_000
    for one in (bounded, free):
        one.learn_many([Example("b", VECTORS[1], ("rare one",))], len(log))
    mine, theirs = bounded.predictor().catalogue, free.predictor().catalogue
    assert mine.tag("rare one").count == 2
    assert mine.tag("rare one").first_seen == 0
    assert np.allclose(mine.weights("rare one"), theirs.weights("rare one"), atol=1e-8)


def test_deleting_an_image_takes_its_cold_tags_along() -> None:
    bounded = learner(10)
    bounded.learn_many([Example("a", VECTORS[0], ("rare one",)), *flood(99)], 0)
    assert "rare one" in bounded.cold_tags.sums()
    bounded.learn_many([Example("a", deleted=True)], 100)
    assert bounded.cold_tags.sums().get("rare one", (0,))[0] == 0
    assert bounded.statistics.sums.images == 99


def test_rows_given_again_are_solved_again() -> None:
    bounded = learner(10)
    served = bounded.snapshot(wait=True)
    for start in range(0, 200, 20):
        bounded.learn_many(flood(20, start), start)
        served = decode(encode(bounded.snapshot(), served), served)
    fresh = learner(10_000)
    fresh.learn_many([example for start in range(0, 200, 20) for example in flood(20, start)], 0)
    served = decode(encode(bounded.snapshot(wait=True), served), served)
    ours, whole = TagCatalogue(served), fresh.predictor().catalogue
    for row in ours.tags():
        mine, theirs = ours.weights(row.name), whole.weights(row.name)
        assert np.linalg.norm(mine - theirs) < 0.1 * np.linalg.norm(mine) + 0.01  # the inverse may be a little older


def test_an_operation_finds_a_cold_tag() -> None:
    bounded = learner(10)
    bounded.learn_many([Example("a", VECTORS[0], ("rare one",)), *flood(99)], 0)
    bounded.learn_many([TagOperation("s", "merge", ("rare one",), "often")], 100)
    assert bounded.operations.by_id["s"].outcome == "done"
    assert bounded.predictor().catalogue.tag("often").count == 100


def test_river_methods_know_of_cold_tags() -> None:
    bounded = learner(5)
    features = [{0: 1.0, 1: float(n)} for n in range(40)]
    for n, x in enumerate(features):
        bounded.learn_one(x, {f"once {n}": True, "often": True})
    bounded.learn_one(features[0], {"once 0": True, "often": False})
    assert len(bounded.cold_tags) > 30
    probabilities = bounded.predict_proba_one(features[0])
    assert "" not in probabilities
    assert {"often", "once 0"} <= probabilities.keys()
    row = bounded.statistics.vocabulary.find("once 0")
    assert row is not None
    assert bounded.statistics.sums.counts[row] == 2
