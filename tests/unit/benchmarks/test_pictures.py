"""Our reader judged by Pillow, on pictures that Pillow's own tests read."""

import os
import shutil
from pathlib import Path

import pytest

from benchmarks.pictures import run

PICTURES = Path(__file__).parents[2] / "pictures"
PILLOWS = Path(os.environ.get("PILLOW_TEST_IMAGES", ""))


def test_says_what_is_taken_and_what_is_not(tmp_path):
    for name in ("upright.jpg", "scan_lzw.tif", "gbr_profile.jpg", "star_trns_grey.png", "logo.svg"):
        shutil.copy(PICTURES / name, tmp_path)
    assert run(tmp_path) == {"opened by Pillow": 4, "taken": 4, "share": 1.0, "refused": {}, "far": {}}


@pytest.mark.long
@pytest.mark.skipif(not PILLOWS.name, reason="PILLOW_TEST_IMAGES: no Tests/images of Pillow's source package")
def test_almost_all_that_pillow_opens_is_taken_and_looks_the_same():
    figures = run(PILLOWS)
    assert figures["opened by Pillow"] > 600
    assert figures["share"] >= 0.97
    assert figures["far"] == {}
