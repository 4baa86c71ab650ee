"""What the API shows of what is kept."""

import dataclasses

from models.tagging.calibration.metrics import NOT_EVALUATED, Quality
from search import schemas, views
from search.answer import Answer, Found
from search.tag_names import TagNames
from stream.index.contract import Hit
from stream.index.payload import ImagePayload
from tests.fakes import payload

NAMES = TagNames(None)
EVALUATED = Quality(images=1472, lrap=0.52, p_at_5=0.41, micro_ap=0.44, macro_ap=float("nan"), ece=0.004)


def test_metrics_that_are_not_known_yet_are_null():
    assert views.quality(NOT_EVALUATED).model_dump() == dict.fromkeys(schemas.TagQuality.model_fields) | {"images": 0}
    assert views.quality(EVALUATED).model_dump() == {
        "images": 1472, "lrap": 0.52, "p_at_5": 0.41, "micro_ap": 0.44, "macro_ap": None, "ece": 0.004,
    }  # fmt: skip


def test_an_image_shows_every_field_of_its_payload_that_its_view_names():
    kept = payload(tags=("cat",), width_px=30, posted_at="2026-01-01T00:00:00+00:00")
    shown = views.image("a/b", kept, NAMES, {"z", "c"})
    assert shown.tags == shown.tags_as_written == ["cat"]
    assert (shown.bytes_url, shown.duplicates) == ("/v1/images/a%2Fb/bytes", ["c", "z"])
    same = {field.name for field in dataclasses.fields(ImagePayload)} & set(schemas.ImageView.model_fields) - {"tags"}
    assert {"width_px", "posted_at", "complete", "encoder"} < same
    assert {name: getattr(shown, name) for name in same} == {name: getattr(kept, name) for name in same}


def test_a_result_shows_its_payload_its_scores_and_whether_the_threshold_is_reached():
    kept = payload(tags=("cat", "pet"), width_px=31, height_px=17)
    found = Found(Hit("i1", 0.12345678, kept), rank_score=-1.00000049, duplicates=["i2"], above_threshold=True)
    answer = Answer([found, Found(Hit("i3", 0.1, kept), near_duplicate_of="i1")], ranker_version=3, tagger_version=4)
    shown = views.page(answer, NAMES, impression_id="p", encoder_version="e", took_ms=1.5)
    assert (shown.ranker_version, shown.tagger_version, shown.impression_id) == (3, 4, "p")
    first, second = shown.results
    assert (first.score, first.rank_score, first.above_threshold) == (0.123457, -1.0, True)
    assert (first.tags, first.width_px, first.height_px, first.duplicates) == (["cat", "pet"], 31, 17, ["i2"])
    assert (second.rank_score, second.above_threshold, second.near_duplicate_of) == (None, None, "i1")
