"""The square."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.errors import UsageError
from models.preprocess import fit_square


def scene(height: int = 300, width: int = 400, seed: int = 0) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    blurred = cv2.GaussianBlur(noise, (0, 0), width / 12)
    return np.asarray(cv2.normalize(blurred, None, 0, 255, cv2.NORM_MINMAX), np.uint8)


@pytest.mark.parametrize("shape", [(224, 224), (1, 1), (300, 100), (10, 30), (223, 225), (100, 250)])
def test_any_size_becomes_a_square(shape: tuple[int, int]) -> None:
    square = fit_square(np.full((*shape, 3), (9, 99, 199), np.uint8))
    assert square.shape == (224, 224, 3) and square.dtype == np.uint8 and square.flags.c_contiguous
    assert np.abs(square.astype(int) - (9, 99, 199)).max() == 0


def test_a_square_of_the_right_size_is_left_as_it_is() -> None:
    image = scene(224, 224)
    assert np.array_equal(fit_square(image), image)


def test_shrinking_takes_the_mean_over_each_area() -> None:
    image = np.random.default_rng(1).integers(0, 255, (448, 896, 3), np.uint8)
    means = image.reshape(224, 2, 224, 4, 3).mean(axis=(1, 3))
    assert np.abs(fit_square(image) - means).max() <= 0.5 + 1e-6


def test_the_whole_picture_is_kept() -> None:
    image = np.zeros((100, 1000, 3), np.uint8)
    image[:, :10] = 200
    image[:, -10:] = 200
    square = fit_square(image)[100:124]
    assert square[:, :2].min() > 150 and square[:, -2:].min() > 150 and square[:, 10:-10].max() == 0


@pytest.mark.parametrize(("long", "inner"), [(300, 224), (330, 204), (1_000, 67), (3_400, 20), (100_000, 1)])
def test_a_long_picture_is_squashed_threefold_and_stands_between_white_bars(long: int, inner: int) -> None:
    for image in (np.zeros((100, long, 3), np.uint8), np.zeros((long, 100, 3), np.uint8)):
        square = fit_square(image)
        assert square.shape == (224, 224, 3) and set(np.unique(square)) <= {0, 255}
        black = (square == 0).all(axis=2)
        assert black.sum() == inner * 224 and sorted([black.any(0).sum(), black.any(1).sum()]) == [inner, 224]


def test_refuses_what_is_no_rgb_picture() -> None:
    for image in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(UsageError):
            fit_square(image)
