"""Files to pixels, through real child processes."""

import hashlib
import struct
import zlib
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.errors import PoisonError
from models.look import are_near, look_of, read_look
from stream.pictures.decode_pool import Decoded, DecodePool, Limits

RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)


@pytest.fixture(scope="module")
def pool() -> Iterator[DecodePool]:
    with DecodePool(1) as pool:
        yield pool


def one(pool: DecodePool, data: bytes) -> Decoded:
    (answer,) = pool.decode_many([data])
    assert isinstance(answer, Decoded), answer
    return answer


def reasons(pool: DecodePool, *contents: bytes) -> list[str]:
    return [answer.reason if isinstance(answer, PoisonError) else "fine" for answer in pool.decode_many(contents)]


def quarters(height: int = 400, width: int = 600) -> NDArray[np.uint8]:
    """BGR: red top left, green top right, blue bottom left, white bottom right."""
    image = np.full((height, width, 3), 255, np.uint8)
    image[: height // 2, : width // 2] = RED[::-1]
    image[: height // 2, width // 2 :] = GREEN[::-1]
    image[height // 2 :, : width // 2] = BLUE[::-1]
    return image


def corners(picture: Decoded) -> list[tuple[int, ...]]:
    """Colours in the middle of the four quarters: top left, top right, bottom left, bottom right."""
    return [tuple(map(int, picture.pixels[y, x])) for y in (56, 168) for x in (56, 168)]


def near(seen: list[tuple[int, ...]], expected: list[tuple[int, ...]], tolerance: int = 6) -> bool:
    return bool(np.abs(np.array(seen) - np.array(expected)).max() <= tolerance)


def png(width: int, height: int, color: int, rows: bytes, *extra: bytes, depth: int = 8) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    named = b"".join(chunk(body[:4], body[4:]) for body in extra)
    return b"\x89PNG\r\n\x1a\n" + header + named + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("extension", "tolerance"), [(".png", 0), (".bmp", 0), (".jpg", 6), (".webp", 6), (".gif", 40)]
)
def test_decodes_every_format_to_an_rgb_square(pool: DecodePool, extension: str, tolerance: int) -> None:
    data = bytes(cv2.imencode(extension, quarters())[1])
    picture = one(pool, data)
    assert picture.pixels.shape == (224, 224, 3) and picture.pixels.dtype == np.uint8
    assert near(corners(picture), [RED, GREEN, BLUE, WHITE], tolerance)
    assert (picture.width_px, picture.height_px) == (600, 400)
    assert picture.sha256 == hashlib.sha256(data).hexdigest()
    assert picture.look == look_of(picture.pixels)


def test_transparency_is_composited_on_white(pool: DecodePool) -> None:
    image = np.zeros((100, 100, 4), np.uint8)  # black everywhere, opaque, half and not at all
    image[:50, :50, 3] = 255
    image[:50, 50:, 3] = 128
    for extension in (".png", ".webp"):
        picture = one(pool, bytes(cv2.imencode(extension, image, [cv2.IMWRITE_WEBP_QUALITY, 101])[1]))
        assert near(corners(picture), [BLACK, (127, 127, 127), WHITE, WHITE], 1), extension


def test_palette_with_a_transparent_colour(pool: DecodePool) -> None:
    rows = (b"\0" + b"\0" * 4 + b"\1" * 4) * 4 + (b"\0" + b"\2" * 8) * 4  # red, green, transparent
    palette = b"PLTE" + bytes((*RED, *GREEN, 9, 9, 9))
    picture = one(pool, png(8, 8, 3, rows, palette, b"tRNS" + bytes((255, 255, 0))))
    assert near(corners(picture), [RED, GREEN, WHITE, WHITE], 0)


def test_gray_and_sixteen_bits(pool: DecodePool) -> None:
    gray = np.full((60, 60), 77, np.uint8)
    deep = np.full((60, 60, 3), 77 * 257, np.uint16)
    deep_alpha = np.full((60, 60, 4), 65535, np.uint16)
    deep_alpha[..., :3] = 77 * 257
    gray_alpha = png(2, 2, 4, (b"\0" + bytes((77, 255, 77, 255))) * 2)
    for image in (gray, gray.astype(np.uint16) * 257, deep, deep_alpha):
        assert near(corners(one(pool, bytes(cv2.imencode(".png", image)[1]))), [(77, 77, 77)] * 4, 1)
    assert near(corners(one(pool, gray_alpha)), [(77, 77, 77)] * 4, 1)


def test_cmyk_jpeg(pool: DecodePool) -> None:
    # As Photoshop writes them, inverted: 255 is no ink. Full cyan, no other ink: 0, 255, 255, 255.
    red, green, blue = corners(one(pool, cmyk_jpeg((0, 255, 255, 255))))[0]
    assert red < 10 and green > 240 and blue > 240


def cmyk_jpeg(inks: tuple[int, int, int, int]) -> bytes:
    """A JPEG of one 8 x 8 block in four components, each constant, written by hand."""

    def segment(marker: int, body: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body

    bits = ""
    for ink in inks:
        level = ink - 128  # quantiser 8: the DC coefficient of a constant block is 8 times its level
        size = abs(level).bit_length()
        value = level if level > 0 else level + (1 << size) - 1
        bits += f"{size:04b}" + (f"{value:0{size}b}" if size else "") + "0"
    bits += "1" * (-len(bits) % 8)
    scan = bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)).replace(b"\xff", b"\xff\0")
    components = b"".join(bytes((number, 0x11, 0)) for number in range(1, 5))
    return b"".join(
        (
            b"\xff\xd8",
            segment(0xEE, b"Adobe\0\x64\0\0\0\0\0"),
            segment(0xDB, b"\0" + b"\x08" * 64),
            segment(0xC0, struct.pack(">BHHB", 8, 8, 8, 4) + components),
            segment(0xC4, b"\0" + bytes((0, 0, 0, 12, *[0] * 12)) + bytes(range(12))),
            segment(0xC4, b"\x10" + bytes((1, *[0] * 15)) + b"\0"),
            segment(0xDA, b"\x04" + b"".join(bytes((number, 0)) for number in range(1, 5)) + b"\0\x3f\0"),
            scan,
            b"\xff\xd9",
        )
    )


@pytest.mark.parametrize(
    ("orientation", "expected"),
    [
        (1, [RED, GREEN, BLUE, WHITE]),
        (2, [GREEN, RED, WHITE, BLUE]),
        (3, [WHITE, BLUE, GREEN, RED]),
        (4, [BLUE, WHITE, RED, GREEN]),
        (5, [RED, BLUE, GREEN, WHITE]),
        (6, [BLUE, RED, WHITE, GREEN]),
        (7, [WHITE, GREEN, BLUE, RED]),
        (8, [GREEN, WHITE, RED, BLUE]),
    ],
)
def test_orientation_is_honoured_as_opencv_does_it(
    pool: DecodePool, orientation: int, expected: list[tuple[int, ...]]
) -> None:
    jpeg = bytes(cv2.imencode(".jpg", quarters())[1])
    exif = b"Exif\0\0II" + struct.pack("<HIHHHIHHI", 42, 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    data = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]
    picture = one(pool, data)
    theirs = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert theirs is not None and (picture.height_px, picture.width_px) == theirs.shape[:2]
    assert near(corners(picture), expected)
    assert near([tuple(theirs[theirs.shape[0] // 4, theirs.shape[1] // 4])], expected[:1])


def test_a_large_jpeg_looks_like_its_small_copy(pool: DecodePool) -> None:
    small = cv2.GaussianBlur(np.random.default_rng(3).integers(0, 255, (250, 300, 3), np.uint8), (0, 0), 9)
    small = cv2.normalize(small, None, 0, 255, cv2.NORM_MINMAX)
    large = cv2.resize(small, (2400, 2000), interpolation=cv2.INTER_CUBIC)
    pictures = [one(pool, bytes(cv2.imencode(".jpg", image)[1])) for image in (small, large)]
    difference = pictures[0].pixels.astype(int) - pictures[1].pixels
    assert np.abs(difference).mean() < 2
    near, far = (read_look(picture.look) for picture in pictures)
    assert near is not None and far is not None and are_near(near, far)


def test_broken_files_are_refused_one_by_one(pool: DecodePool) -> None:
    jpeg, whole = (bytes(cv2.imencode(extension, quarters())[1]) for extension in (".jpg", ".png"))
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 0xFF  # inside the pixel data: its checksum does not match any more
    gigapixel = png(40_000, 25_000, 0, b"\0")
    contents = [b"", b"no picture at all", jpeg[: len(jpeg) // 2], whole[: len(whole) // 2], bytes(damaged), gigapixel]
    expected = ["empty", "not_an_image", "truncated", "truncated", "not_an_image", "too_many_pixels"]
    assert reasons(pool, *contents) == expected
    assert reasons(pool, *[item for bad in contents for item in (jpeg, bad)])[::2] == ["fine"] * len(contents)


def test_a_header_that_promises_more_than_follows_is_refused(pool: DecodePool) -> None:
    assert reasons(pool, png(4_000, 4_000, 0, b"\0")) == ["truncated"]


def test_a_file_over_the_limit_is_refused_by_its_size() -> None:
    with DecodePool(1, Limits(max_bytes=1_000)) as pool:
        assert reasons(pool, bytes(1_001)) == ["too_large"]


def test_a_crop_is_the_part_it_names():
    """Left half red, right half blue: each half alone is of one colour."""
    picture = np.zeros((100, 200, 3), np.uint8)
    picture[:, :100] = (0, 0, 255)  # OpenCV's order: blue, green, red
    picture[:, 100:] = (255, 0, 0)
    data = cv2.imencode(".png", picture)[1].tobytes()
    with DecodePool(1) as pool:
        left, right, whole = pool.decode_many([data] * 3, [(0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 0.5, 1.0), None])
    assert (left.pixels == (255, 0, 0)).all()
    assert (right.pixels == (0, 0, 255)).all()
    assert (whole.pixels[:, :100] == (255, 0, 0)).all()
    assert (left.width_px, left.height_px) == (200, 100)


def test_a_crop_of_a_pixel_is_still_a_picture():
    data = cv2.imencode(".png", np.full((3, 3, 3), 7, np.uint8))[1].tobytes()
    with DecodePool(1) as pool:
        (tiny,) = pool.decode_many([data], [(0.99, 0.99, 0.01, 0.01)])
    assert (tiny.pixels == 7).all()
