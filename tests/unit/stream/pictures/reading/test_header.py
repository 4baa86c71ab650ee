"""What a header says, and what is refused before a pixel is decoded."""

import struct
import sys
import zlib

import cv2
import numpy as np
import pytest

from models.errors import DecodeError, PolicyError
from stream.pictures.reading.header import open_picture
from stream.pictures.reading.limits import SLOW, ImageHeader, Limits, check_bytes


def header_of(data: bytes, limits: Limits = Limits()) -> ImageHeader:
    return open_picture(data, limits).header


def encoded(extension: str, height: int = 40, width: int = 60, channels: int = 3) -> bytes:
    shape = (height, width, channels) if channels > 1 else (height, width)
    image = np.random.default_rng(1).integers(0, 255, shape, np.uint8)
    return bytes(cv2.imencode(extension, image)[1])


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, *chunks: bytes) -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + png_chunk(b"IEND", b"")


def exif(orientation: int, order: str = "<", kind: str = "H") -> bytes:
    """EXIF with one tag, its value a SHORT, LONG, or a number in letters."""
    mark = b"II" if order == "<" else b"MM"
    number = {"H": 3, "I": 4, "2s": 2}[kind]
    value = str(orientation).encode() if kind == "2s" else orientation
    entry = struct.pack(f"{order}HHI{kind}", 0x0112, number, 2 if kind == "2s" else 1, value)
    return mark + struct.pack(f"{order}HIH", 42, 8, 1) + entry.ljust(12, b"\0") + bytes(4)


def with_segment(marker: int, body: bytes, jpeg: bytes | None = None) -> bytes:
    jpeg = encoded(".jpg") if jpeg is None else jpeg
    return jpeg[:2] + struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body + jpeg[2:]


def webp_with(kind: bytes, body: bytes) -> bytes:
    """A WebP in the extended format, with one more chunk."""
    plain = encoded(".webp")[12:]
    extended = b"VP8X" + struct.pack("<II", 10, 0x0C) + (59).to_bytes(3, "little") + (39).to_bytes(3, "little")
    chunks = b"WEBP" + extended + plain + kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


@pytest.mark.parametrize(
    ("extension", "name"),
    [(".jpg", "jpeg"), (".png", "png"), (".webp", "webp"), (".gif", "gif"), (".bmp", "bmp"), (".tiff", "tiff"),
     (".avif", "avif")],
)  # fmt: skip
def test_reads_format_and_size_of_what_opencv_writes(extension: str, name: str) -> None:
    header = header_of(encoded(extension))
    assert (header.format, header.width_px, header.height_px, header.frames) == (name, 60, 40, 1)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"hello, I am text", "not_an_image"),
        (b"%PDF-1.7 ...", "not_an_image"),
        (b"RIFF\x10\0\0\0WEBP", "truncated"),
    ],
)
def test_tells_why_it_is_no_picture(data: bytes, reason: str) -> None:
    with pytest.raises(DecodeError) as caught:
        open_picture(data)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "start",
    ["", "\ufeff", '<?xml version="1.0"?>\n<!-- drawn -->\n', "\n  <!DOCTYPE svg>", '<?xml version="1.0"?><!-- > -->'],
)
def test_a_drawing_is_refused_by_name_with_the_remedy(start: str) -> None:
    with pytest.raises(DecodeError, match=r"SVG.*export it as PNG") as caught:
        open_picture(f'{start}<svg xmlns="http://www.w3.org/2000/svg"/>'.encode())
    assert caught.value.reason == "unsupported_format"


@pytest.mark.parametrize(
    ("data", "module"),
    [(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "pi_heif"), (b"\xff\x0a\0\0", "pylibjxl.pillow_plugin")],
)
def test_what_only_the_extra_reads_is_refused_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, data: bytes, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    with pytest.raises(DecodeError, match=r"pip install 'mekiki\[formats\]'") as caught:
        open_picture(data)
    assert caught.value.reason == "unsupported_format"


def test_random_bytes_behind_every_magic_never_escape_as_another_error() -> None:
    rng = np.random.default_rng(7)
    magics = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\x10\0\0\0WEBP", b"BM", b"II*\0", b"\xff\x0a")
    for _ in range(100):
        for magic in (*magics, b"\0\0\0\x18ftypavif", b"\0\0\0\x18ftypheic"):
            junk = rng.integers(0, 256, int(rng.integers(0, 200)), np.uint8).tobytes()
            try:
                open_picture(magic + junk)
            except DecodeError as error:
                assert error.reason in ("truncated", "not_an_image", "unsupported_format")
            except PolicyError as error:
                assert error.reason.startswith("too_")


def test_a_gigapixel_header_is_refused_by_its_header() -> None:
    with pytest.raises(PolicyError) as caught:
        open_picture(png(40_000, 25_000))
    assert caught.value.reason == "too_many_pixels"


def test_each_limit_has_its_reason() -> None:
    data = encoded(".png")
    assert header_of(data).format == "png"
    animated = png(4, 4, png_chunk(b"acTL", struct.pack(">II", 5000, 0)))
    for content, limits, reason in (
        (data, Limits(max_pixels=2399), "too_many_pixels"),
        (data, Limits(max_side_px=59), "too_many_pixels"),
        (data, Limits(max_work=2399), "too_much_work"),
        (data, Limits(quick_work=2399), SLOW),
        (animated, Limits(), "too_many_frames"),
    ):
        with pytest.raises(PolicyError) as caught:
            open_picture(content, limits)
        assert caught.value.reason == reason
    with pytest.raises(PolicyError) as caught:
        check_bytes(data, Limits(max_bytes=100))
    assert caught.value.reason == "too_large"


def progressive(width_px: int, height_px: int, scans: int) -> bytes:
    """A progressive JPEG that says so of its size; its scans are repeated."""
    image = np.full((16, 16, 3), 127, np.uint8)
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    frame = data.index(b"\xff\xc2")
    sized = data[: frame + 5] + struct.pack(">HH", height_px, width_px) + data[frame + 9 :]
    start = sized.index(b"\xff\xda")
    return sized[:start] + sized[start:-2] * scans + b"\xff\xd9"


def test_a_small_file_that_takes_seconds_to_decode_is_refused_by_its_header() -> None:
    assert header_of(progressive(4_000, 3_000, 1)).passes > 1  # as cameras and sites write them
    with pytest.raises(PolicyError) as caught:
        open_picture(progressive(4_000, 3_000, 100))
    assert caught.value.reason == "too_much_work"


@pytest.mark.parametrize("kind", ["H", "I", "2s"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_read_whatever_the_type_of_its_tag(orientation: int, order: str, kind: str) -> None:
    body = exif(orientation, order, kind)
    pixels = png_chunk(b"IDAT", zlib.compress(bytes(20)))
    for data in (
        with_segment(0xE1, b"Exif\0\0" + body),
        png(4, 4, png_chunk(b"eXIf", body), pixels),
        png(4, 4, pixels, png_chunk(b"eXIf", body)),
        webp_with(b"EXIF", body),
    ):
        assert header_of(data).orientation == orientation


@pytest.mark.parametrize("written", ['tiff:Orientation="6"', "><tiff:Orientation>6</tiff:Orientation"])
def test_orientation_of_xmp(written: str) -> None:
    xmp = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description {written}/></x:xmpmeta>'.encode()
    for data in (
        with_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp),
        png(4, 4, png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)),
        webp_with(b"XMP ", xmp),
    ):
        assert header_of(data).orientation == 6


def test_broken_exif_means_upright() -> None:
    for body in (b"", b"II*\0", b"XX" + bytes(30), exif(77), exif(6)[:-9]):
        assert header_of(png(4, 4, png_chunk(b"eXIf", body))).orientation == 1


def test_notes_in_a_jpeg_that_are_nonsense_do_not_matter() -> None:
    for marker, body in ((0xE0, b"JFIF\0"), (0xEE, b"Adobe"), (0xE2, b"ICC_PROFILE\0"), (0xE1, b"Exif\0\0junk"),
                         (0xED, b"Photoshop 3.0\x008BIM\x04\x04\xff"), (0xE2, b"MPF\0junk")):  # fmt: skip
        header = header_of(with_segment(0xE1, b"Exif\0\0" + exif(6), with_segment(marker, body)))
        assert (header.width_px, header.orientation) == (60, 6)


def test_counts_the_frames_of_a_gif() -> None:
    color_table = bytes(6)
    screen = struct.pack("<HHBBB", 2, 2, 0x80, 0, 0)
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 2, 2, 0) + b"\x02\x02\x44\x01\x00"
    header = header_of(b"GIF89a" + screen + color_table + frame * 3 + b"\x3b")
    assert (header.width_px, header.frames) == (2, 3)


def test_a_webp_is_measured_before_a_decoder_is_set_up() -> None:
    """Its canvas of eight bytes a pixel would be allocated first."""
    data = bytearray(webp_with(b"XMP ", b""))
    data[24:27] = (16_000 - 1).to_bytes(3, "little")
    with pytest.raises(PolicyError) as caught:
        open_picture(bytes(data), Limits(max_pixels=600_000))
    assert caught.value.reason == "too_many_pixels"
