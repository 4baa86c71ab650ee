"""A folder as people have them: photographs, drawings, wrong endings, broken files, sidecars, names in Japanese."""

from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from admin.openmoji import load_pictures, rasterise
from tests.e2e.conftest import drawing

PHOTOGRAPHS, DRAWINGS, WRONG_ENDINGS, BROKEN, SIDECARS = 140, 150, 60, 30, 120
SIDE_PX = 96
ENDINGS = (".jpg", ".JPG", ".jpeg", ".jfif", ".jpe", "")


class Folder:
    """The folder, and what its files are.

    Attributes:
        good: files that are pictures, by what stands in them.
        broken: files that are none, whatever their names say.
        tagged: tags of pictures that have a sidecar.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.good: set[str] = set()
        self.broken: set[str] = set()
        self.tagged: dict[str, str] = {}
        self._photographs()
        self._drawings()
        self._wrong_endings()
        self._broken()
        self._sidecars()
        (path / "描いた絵" / "もう一度").symlink_to(path / "描いた絵", target_is_directory=True)

    def _put(self, name: str, content: bytes, of: set[str]) -> None:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        of.add(name)

    def _photographs(self) -> None:
        """Parts of two photographs that a package brings along."""
        rng, spec = np.random.default_rng(1), find_spec("sklearn.datasets")
        assert spec is not None and spec.origin is not None
        whole = [cv2.imread(str(path)) for path in sorted((Path(spec.origin).parent / "images").glob("*.jpg"))]
        for number in range(PHOTOGRAPHS):
            of = whole[number % len(whole)]
            top, left = (int(rng.integers(0, side - SIDE_PX)) for side in of.shape[:2])
            content = cv2.imencode(".jpg", of[top : top + SIDE_PX, left : left + SIDE_PX])[1].tobytes()
            self._put(f"写真/IMG_{number:04}{ENDINGS[number % len(ENDINGS)]}", content, self.good)

    def _drawings(self) -> None:
        for number, picture in enumerate(load_pictures()[:DRAWINGS]):
            name = picture.japanese.replace("/", "・") or picture.name
            content = rasterise(picture, SIDE_PX)
            self._put(f"描いた絵/{name[:40]} {number}.png", content, self.good)

    def _wrong_endings(self) -> None:
        for number in range(WRONG_ENDINGS):
            inside, named = [(".png", ".jpg"), (".jpg", ".png"), (".webp", ".gif"), (".bmp", ".jpeg")][number % 4]
            self._put(f"wrong [endings] #1/{number} 100%{named}", drawing(number, inside, SIDE_PX), self.good)

    def _broken(self) -> None:
        for number in range(BROKEN):
            content = [b"", b"this is no picture", drawing(number, ".jpg", SIDE_PX)[:200]][number % 3]
            self._put(f"broken/{number}.jpg", content, self.broken)

    def _sidecars(self) -> None:
        for number, name in enumerate(sorted(self.good)[:SIDECARS]):
            tag = ("夕焼け", "cat", "red panda")[number % 3]
            (self.path / f"{name}.txt").write_text(f"{tag}\n", encoding="utf-8")
            self.tagged[name] = tag
