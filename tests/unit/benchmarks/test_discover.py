"""Made scenes and what is measured on them."""

import numpy as np
import pytest

from benchmarks.discover import run as bench
from benchmarks.discover.scenes import COVERED, FEW, LARGEST, MANY, SMALLEST, iou, scenes


def test_scenes_are_as_they_are_described_and_the_same_each_time():
    made, again = list(scenes(6, seed=3)), list(scenes(6, seed=3))
    for scene, other in zip(made, again, strict=True):
        assert np.array_equal(scene.pixels, other.pixels)
        assert [thing.image_id for thing in scene.things] == [thing.image_id for thing in other.things]
        assert scene.pixels.shape == (768, 768, 3)
        assert len(scene.things) <= MANY
        for number, thing in enumerate(scene.things):
            left, top, width, height = thing.box
            assert min(left, top) >= 0
            assert max(left + width, top + height) <= 1
            assert SMALLEST - 0.02 <= max(width, height) <= LARGEST
            assert thing.query.shape == (224, 224, 3)
            assert all(iou(thing.box, before.box) <= COVERED for before in scene.things[:number])
    assert sum(len(scene.things) for scene in made) >= 6 * FEW - 3
    assert len({thing.image_id for scene in made for thing in scene.things}) == sum(len(s.things) for s in made)


def test_a_thing_stands_where_its_box_says():
    (scene,) = scenes(1, seed=5)
    thing = max(scene.things, key=lambda one: one.box[2] * one.box[3])
    left, top, width, height = (round(share * 768) for share in thing.box)
    inside = scene.pixels[top : top + height, left : left + width].reshape(-1, 3).astype(float)
    drawn = thing.query.reshape(-1, 3).astype(float)
    colour = drawn[(drawn < 240).any(axis=1)].mean(axis=0)
    assert np.abs(inside.mean(axis=0) - colour).max() < 90


@pytest.mark.long
def test_parts_find_more_scenes_than_whole_pictures_and_true_boxes_most(monkeypatch):
    monkeypatch.setattr(bench, "REGIONS", 600)
    found = bench.run(30, 8)
    recall = found["objects"]["scene_recall_at_10"]
    assert recall["whole"] < recall["both"] <= recall["true_boxes"]
    assert set(recall["both_by_size"]) == {"small", "medium", "large"}
    assert 0.3 < found["objects"]["proposals_recall_at_8_iou50"] < 1
    assert found["object_search_ms"]["images"] == 75
