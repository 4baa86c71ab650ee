"""Where something stands out."""

import cv2
import numpy as np
import pytest

from models.errors import UsageError
from models.proposals import OVERLAP, propose


def grass(seed, height=400, width=400):
    noise = np.random.default_rng(seed).integers(60, 120, (height, width, 3)).astype(np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 1.5)


def iou(one, other):
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    shared = max(width, 0) * max(height, 0)
    return shared / (one[2] * one[3] + other[2] * other[3] - shared)


@pytest.mark.parametrize("seed", range(8))
def test_what_was_put_on_a_texture_has_a_box(seed):
    chance = np.random.default_rng(seed)
    image, side = grass(seed), int(chance.integers(70, 160))
    left, top = (int(at) for at in chance.integers(0, 400 - side, 2))
    cv2.circle(image, (left + side // 2, top + side // 2), side // 2, (250, 40, 40), -1)
    boxes = propose(image, 8)
    assert max(iou(box, (left / 400, top / 400, side / 400, side / 400)) for box in boxes[:3]) > 0.5


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (40, 100), (100, 40), (400, 400)])
def test_boxes_are_inside_apart_and_no_more_than_wanted(size):
    boxes = propose(grass(1, *size), 5)
    assert 1 <= len(boxes) <= 5
    for left, top, width, height in boxes:
        assert min(left, top) >= 0
        assert width > 0
        assert height > 0
        assert max(left + width, top + height) <= 1
    assert all(iou(one, other) <= OVERLAP + 1e-9 for n, one in enumerate(boxes) for other in boxes[:n])


def test_the_same_picture_has_the_same_boxes_and_fewer_are_the_first_of_more():
    image = grass(3)
    assert propose(image, 12) == propose(image.copy(), 12)
    assert propose(image, 4) == propose(image, 12)[:4]
    assert propose(image, 0) == []


def test_a_long_picture_is_cut_into_squares_that_cover_it():
    wide, tall = propose(grass(4, 100, 450), 12), propose(grass(4, 450, 100), 12)
    assert [(top, left, height, width) for left, top, width, height in wide] == tall
    assert len(tall) == 5
    assert [top for _, top, _, _ in tall] == pytest.approx([0, 7 / 36, 14 / 36, 21 / 36, 28 / 36])
    assert all((width * 100, height * 450) == pytest.approx((100, 100)) for _, _, width, height in tall)
    assert len(propose(grass(4, 2_000, 20), 12)) == 12


@pytest.mark.parametrize("wrong", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)])
def test_other_arrays_are_refused(wrong):
    with pytest.raises(UsageError, match="expected uint8"):
        propose(wrong, 3)
