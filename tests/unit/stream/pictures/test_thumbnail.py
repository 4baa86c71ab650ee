"""Thumbnails are the picture as a viewer shows it, in the size that was asked for, made in a child under its limits."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from models.errors import DecodeError, PolicyError
from stream.pictures.decode_pool import DecodePool, Limits

PICTURES = Path(__file__).parents[3] / "pictures"


@pytest.fixture(scope="module")
def pool() -> Iterator[DecodePool]:
    with DecodePool() as pool:
        yield pool


def opened(made: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(made))
    assert image.format == "WEBP"
    return image.convert("RGB")


def named(name: str) -> bytes:
    return (PICTURES / name).read_bytes()


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def noise(width: int, height: int) -> Image.Image:
    """Soft blots of one hue, which every way of resizing and compressing keeps."""
    small = np.random.default_rng(3).integers(0, 255, (3, 3, 1), dtype=np.uint8) // np.array([1, 2, 2], np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def difference(one: Image.Image, other: Image.Image) -> float:
    levels: list[NDArray[np.int_]] = [np.asarray(image).astype(int) for image in (one, other)]
    return float(np.abs(levels[0] - levels[1]).mean())


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "GIF", "WEBP"])
@pytest.mark.parametrize(("width", "height"), [(2400, 1600), (900, 1800), (1500, 150), (300, 200)])
@pytest.mark.parametrize("size", [64, 300, 1024])
def test_it_has_the_size_asked_for_and_the_shape_of_its_picture(
    pool: DecodePool, kind: str, width: int, height: int, size: int
) -> None:
    scale = min(1, size / max(width, height))
    made = opened(pool.thumbnail(saved(noise(width, height), kind), size))
    assert made.size == (round(width * scale), round(height * scale))
    assert difference(made, noise(width, height).resize(made.size, Image.Resampling.BOX)) < (12 if kind == "GIF" else 5)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_it_is_upright(pool: DecodePool, kind: str, orientation: int) -> None:
    turns = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}  # what a viewer does, by Pillow's numbers
    stored, exif = noise(800, 600), Image.Exif()
    exif[0x0112] = orientation
    upright = stored.transpose(turns[orientation]) if orientation > 1 else stored
    made = opened(pool.thumbnail(saved(stored, kind, exif=exif), 400))
    assert made.size == ((400, 300) if orientation < 5 else (300, 400))
    assert difference(made, upright.resize(made.size, Image.Resampling.BOX)) < 5


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("gbr_profile.jpg", "upright_ref.png"),
        ("star_trns_grey.png", "ref_on_white.png"),
        ("scan_lzw.tif", "upright.jpg"),
    ],
)
def test_its_colours_are_those_of_a_screen(pool: DecodePool, name: str, reference: str) -> None:
    made, wanted = (opened(pool.thumbnail(named(one), 200)) for one in (name, reference))
    assert made.size == wanted.size
    assert difference(made, wanted) < 3


@pytest.mark.parametrize("mode", ["CMYK", "L", "1", "P", "I;16", "RGBA", "LA"])
def test_every_kind_of_pixels_becomes_rgb(pool: DecodePool, mode: str) -> None:
    image = noise(640, 320)
    stored = (
        Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
        if mode == "I;16"
        else image.convert(mode)
    )
    made = opened(pool.thumbnail(saved(stored, "TIFF" if mode in ("CMYK", "1") else "PNG"), 160))
    assert made.size == (160, 80)


def test_what_cannot_be_one_is_refused_and_the_next_is_fine(pool: DecodePool) -> None:
    for data in (b"", b"no picture", named("logo.svg"), named("upright.jpg")[:300]):
        with pytest.raises(DecodeError):
            pool.thumbnail(data, 100)
    assert opened(pool.thumbnail(named("upright.jpg"), 100)).width <= 100


def test_the_limits_hold_for_it_too() -> None:
    with DecodePool(limits=Limits(max_pixels=1_000)) as small, pytest.raises(PolicyError):
        small.thumbnail(named("upright.jpg"), 64)
