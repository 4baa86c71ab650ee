"""Versions in files: each is there however a follower came to it, and most are a part of the whole."""

import numpy as np
import pytest

from models.tagging.examples import Example
from models.tagging.serving.delta import encode
from models.tagging.tagger import Tagger
from search.served import ServedModels
from stream.environment import load_settings
from stream.learn.snapshot_encoder import DELTA_SHARE, SnapshotEncoder
from stream.log.model_versions import ModelPublisher
from tests.fakes import FakeWriter

D = 16


def examples(start, stop, tag):
    rng = np.random.default_rng(start)
    codes = rng.integers(-9_000, 9_000, (stop - start, D), dtype=np.int16)
    return [Example(f"i{n}", codes[n - start], (tag(n),)) for n in range(start, stop)]


def served(models):
    return encode(models.tagger.predictor.snapshot)


class Site:
    """A learner whose versions go out as the tags worker sends them."""

    def __init__(self, tmp_path):
        self.tagger, self.writer = Tagger(dimension=D), FakeWriter()
        self.sizes, self.kinds, self.fingerprints = [], [], []
        self._encoder = SnapshotEncoder()
        self._publisher = ModelPublisher(load_settings({}, data_dir=tmp_path), "tagger", self.writer)

    def publish(self, new):
        self.tagger.learn_many(new, self.tagger.next_position)
        snapshot = self.tagger.snapshot(partial=True)
        content, kind = self._encoder.encode(snapshot)
        self._publisher.publish(snapshot.version, content, [], kind)
        self.sizes.append(len(content))
        self.kinds.append(kind)
        self.fingerprints.append(encode(snapshot))
        return self.writer.events[-1]


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def test_where_tags_are_new_at_every_moment_a_follower_has_each_version_and_files_are_small(site):
    whole = 0
    follower = ServedModels()
    for start in range(0, 1_200, 30):
        event = site.publish(examples(start, start + 30, lambda n: f"tag {n}"))
        whole += len(encode(site.tagger.snapshot(partial=True)))
        follower.take(event)
        late = ServedModels()
        late.take(event)
        assert served(follower) == served(late) == site.fingerprints[-1]
    assert set(site.kinds) == {"full", "delta"}
    assert sum(site.sizes) < whole / 2


def test_a_late_follower_reads_one_whole_version_and_a_share_of_it(site, tmp_path):
    for start in range(0, 600, 20):
        event = site.publish(examples(start, start + 20, lambda n: f"tag {n}"))
        files = {path.as_uri(): path.stat().st_size for path in tmp_path.rglob("*.safetensors")}
        full, *deltas = [files[uri] for uri in (*event.base_uris, event.uri)]
        assert sum(deltas) <= DELTA_SHARE * full


def test_where_little_changes_deltas_leave_their_base_where_it_is(site):
    site.publish(examples(0, 400, lambda n: f"tag {n}"))
    for start in range(400, 410):
        event = site.publish(examples(start, start + 1, lambda n: "tag 7"))
    assert site.kinds == ["full"] + ["delta"] * 10
    assert event.base_uris == (site.writer.events[0].uri,)


def test_where_nearly_all_rows_are_new_the_version_is_whole_and_later_deltas_stand_on_it(site):
    site.publish(examples(0, 400, lambda n: f"tag {n}"))
    site.publish(examples(400, 800, lambda n: f"tag {n - 400}"))
    event = site.publish(examples(800, 830, lambda n: f"tag {n}"))
    assert site.kinds == ["full", "full", "delta"]
    assert event.base_uris == (site.writer.events[1].uri,)


def test_a_follower_that_missed_versions_reads_the_whole_one_below(site):
    follower = ServedModels()
    for start in range(0, 300, 20):
        event = site.publish(examples(start, start + 20, lambda n: f"tag {n}"))
        if start % 100 == 0:
            follower.take(event)
            assert served(follower) == site.fingerprints[-1]
