"""Faces are cut out with what belongs to them; where there is none the picture stays."""

import io

import numpy as np
import pytest
from PIL import Image

from models.faces import cut_face, drawn_faces
from models.preprocess import Preprocessing, face_of, fit_square, prepared
from stream.pictures.reading.limits import Limits
from stream.pictures.reading.shown import decode


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


def red_parts(image):
    """A detector that takes what is red for a face."""
    rows, columns = np.nonzero((image[..., 0] > 200) & (image[..., 2] < 60))
    if not len(rows):
        return []
    return [(columns.min(), rows.min(), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1)]


@pytest.fixture
def portrait(monkeypatch):
    """A red face high up on the left of a blue picture; lower half of the face dark."""
    monkeypatch.setattr("models.preprocess.drawn_faces", lambda: red_parts)
    image = np.full((448, 448, 3), (20, 20, 200), np.uint8)
    image[64:192, 32:160] = (250, 10, 10)
    return image


def test_an_encoder_of_faces_gets_the_face_as_training_did(portrait):
    found = prepared(portrait, Preprocessing(80, cut="face"))
    assert np.array_equal(found, fit_square(face_of(portrait), 80))
    assert (found[30:50, 30:50] == (250, 10, 10)).all()
    assert np.array_equal(face_of(portrait), face_of(fit_square(portrait)))  # it is cut out of 224 pixels


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_face_is_looked_for_in_colours_and_upright(portrait, orientation):
    turned = np.rot90(portrait, {1: 0, 3: 2, 6: 1, 8: 3}[orientation])  # as a camera that was turned keeps it
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(turned)).save(file, "PNG", exif=exif)
    (square,), *_ = decode(file.getvalue(), Limits(), squares=[Preprocessing(64, cut="face")])
    assert np.abs(square.astype(int) - prepared(portrait, Preprocessing(64, cut="face"))).max() <= 2
    assert square[..., 0].mean() > square[..., 2].mean()  # half is the face; of the picture it is a twelfth
