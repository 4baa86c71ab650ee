"""What a header says, and what is refused before a pixel is decoded."""

import struct
import zlib

import cv2
import numpy as np
import pytest

from models.errors import DecodeError, PolicyError
from stream.pictures.decode_pool import Limits, check
from stream.pictures.header import sniff


def encoded(extension: str, height: int = 40, width: int = 60, channels: int = 3) -> bytes:
    shape = (height, width, channels) if channels > 1 else (height, width)
    image = np.random.default_rng(1).integers(0, 255, shape, np.uint8)
    return bytes(cv2.imencode(extension, image)[1])


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, *chunks: bytes) -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + png_chunk(b"IEND", b"")


def exif(orientation: int, order: str = "<") -> bytes:
    mark = b"II" if order == "<" else b"MM"
    return mark + struct.pack(f"{order}HIHHHIHHI", 42, 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def jpeg_with_exif(orientation: int) -> bytes:
    jpeg = encoded(".jpg")
    body = b"Exif\0\0" + exif(orientation, ">")
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


@pytest.mark.parametrize(
    ("extension", "name"), [(".jpg", "jpeg"), (".png", "png"), (".webp", "webp"), (".gif", "gif"), (".bmp", "bmp")]
)
def test_reads_format_and_size_of_what_opencv_writes(extension: str, name: str) -> None:
    header = sniff(encoded(extension))
    assert (header.format, header.width_px, header.height_px, header.frames) == (name, 60, 40, 1)


@pytest.mark.parametrize("extension", [".jpg", ".png", ".webp", ".gif", ".bmp"])
def test_no_prefix_of_a_picture_is_taken_for_a_whole_one(extension: str) -> None:
    data = encoded(extension)
    # A GIF without its last byte still holds its whole frame; OpenCV's block terminator comes right before it.
    tail = 2 if extension == ".gif" else 1
    for length in [*range(1, 40), *range(40, len(data) - tail, 97), len(data) - tail]:
        with pytest.raises(DecodeError) as caught:
            sniff(data[:length])
        assert caught.value.reason in ("truncated", "not_an_image")


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", "empty"), (b"hello, I am text", "not_an_image"), (b"%PDF-1.7 ...", "not_an_image"), (b"RIFF", "truncated")],
)
def test_tells_why_it_is_no_picture(data: bytes, reason: str) -> None:
    with pytest.raises(DecodeError) as caught:
        sniff(data)
    assert caught.value.reason == reason


def test_random_bytes_behind_every_magic_never_escape_as_another_error() -> None:
    rng = np.random.default_rng(7)
    magics = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\x10\0\0\0WEBP", b"BM")
    for _ in range(300):
        for magic in magics:
            junk = rng.integers(0, 256, int(rng.integers(0, 200)), np.uint8).tobytes()
            try:
                sniff(magic + junk)
            except DecodeError as error:
                assert error.reason in ("truncated", "not_an_image")


def test_a_gigapixel_header_is_refused_by_its_header() -> None:
    with pytest.raises(PolicyError) as caught:
        check(png(40_000, 25_000), Limits(max_side_px=100_000))
    assert caught.value.reason == "too_many_pixels"


def test_each_limit_has_its_reason() -> None:
    data = encoded(".png")
    assert check(data, Limits()).format == "png"
    for limits, reason in (
        (Limits(max_bytes=100), "too_large"),
        (Limits(max_pixels=2399), "too_many_pixels"),
        (Limits(max_side_px=59), "too_many_pixels"),
    ):
        with pytest.raises(PolicyError) as caught:
            check(data, limits)
        assert caught.value.reason == reason
    animated = png(4, 4, png_chunk(b"acTL", struct.pack(">II", 5000, 0)))
    with pytest.raises(PolicyError) as caught:
        check(animated, Limits())
    assert caught.value.reason == "too_many_frames"


def progressive(width_px: int, height_px: int, scans: int) -> bytes:
    """A progressive JPEG that says so of its size; its scans are repeated."""
    image = np.full((16, 16, 3), 127, np.uint8)
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    frame = data.index(b"\xff\xc2")
    sized = data[: frame + 5] + struct.pack(">HH", height_px, width_px) + data[frame + 9 :]
    start = sized.index(b"\xff\xda")
    return sized[:start] + sized[start:-2] * scans + b"\xff\xd9"


def test_a_small_file_that_takes_seconds_to_decode_is_refused_by_its_header() -> None:
    assert check(progressive(4_000, 3_000, 1), Limits()).passes > 1  # as cameras and sites write them
    for data in (
        progressive(4_000, 3_000, 100),
        png(9_000, 5_000, png_chunk(b"acTL", struct.pack(">II", 1_000, 0))),
    ):
        with pytest.raises(PolicyError) as caught:
            check(data, Limits())
        assert caught.value.reason == "too_much_work"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_reads_the_orientation_of_jpeg_and_png(orientation: int) -> None:
    assert sniff(jpeg_with_exif(orientation)).orientation == orientation
    assert sniff(png(4, 4, png_chunk(b"eXIf", exif(orientation)))).orientation == orientation


def test_broken_exif_means_upright() -> None:
    for body in (b"", b"II*\0", b"XX" + bytes(30), exif(77), exif(6)[:-9]):
        assert sniff(png(4, 4, png_chunk(b"eXIf", body))).orientation == 1


def test_an_end_marker_inside_a_thumbnail_does_not_hide_a_truncated_jpeg() -> None:
    jpeg = encoded(".jpg", 400, 600)
    thumbnail = encoded(".jpg", 20, 30)
    whole = jpeg[:2] + b"\xff\xe2" + struct.pack(">H", len(thumbnail) + 2) + thumbnail + jpeg[2:]
    assert sniff(whole).width_px == 600
    with pytest.raises(DecodeError) as caught:
        sniff(whole[: len(whole) // 2])
    assert caught.value.reason == "truncated"


def test_counts_the_frames_of_a_gif() -> None:
    color_table = bytes(6)
    screen = struct.pack("<HHBBB", 2, 2, 0x80, 0, 0)
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 2, 2, 0) + b"\x02\x02\x44\x01\x00"
    header = sniff(b"GIF89a" + screen + color_table + frame * 3 + b"\x3b")
    assert (header.width_px, header.frames) == (2, 3)
