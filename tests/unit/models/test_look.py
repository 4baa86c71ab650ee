"""Copies look alike; pictures that only resemble each other do not."""

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from admin.openmoji import load_pictures, rasterise
from models.errors import UsageError
from models.look import LOOK_BYTES, Look, Looks, are_near, look_of, read_look
from models.preprocess import fit_square

PICTURES = Path(__file__).parents[2] / "pictures"
VISIBLE = 12.0  # of 255, mean difference at 64 x 64: nobody takes one for the other


def look(image: NDArray[np.uint8]) -> Look:
    found = read_look(look_of(fit_square(image)))
    assert found is not None
    return found


def drawn(number: int) -> NDArray[np.uint8]:
    data = rasterise(load_pictures()[number])
    return np.asarray(cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB))


def resized(image: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, None, fx=factor, fy=factor, interpolation=way))


def compressed(image: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    return np.asarray(
        cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)
    )


def marked(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    over = image.copy()
    cv2.putText(over, "(c) sample", (10, 120), cv2.FONT_HERSHEY_SIMPLEX, 1.1, (60, 60, 60), 3)
    return np.asarray(cv2.addWeighted(over, 0.4, image, 0.6, 0))


def copies(image: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    cut = round(0.05 * len(image))
    return [
        *(compressed(image, quality) for quality in (40, 60, 80, 95)),
        *(resized(image, factor) for factor in (0.25, 0.5, 2, 4)),
        image[cut:, cut:], image[:-cut, :-cut], image[:, cut:], image[cut // 2 : -cut // 2, cut // 2 : -cut // 2],
        marked(image),
    ]  # fmt: skip


def flat(*colours: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Stripes from left to right."""
    return np.repeat(np.array([colours], np.uint8), 300 // len(colours), axis=1).repeat(200, axis=0)


def heart(colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    image = np.full((224, 224, 3), 255, np.uint8)
    cv2.ellipse(image, (80, 90), (40, 40), 0, 0, 360, colour, -1)
    cv2.ellipse(image, (144, 90), (40, 40), 0, 0, 360, colour, -1)
    cv2.fillPoly(image, [np.array([[45, 110], [179, 110], [112, 190]])], colour)
    return image


def diagram(seed: int) -> NDArray[np.uint8]:
    """Thin lines on white."""
    image = np.full((224, 224, 3), 255, np.uint8)
    heights = np.random.default_rng(seed).integers(30, 190, 8)
    cv2.polylines(image, [np.column_stack([np.arange(8) * 28 + 14, heights]).astype(np.int32)], False, (0, 0, 0), 2)
    cv2.line(image, (10, 10), (10, 210), (0, 0, 0), 1)
    cv2.line(image, (10, 210), (214, 210), (0, 0, 0), 1)
    return image


RED, BLUE, GREEN, WHITE, YELLOW, BLACK = (
    (239, 65, 53),
    (0, 35, 149),
    (0, 140, 69),
    (255, 255, 255),
    (255, 205, 0),
    (0, 0, 0),
)
APART = {
    "flats": [flat(RED), flat(BLUE), flat(GREEN), flat(WHITE), flat(YELLOW), flat(BLACK), flat((200, 30, 30))],
    "flags": [flat(BLUE, WHITE, RED), flat(GREEN, WHITE, RED), flat(BLACK, YELLOW, RED), flat(BLUE, YELLOW, RED)],
    "hearts": [heart(colour) for colour in (RED, BLUE, GREEN, YELLOW, BLACK, (255, 105, 180))],
    "diagrams": [diagram(seed) for seed in range(8)],
}


@pytest.mark.parametrize("kind", APART)
def test_what_only_resembles_stays_apart(kind: str) -> None:
    looks = [look(image) for image in APART[kind]] + [look(flat(RED))] * (kind == "flags")
    assert not [
        pair for pair in itertools.combinations(range(len(looks)), 2) if are_near(looks[pair[0]], looks[pair[1]])
    ]


def test_a_red_square_is_not_the_flag_of_france() -> None:
    names = ("flat_red", "flat_blue", "flag_france")
    looks = [look(cv2.imread(str(PICTURES / f"{name}.png"))[..., ::-1]) for name in names]
    assert [are_near(one, other) for one, other in itertools.combinations(looks, 2)] == [False] * 3


@pytest.mark.parametrize("kind", APART)
def test_copies_of_them_are_near(kind: str) -> None:
    for image in APART[kind]:
        for copy in copies(image)[:8]:
            assert are_near(look(copy), look(image)) and are_near(look(image), look(copy))


def test_copies_of_drawings_are_found_and_marked_pairs_look_the_same() -> None:
    """On 200 drawings; all of them: docs/performance.md."""
    images = [drawn(number) for number in range(200)]
    looks = [look(image) for image in images]
    found = [are_near(look(copy), looks[n]) for n in range(0, 200, 4) for copy in copies(images[n])]
    assert np.mean(found) >= 0.95
    small = [cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA).astype(int) for image in images]
    near = [pair for pair in itertools.combinations(range(200), 2) if are_near(looks[pair[0]], looks[pair[1]])]
    same = [np.abs(small[one] - small[other]).mean() <= VISIBLE for one, other in near]
    assert len(same) > 5 and np.mean(same) > 0.9  # not laid onto each other; 0.998 where they are


def test_those_that_are_near() -> None:
    known = Looks(4)
    for image in (heart(RED), heart(BLUE), resized(heart(BLUE), 0.5)):
        known.add(look(image))
    assert list(known.near(look(compressed(heart(BLUE), 60)))) == [1, 2]
    assert list(known.near(look(heart(GREEN)))) == []
    assert list(Looks(0).near(look(heart(RED)))) == []


def test_a_look_is_of_rgb_pictures_of_any_size() -> None:
    assert len(look_of(np.zeros((1, 5, 3), np.uint8))) == len(look_of(np.zeros((900, 700, 3), np.uint8))) == LOOK_BYTES
    assert read_look(b"") is None
    for image in (np.zeros((4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4, 3), np.float32)):
        with pytest.raises(UsageError):
            look_of(image)  # type: ignore[arg-type]
