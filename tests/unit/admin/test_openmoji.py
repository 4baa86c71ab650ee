"""The pictures of the demo: how many, in which order, with which tags."""

import sys
from collections import Counter

import cv2
import numpy as np
import pytest

from admin.openmoji import load_pictures, rasterise
from models.errors import ConfigurationError


def test_counts_are_the_known_ones() -> None:
    pictures = load_pictures()
    tags = Counter(tag for picture in pictures for tag in picture.tags)
    assert len(pictures) == 1_910
    assert len(tags) == 5_029
    assert sum(count >= 5 for count in tags.values()) == 507
    assert 7 < tags.total() / len(pictures) < 8


def test_order_is_shuffled_and_always_the_same() -> None:
    pictures = load_pictures()
    ids = [picture.image_id for picture in pictures]
    assert len(set(ids)) == len(ids) and ids != sorted(ids)
    load_pictures.cache_clear()
    assert [picture.image_id for picture in load_pictures()] == ids
    assert ids[0] == "openmoji-1f468-200d-1f468-200d-1f466-200d-1f466"


def test_tags_are_clean_words_and_not_the_whole_name() -> None:
    by_name = {picture.name: picture for picture in load_pictures()}
    apple = by_name["red apple"]
    assert {"fruit", "apple"} <= set(apple.tags) and "red apple" not in apple.tags
    assert apple.japanese == "赤リンゴ"
    assert "moose" in by_name["moose"].tags or "canada" in by_name["moose"].tags
    for picture in by_name.values():
        assert picture.tags and picture.japanese
        for tag in picture.tags:
            assert tag == tag.strip().casefold() and "_" not in tag and "\xa0" not in tag
            assert sum(character.isalpha() for character in tag) >= 2


def test_no_skin_tones() -> None:
    assert not any("-1f3f" + digit in picture.image_id for picture in load_pictures() for digit in "bcdef")


@pytest.mark.parametrize(("format", "magic"), [("png", b"\x89PNG"), ("jpeg", b"\xff\xd8\xff")])
def test_rasterises_on_white_at_any_size(format: str, magic: bytes) -> None:
    picture = load_pictures()[0]
    content = rasterise(picture, 96, format=format)  # type: ignore[arg-type]
    assert content.startswith(magic)
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert image is not None and image.shape[:2] == (96, 96)
    assert (image[0, 0] >= 250).all() and image.min() < 100
    assert rasterise(picture, 96, format=format) == content  # type: ignore[arg-type]


def test_a_missing_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'mekiki\[demo\]'"):
        rasterise(load_pictures()[0])
