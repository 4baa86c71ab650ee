"""One suite for every ObjectIndex: Qdrant Edge alone and behind its server, the local mode, a dict, a server."""

import numpy as np
import pytest

from models.errors import EncoderMismatchError
from stream.index.objects import ImageObjects, best_box
from stream.log.reading.positions import StoredOffset

D = 16


def units(*seeds):
    vectors = np.stack([np.random.default_rng(seed).standard_normal(D) for seed in seeds]).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def made(name, *seeds, position=1, sha256="ab"):
    boxes = tuple((seed / 1024, 0.25, 0.5, 0.125) for seed in seeds)
    return ImageObjects(name, position, sha256, boxes, units(*seeds) if seeds else None)


def test_an_image_is_found_by_its_best_object_and_says_which(objects):
    objects.write([made("a", 1, 2, 3), made("b", 4), made("c", 5, 6)], [])
    found = objects.search(units(3)[0], 3)
    assert found[0].image_id == "a"
    assert found[0].score == pytest.approx(1.0, abs=2e-3)
    scores = {"a": units(1, 2, 3), "b": units(4), "c": units(5, 6)}
    for one in found:
        assert one.score == pytest.approx(float((scores[one.image_id] @ units(3)[0]).max()), abs=2e-3)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    whole = objects.fetch(["a"], with_vectors=True)["a"]
    assert best_box(whole, units(3)[0]) == (3 / 1024, 0.25, 0.5, 0.125)


def test_gives_back_what_was_written(objects):
    written = made("ü/ 1", 7, 8, position=5, sha256="cd" * 32)
    objects.write([written], [])
    found = objects.fetch(["ü/ 1", "nobody"], with_vectors=True)
    assert list(found) == ["ü/ 1"]
    assert (found["ü/ 1"].position, found["ü/ 1"].sha256, found["ü/ 1"].boxes) == (5, "cd" * 32, written.boxes)
    assert np.allclose(found["ü/ 1"].vectors, written.vectors, atol=5e-4)
    assert objects.fetch(["ü/ 1"])["ü/ 1"].vectors is None


def test_what_is_newer_stays(objects):
    objects.write([made("a", 1, 2, position=9)], [])
    objects.write([made("a", 3, position=4)], [])
    assert objects.fetch(["a"])["a"].position == 9
    objects.write([made("a", 3, position=9, sha256="ef")], [])
    assert objects.fetch(["a"])["a"].sha256 == "ef"


def test_an_image_without_objects_is_never_found(objects):
    objects.write([made("a", 1), made("b", 2)], [])
    objects.write([made("a", position=2, sha256="")], [])
    assert [one.image_id for one in objects.search(units(1)[0], 5)] == ["b"]
    assert (objects.fetch(["a"])["a"].boxes, objects.count()) == ((), 1)


def test_offsets_only_grow(objects):
    for at in (3, 8, 5):
        objects.write([], [StoredOffset("images", 0, at, "t", 0)])
    assert [one.offset for one in objects.offsets()] == [8]


def test_another_encoder_is_refused(objects):
    with pytest.raises(EncoderMismatchError):
        objects.open("enc-2", D)


@pytest.mark.parametrize("wrong", [
    ImageObjects("a", 1, "ab", ((0, 0, 1, 1),), np.full((1, D), np.nan, np.float32)),
    ImageObjects("a", 1, "ab", ((0, 0, 1, 1),), np.ones((1, D + 1), np.float32)),
    ImageObjects("a", 1, "ab", ((0, 0, 1, 1),), np.ones((2, D), np.float32)),
    ImageObjects("a", 1, "ab", ((0, 0, 1, 1),), None),
])  # fmt: skip
def test_what_nobody_should_find_is_refused_and_nothing_written(objects, wrong):
    with pytest.raises(ValueError, match="expected"):
        objects.write([made("b", 1), wrong], [])
    assert objects.fetch(["a", "b"]) == {}


def test_many_images_come_in_the_order_of_their_best_objects(objects):
    rng = np.random.default_rng(0)
    every = {f"i{n}": made(f"i{n}", *rng.integers(0, 100_000, 3).tolist()) for n in range(300)}
    objects.write(list(every.values()), [])
    query = units(1_234_567)[0]
    scores = {name: float((one.vectors @ query).max()) for name, one in every.items()}
    best = sorted(scores, key=lambda name: -scores[name])[:10]
    assert {one.image_id for one in objects.search(query, 10)} == set(best)
