"""The running figures over all tags, as the API, the command line and Prometheus show them."""

import hashlib
from dataclasses import replace

from prometheus_client import REGISTRY

from admin.people.tags import _quality
from models.tagging.calibration.metrics import NOT_EVALUATED, Quality
from models.tagging.serving.delta import save
from models.tagging.serving.snapshot import Snapshot
from search.schemas import TagQuality
from search.served import ServedModels
from search.service import Service
from stream.events.schema import ModelPublished

EVALUATED = Quality(images=1472, lrap=0.52, p_at_5=0.41, micro_ap=0.44, macro_ap=float("nan"), ece=0.004)
VERSION = Snapshot.empty(8, version=1)


def shown(quality):
    service = Service(*[None] * 9)
    return TagQuality(**service.quality(replace(VERSION, quality=quality))).model_dump()


def test_what_is_not_known_yet_is_null():
    assert shown(NOT_EVALUATED) == dict.fromkeys(TagQuality.model_fields) | {"images": 0}
    assert shown(EVALUATED) == {
        "images": 1472, "lrap": 0.52, "p_at_5": 0.41, "micro_ap": 0.44, "macro_ap": None, "ece": 0.004,
    }  # fmt: skip


def test_people_read_it_in_words():
    assert _quality(shown(NOT_EVALUATED)) == "quality: no image judged yet"
    assert _quality(shown(EVALUATED)) == (
        "quality, 1,472 images predicted before they were learned: "
        "LRAP 0.520, P@5 0.410, micro AP 0.440, macro AP -, ECE 0.004"
    )


def test_a_version_taken_over_sets_the_gauge_where_there_is_a_figure(tmp_path):
    def gauge(name):
        return REGISTRY.get_sample_value("mekiki_tag_quality", {"metric": name})

    path = tmp_path / "1.safetensors"
    save(replace(VERSION, quality=EVALUATED), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    before = gauge("macro_ap")
    served = ServedModels()
    served.take(ModelPublished(model="tagger", version=1, uri=path.as_uri(), sha256=digest))
    assert served.tagger.predictor.snapshot.quality.lrap == 0.52
    assert (gauge("images"), gauge("lrap"), gauge("ece")) == (1472, 0.52, 0.004)
    assert gauge("macro_ap") == before
