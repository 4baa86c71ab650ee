"""The versions that serve, taken over as they are announced."""

import hashlib
from dataclasses import replace

from prometheus_client import REGISTRY

from models.tagging.calibration.metrics import Quality
from models.tagging.serving.delta import encode
from models.tagging.serving.snapshot import Snapshot
from search.served import ServedModels
from stream.events.schema import ModelPublished

EVALUATED = Quality(images=1472, lrap=0.52, p_at_5=0.41, micro_ap=0.44, macro_ap=float("nan"), ece=0.004)


def test_a_version_taken_over_sets_the_gauge_where_there_is_a_figure(tmp_path):
    def gauge(name):
        return REGISTRY.get_sample_value("mekiki_tag_quality", {"metric": name})

    path = tmp_path / "1.safetensors"
    path.write_bytes(encode(replace(Snapshot.empty(8, version=1), quality=EVALUATED)))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    before = gauge("macro_ap")
    served = ServedModels()
    served.take(ModelPublished(model="tagger", version=1, uri=path.as_uri(), sha256=digest))
    assert served.tagger.predictor.snapshot.quality.lrap == 0.52
    assert (gauge("images"), gauge("lrap"), gauge("ece")) == (1472, 0.52, 0.004)
    assert gauge("macro_ap") == before
