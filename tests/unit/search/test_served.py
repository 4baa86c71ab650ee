"""The versions that serve, taken over as they are announced."""

import hashlib
from dataclasses import replace

import pytest
from prometheus_client import REGISTRY

from models.tagging.calibration.metrics import Quality
from models.tagging.serving.delta import encode
from models.tagging.serving.snapshot import Snapshot
from search.served import ServedModels
from stream.events.schema import ModelPublished
from stream.log.model_versions import ModelFollower, ModelPublisher
from stream.log.produce import LogWriter
from stream.log.topics import create_topics
from tests.cluster import wait_for

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


@pytest.fixture
def publisher(broker_settings):
    create_topics(broker_settings)
    writer = LogWriter(broker_settings, "test")
    yield ModelPublisher(broker_settings, "tagger", writer)
    writer.close()


@pytest.mark.parametrize("defect", [b"no model", encode(Snapshot.empty(8, version=2))[:-9]])
def test_a_file_that_cannot_be_decoded_leaves_the_old_version_serving_and_is_said(broker_settings, publisher, defect):
    """Its announcement and hash are right: it was published so. The same for a delta on it."""
    served = ServedModels()
    follower = ModelFollower(broker_settings, served.take)
    follower.start()

    def serves(version):
        return served.tagger is not None and served.tagger.predictor.snapshot.version == version

    try:
        publisher.publish(1, encode(Snapshot.empty(8, version=1)), [])
        wait_for(lambda: serves(1), "the first version", 20)
        publisher.publish(2, defect, [])
        said = wait_for(lambda: follower.failing, "the defect to be said", 20)
        assert said.startswith("tagger version 2: CheckpointError: ")
        publisher.publish(3, encode(Snapshot.empty(8, version=3), Snapshot.empty(8, version=2)), [], "delta")
        wait_for(lambda: "tagger version 3" in follower.failing, "the next to be said", 20)
        assert serves(1)
        publisher.publish(4, encode(Snapshot.empty(8, version=4)), [])
        wait_for(lambda: serves(4) and follower.failing is None, "a later version", 20)
    finally:
        follower.stop()
        follower.join(20)
