"""R1: our reader beside Pillow, on any folder of pictures; Pillow's own test pictures are the usual one.

Comes in: a folder, e.g. `Tests/images` of Pillow's source package. Goes out: of the files in formats we promise that
Pillow opens how many we take, and how far our pixels are from Pillow's: the mean absolute difference at 224 x 224,
upright, on white, in sRGB.
"""

import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

from models.errors import PoisonError
from models.preprocess import fit_square
from stream.pictures.decode_pool import Decoded, DecodePool, Limits

FAR = 6.0  # of 255: what anybody would see
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF")
DEEP = ("I;16", "I;16B")
BOMBS = (Image.DecompressionBombWarning, Image.DecompressionBombError)


def run(folder: Path) -> dict[str, Any]:
    """Figures, and the files that are refused or look different."""
    opened, taken, refused, far = 0, 0, {}, {}
    limits = Limits(max_pixels=Image.MAX_IMAGE_PIXELS or 0)
    with DecodePool(1, limits) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for path, reference in _opened(folder):
            opened += 1
            (answer,) = pool.decode_many([path.read_bytes()])
            if isinstance(answer, PoisonError):
                refused[path.name] = answer.reason
                continue
            taken += isinstance(answer, Decoded)
            difference = float(np.abs(fit_square(reference).astype(int) - answer.pixels).mean())
            if difference > FAR:
                far[path.name] = round(difference, 1)
    share = taken / max(opened, 1)
    return {"opened by Pillow": opened, "taken": taken, "share": round(share, 4), "refused": refused, "far": far}


def _opened(folder: Path) -> Iterator[tuple[Path, NDArray[np.uint8]]]:
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            yield path, shown_by_pillow(path.read_bytes())
        except (OSError, SyntaxError, ValueError, EOFError, MemoryError, *BOMBS):
            continue  # Pillow does not open it


def shown_by_pillow(data: bytes) -> NDArray[np.uint8]:
    """uint8 [H, W, 3] RGB of the first frame, as Pillow's documentation has each step."""
    image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
    image.load()
    profile = image.info.get("icc_profile")
    image = ImageOps.exif_transpose(image)
    if image.mode in DEEP:
        image = Image.fromarray((np.asarray(image) / 257).round().astype(np.uint8))
    if image.mode in ("LAB", "CMYK"):
        return np.asarray(_from_profile(image, profile) or image.convert("RGB"))
    mode = image.mode
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image.convert("RGBA"))
        image = white
    image = image.convert("L" if mode in ("1", "L", "LA") and _space(profile) == "GRAY" else "RGB")
    return np.asarray((_from_profile(image, profile) or image).convert("RGB"))


def _space(profile: bytes | None) -> str:
    try:
        opened: Any = ImageCms.ImageCmsProfile(io.BytesIO(profile or b""))
    except OSError:
        return ""
    return str(opened.profile.xcolor_space).strip()


def _from_profile(image: Image.Image, profile: bytes | None) -> Image.Image | None:
    if image.mode != "LAB" and _space(profile) != {"L": "GRAY"}.get(image.mode, image.mode):
        return None
    source: Any = ImageCms.createProfile("LAB") if image.mode == "LAB" else io.BytesIO(profile or b"")
    source = source if image.mode == "LAB" else ImageCms.ImageCmsProfile(source)
    return ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
