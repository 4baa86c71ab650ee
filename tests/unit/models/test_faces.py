"""Faces are cut out with what belongs to them; where there is none the picture stays."""

import numpy as np
import pytest

from models.faces import cut_face, drawn_faces


@pytest.fixture
def image():
    return np.arange(100 * 120 * 3, dtype=np.uint32).reshape(100, 120, 3).astype(np.uint8)


def test_the_largest_face_is_cut_out_with_a_margin(image):
    found = cut_face(image, lambda _: [(0, 0, 5, 5), (40, 30, 20, 10)])
    assert np.array_equal(found, image[35 - 14 : 35 + 14, 50 - 14 : 50 + 14])


def test_a_face_at_the_rim_is_cut_as_far_as_the_picture_reaches(image):
    assert np.array_equal(cut_face(image, lambda _: [(110, 0, 20, 20)]), image[0:24, 106:120])


@pytest.mark.parametrize("boxes", [[], [(3, 3, 0, 9)], [(500, 500, 10, 10)]])
def test_without_a_face_the_picture_stays(image, boxes):
    assert np.array_equal(cut_face(image, lambda _: boxes), image)


def test_the_detector_finds_no_face_in_a_blank_picture():
    assert drawn_faces()(np.full((120, 100, 3), 255, np.uint8)) == []
