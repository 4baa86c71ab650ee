"""The pictures unlike OpenMoji."""

import importlib.util

import cv2
import numpy as np
import pytest

from benchmarks.encoders import unlike
from benchmarks.encoders.parts import Part
from benchmarks.encoders.run import run
from models.errors import ConfigurationError


def test_photographs_are_cut_into_tiles_that_cover_them_and_drawings_have_words():
    for package in ("skimage", "fontawesomefree"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} comes with the extra `bench`")
    found = unlike.load_unlike()
    photographs = {tags[0] for tags, name in zip(found.tags, found.names, strict=True) if name.endswith(" 0")}
    assert photographs == {*unlike.PHOTOGRAPHS, "china", "flower"}
    rows = [row for row, tags in enumerate(found.tags) if tags == ("chelsea",)]
    assert len(rows) == 6 * 9  # 300 x 451 pixels in squares of 50
    tile = cv2.imdecode(np.frombuffer(found.read(rows[0], 224), np.uint8), cv2.IMREAD_COLOR)
    assert tile.shape == (50, 50, 3) and tile.std() > 1
    anchor = found.names.index("anchor.svg")
    assert "ship" in found.tags[anchor]
    drawn = cv2.imdecode(np.frombuffer(found.read(anchor, 100), np.uint8), cv2.IMREAD_COLOR)
    assert drawn.shape[1] == 100 and (drawn == 255).all(axis=2).mean() > 0.3 and drawn.min() < 20


def test_a_package_that_is_missing_is_one_sentence(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"package skimage: expected to be installed; run: pip install"):
        unlike.load_unlike()


def test_what_is_missing_is_said_before_anything_is_measured(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match="package skimage"):
        run(list(Part), 1)
