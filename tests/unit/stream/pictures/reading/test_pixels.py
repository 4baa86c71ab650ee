"""Pictures come out as a viewer shows them, whatever wrote them."""

import io
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from models.errors import DecodeError
from models.preprocess import fit_square
from stream.pictures.reading import shown as reading
from tests.unit.stream.pictures.reading.test_header import with_segment

PICTURES = Path(__file__).parents[4] / "pictures"


def decode(*given, **named):
    """Of the one square that is asked for."""
    (square,), *others = reading.decode(*given, **named)
    return square, *others


def shown(name: str) -> NDArray[np.uint8]:
    return decode((PICTURES / name).read_bytes())[0]


def difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(np.abs(one.astype(int) - other).mean())


def photo() -> Image.Image:
    return Image.open(PICTURES / "upright.jpg").convert("RGB")


def saved(image: Image.Image, format: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("scan_lzw.tif", "upright.jpg"),
        ("photo.avif", "upright.jpg"),
        ("photo.heic", "upright.jpg"),
        ("photo.jxl", "upright.jpg"),
        ("no_eoi.jpg", "upright.jpg"),
        ("no_trailer.gif", "upright.jpg"),
        ("o6_long_be.jpg", "upright.jpg"),
        ("gbr_profile.jpg", "upright_ref.png"),
        ("star_trns_grey.png", "ref_on_white.png"),
    ],
)
def test_what_people_send_looks_like_its_reference(name: str, reference: str) -> None:
    assert difference(shown(name), shown(reference)) < 2


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("RGB", {"compression": "raw"}),
        ("RGB", {"compression": "tiff_lzw"}),
        ("RGB", {"compression": "tiff_deflate"}),
        ("RGB", {"compression": "jpeg", "quality": 90}),
        ("RGBA", {"compression": "tiff_lzw"}),
        ("CMYK", {"compression": "tiff_lzw"}),
        ("YCbCr", {"compression": "raw"}),
        ("LAB", {"compression": "raw"}),
    ],
)
def test_tiff_of_every_kind(mode: str, options: dict[str, object]) -> None:
    image = photo()
    if mode == "LAB":
        srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        image = ImageCms.profileToProfile(image, srgb, lab, outputMode="LAB")
    data = saved(image if mode == "LAB" else image.convert(mode), "TIFF", **options)
    assert difference(decode(data)[0], shown("upright.jpg")) < 4


def test_sixteen_bits_and_tiles_of_tiff() -> None:
    gray = np.asarray(photo().convert("L"))
    deep = saved(Image.fromarray(gray.astype(np.uint16) * 257), "TIFF")
    assert difference(decode(deep)[0], fit_square(np.dstack([gray] * 3))) == 0
    colour = np.asarray(photo())[..., ::-1].astype(np.uint16) * 257
    tiled = cv2.imencode(".tiff", colour, [cv2.IMWRITE_TIFF_COMPRESSION, 1, cv2.IMWRITE_TIFF_ROWSPERSTRIP, 16])[1]
    assert difference(decode(tiled.tobytes())[0], fit_square(np.asarray(photo()))) <= 1


def test_the_first_page_of_a_tiff() -> None:
    other = Image.new("RGB", (64, 64), "red")
    data = saved(photo(), "TIFF", save_all=True, append_images=[other, other])
    assert difference(decode(data)[0], shown("upright.jpg")) < 2


def test_a_jpeg_that_lacks_more_than_its_end_is_truncated() -> None:
    for options in ({}, {"progressive": True}):
        whole = saved(photo(), "JPEG", quality=90, **options)
        assert difference(decode(whole[:-1])[0], decode(whole)[0]) < 0.5
        assert difference(decode(whole[:-40])[0], decode(whole)[0]) < 2
        for share in (0.1, 0.3, 0.5):
            with pytest.raises(DecodeError) as caught:
                decode(whole[: int(len(whole) * share)])
            assert caught.value.reason == "truncated"


def test_stray_bytes_in_a_jpeg() -> None:
    whole = saved(photo(), "JPEG", quality=90)
    for marker in (b"\xff\xdb", b"\xff\xc0", b"\xff\xc4", b"\xff\xda"):
        at = whole.index(marker)
        for stray in (b"\0", b"hello", b"\xff", b"\xff\x01"):
            assert difference(decode(whole[:at] + stray + whole[at:])[0], decode(whole)[0]) == 0, (marker, stray)
    for behind in (b"junk", bytes(1_000)):
        assert difference(decode(whole + behind)[0], decode(whole)[0]) == 0
    for marker, body in (
        (0xE0, b"JFIF\0"),
        (0xEE, b"Adobe"),
        (0xE2, b"ICC_PROFILE\0\1\1junk"),
        (0xE2, b"ICC_PROFILE\0"),
    ):
        assert difference(decode(with_segment(marker, body, whole))[0], decode(whole)[0]) == 0


def test_a_png_without_its_end() -> None:
    whole = saved(photo().resize((100, 80)), "PNG")
    texts = whole[:-12] + struct.pack(">I4s", 1_000, b"tEXt") + b"cut off"
    for data in (whole[:-1], whole[:-12], whole[:-15], texts):
        assert difference(decode(data)[0], decode(whole)[0]) == 0
    with pytest.raises(DecodeError) as caught:
        decode(whole[: len(whole) // 2])
    assert caught.value.reason == "truncated"


def test_a_gif_without_palette_or_with_a_transparent_colour() -> None:
    gray = Image.new("L", (20, 20), 90)
    whole = saved(gray, "GIF")
    bare = whole[:10] + bytes([whole[10] & 0x7F]) + whole[11:13] + whole[13 + (6 << (whole[10] & 7)) :]
    assert decode(bare)[0].std() == 0
    indexed = Image.new("P", (20, 20), 1)
    indexed.putpalette([255, 0, 0, 0, 0, 0])
    indexed.paste(0, (0, 0, 10, 20))
    square = decode(saved(indexed, "GIF", transparency=1))[0]
    assert tuple(square[100, 20]) == (255, 0, 0) and tuple(square[100, 200]) == (255, 255, 255)


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP"])
def test_the_first_frame_that_shows_something(format: str) -> None:
    empty = Image.new("RGBA", (40, 40))
    blue = Image.new("RGBA", (40, 40), "blue")
    red = Image.new("RGBA", (40, 40), "red")
    data = saved(empty, format, save_all=True, append_images=[blue, red], duration=100)
    assert difference(decode(data)[0], np.full((224, 224, 3), (0, 0, 255), np.uint8)) < 3


def bitmap(masks: tuple[int, ...], depth: int, words: list[int], *, compression: int = 3, gap: int = 0) -> bytes:
    """Two pixels side by side; `gap` bytes before them that nobody needs."""
    width_px = len(words)
    header = struct.pack("<IiiHHIIiiII", 40, width_px, 1, 1, depth, compression, 0, 0, 0, 0, 0)
    tables = header + struct.pack(f"<{len(masks)}I", *masks) + bytes(gap)
    row = b"".join(word.to_bytes(depth // 8, "little") for word in words)
    row += bytes(-len(row) % 4)
    return b"BM" + struct.pack("<IHHI", 14 + len(tables) + len(row), 0, 0, 14 + len(tables)) + tables + row


@pytest.mark.parametrize(
    ("masks", "depth", "words", "compression"),
    [
        ((0xFF00, 0xFF0000, 0xFF000000), 32, [0xFF00, 0xFF00FF00], 3),  # red, magenta
        ((0xF800, 0x7E0, 0x1F), 16, [0xF800, 0xF81F], 3),
        ((0xF00, 0xF0, 0xF, 0xF000), 16, [0xFF00, 0xFF0F], 6),
        ((0xC0, 0x38, 0x7), 16, [0xC0, 0xC7], 3),
        ((0xFF, 0xFF00, 0xFF0000, 0xFF000000), 32, [0xFF0000FF, 0xFFFF00FF], 6),
    ],
)
def test_bitmaps_with_any_masks(masks: tuple[int, ...], depth: int, words: list[int], compression: int) -> None:
    for gap in (0, 40):
        square = decode(bitmap(masks, depth, words, compression=compression, gap=gap))[0]
        assert tuple(square[100, 10]) == (255, 0, 0) and tuple(square[100, 213]) == (255, 0, 255)


def test_a_profile_of_gray_and_one_of_inks() -> None:
    # Linear light: what is stored as 128 is half of the light, which a screen shows as 188.
    white = struct.pack(">III", 0xF6D6, 0x10000, 0xD32D)
    start = struct.pack(">I4sI4s4s4s", 0, b"lcms", 0x2100000, b"mntr", b"GRAY", b"XYZ ").ljust(36, b"\0") + b"acsp"
    tags = ((b"kTRC", struct.pack(">4sII", b"curv", 0, 0)), (b"wtpt", b"XYZ \0\0\0\0" + white))
    header = start.ljust(68, b"\0") + white
    at, table, bodies = 128 + 4 + 12 * len(tags), b"", b""
    for name, body in tags:
        table += struct.pack(">4sII", name, at + len(bodies), len(body))
        bodies += body
    profile = header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + bodies
    profile = struct.pack(">I", len(profile)) + profile[4:]
    for format in ("PNG", "JPEG", "TIFF"):
        square = decode(saved(Image.new("L", (30, 30), 128), format, icc_profile=profile))[0]
        assert abs(int(square[100, 100, 0]) - 188) <= 2, format


def test_a_profile_that_nobody_can_read_is_as_none() -> None:
    for profile in (b"junk", bytes(200), ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()):
        data = saved(photo(), "PNG", icc_profile=profile)
        assert difference(decode(data)[0], decode(saved(photo(), "PNG"))[0]) == 0


def test_a_crop_of_a_picture_that_pillow_reads() -> None:
    image = Image.new("RGB", (100, 50), "red")
    image.paste("blue", (50, 0, 100, 50))
    square, width_px, height_px, name = decode(saved(image, "TIFF"), crop=(0.5, 0.0, 0.5, 1.0))
    assert (square == (0, 0, 255)).all() and (width_px, height_px, name) == (100, 50, "tiff")


def test_a_panorama_is_taken_whole() -> None:
    """Twelve megapixels, 34:1: red at the left, blue at the right, between white bars."""
    image = Image.new("RGB", (20_500, 600), "red")
    image.paste("blue", (10_250, 0, 20_500, 600))
    square, width_px, height_px, _ = decode(saved(image, "JPEG"))
    assert (width_px, height_px) == (20_500, 600)
    assert difference(square[112:113, :110], np.full((1, 110, 3), (254, 0, 0), np.uint8)) < 1
    assert difference(square[112:113, 114:], np.full((1, 110, 3), (0, 0, 254), np.uint8)) < 1
    assert (square[:100] == 255).all() and (square[-100:] == 255).all()


@pytest.mark.parametrize(("scale", "kind"), [
    (1 / 255, np.float32), (1, np.float32), (257, np.float32), (1, np.int32), (257, np.int32), (2**23, np.int32),
])  # fmt: skip
def test_gray_of_32_bits_is_as_light_as_in_8(scale: float, kind: type) -> None:
    gray = np.asarray(photo().convert("L")).copy()
    gray[0, 0] = 255
    data = saved(Image.fromarray((gray.astype(np.float64) * scale).astype(kind)), "TIFF")
    assert difference(decode(data)[0], decode(saved(Image.fromarray(gray), "PNG"))[0]) < 2


def test_what_is_no_number_in_a_picture_is_black() -> None:
    levels = np.ones((40, 40), np.float32)
    levels[:, :20] = np.nan
    shown_levels = decode(saved(Image.fromarray(levels), "TIFF"))[0]
    assert (shown_levels[:, :100] == 0).all() and (shown_levels[:, 130:] == 255).all()
