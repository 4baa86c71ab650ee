"""Pictures unlike OpenMoji, with tags: photographs cut into tiles, and black drawings of Font Awesome.

In: the packages of the extra `bench`. Out: `Labelled`. Raises ConfigurationError where one is missing. A tile's only
tag is its photograph; a drawing has the words that people find it by.

The drawings are Font Awesome Free's, by Fonticons, CC BY 4.0; the photographs come with scikit-image and scikit-learn.
"""

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from admin.operators.encoders.labelled import Labelled, Tags
from models.encoders.base import Images
from models.errors import ConfigurationError

PHOTOGRAPHS = (
    "astronaut", "brick", "camera", "cell", "chelsea", "clock_motion", "coffee", "coins", "grass", "gravel",
    "hubble_deep_field", "ihc", "moon", "motorcycle_left", "page", "retina", "rocket",
)  # fmt: skip
ALONG = 6  # tiles along the shorter side of a photograph


def load_unlike() -> Labelled:
    """Tiles first, then drawings.

    Raises:
        ConfigurationError: a package is not installed.
    """
    folder = _package("skimage") / "data"
    files = [path for name in PHOTOGRAPHS for path in sorted(folder.glob(f"{name}.*"))]
    files += sorted((_package("sklearn") / "datasets" / "images").glob("*.jpg"))
    tiles = [
        (f"{file.stem} {number}", (file.stem,), tile) for file in files for number, tile in enumerate(_tiles(file))
    ]
    drawings = list(_drawings())
    names = [name for name, *_ in tiles] + [path.name for path, _ in drawings]
    tags: list[Tags] = [tags for _, tags, _ in tiles] + [tags for _, tags in drawings]

    def read(number: int, size_px: int) -> bytes:
        return tiles[number][2] if number < len(tiles) else _rasterised(drawings[number - len(tiles)][0], size_px)

    return Labelled(tags, names, read)


def check_installed() -> None:
    """Say what is missing before anything is measured.

    Raises:
        ConfigurationError: a package is not installed.
    """
    for name in ("skimage", "sklearn", "fontawesomefree"):
        _package(name)


def _package(name: str) -> Path:
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        raise ConfigurationError(f"package {name}: expected to be installed; run: pip install 'mekiki[bench]'")
    return Path(found.origin).parent


def _tiles(file: Path) -> Iterator[bytes]:
    """Squares side by side, as PNG."""
    image: Images = np.asarray(cv2.imread(str(file), cv2.IMREAD_COLOR), np.uint8)
    side = min(image.shape[:2]) // ALONG
    for top in range(0, image.shape[0] - side + 1, side):
        for left in range(0, image.shape[1] - side + 1, side):
            yield cv2.imencode(".png", image[top : top + side, left : left + side])[1].tobytes()


def _drawings() -> Iterator[tuple[Path, Tags]]:
    folder = _package("fontawesomefree") / "static" / "fontawesomefree"
    icons = json.loads((folder / "metadata" / "icons.json").read_text(encoding="utf-8"))
    for name, icon in sorted(icons.items()):
        if "solid" in icon["styles"] and icon["search"]["terms"]:
            yield folder / "svgs" / "solid" / f"{name}.svg", tuple(dict.fromkeys(icon["search"]["terms"]))


def _rasterised(path: Path, size_px: int) -> bytes:
    import resvg_py

    return bytes(resvg_py.svg_to_bytes(svg_path=str(path), width=size_px, background="#ffffff", skip_system_fonts=True))
