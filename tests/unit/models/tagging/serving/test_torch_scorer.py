"""A snapshot on a device predicts what NumPy predicts, and a new version uploads only what changed."""

from collections.abc import Iterator

import numpy as np
import pytest

from models.quantise import quantise
from models.tagging.evidence.torch_backend import TorchBackend
from models.tagging.examples import Example, TagOperation
from models.tagging.memory.chunks import CHUNK, Chunks
from models.tagging.serving.numpy_scorer import FEW
from models.tagging.serving.predictor import Predictor
from models.tagging.serving.torch_scorer import DeviceCache
from models.tagging.tagger import Tagger
from tests.pretended_device import DEVICES, torch_backend
from tests.tagged_images import DIMENSION, images, learner, queries, whole


@pytest.fixture(params=DEVICES)
def backend(request: pytest.FixtureRequest) -> Iterator[TorchBackend]:
    with torch_backend(request.param) as made:
        yield made


def operated(tagger: Tagger) -> Tagger:
    tagger.learn_many(
        [
            TagOperation("s1", "merge", ("tag 1", "tag 2"), "tag 1"),
            TagOperation("s2", "imply", ("tag 4",), "tag 5"),
            TagOperation("s3", "forget", ("tag 6",)),
            Example("late", quantise(queries(1))[0], ("brand new",)),
        ],
        tagger.next_position,
    )
    return tagger


def test_a_snapshot_predicts_what_numpy_predicts(backend: TorchBackend) -> None:
    snapshot = operated(learner(2000)).snapshot(wait=True)
    numpys, torchs = Predictor(snapshot), Predictor(snapshot, backend)
    assert snapshot.implied and snapshot.columns.hidden.any() and snapshot.co_occurrence.tags.size
    points = queries(300)
    slots = numpys.find_neighbours(points)
    assert np.array_equal(np.sort(torchs.find_neighbours(points)), np.sort(slots))
    for neighbours in (None, slots):
        assert np.allclose(torchs.log_odds(points, neighbours), numpys.log_odds(points, neighbours), atol=2e-3)
    assert np.allclose(torchs.probabilities(points), numpys.probabilities(points), atol=1e-3)
    for tag in ("tag 1", "tag 5", "brand new"):
        assert np.allclose(torchs.score(tag, points), numpys.score(tag, points), atol=1e-3)
    for mine, theirs in zip(torchs.predict(points[:FEW], 3), numpys.predict(points[:FEW], 3), strict=True):
        assert [tag for tag, _ in mine] == [tag for tag, _ in theirs]


def test_a_snapshot_that_knows_little_predicts_as_well(backend: TorchBackend) -> None:
    tagger = Tagger(DIMENSION)
    torchs = Predictor(tagger.snapshot(), backend)
    assert torchs.probabilities(queries(2)).shape == (2, 0)
    log = images(0, 3, 25)
    for count in range(1, 4):
        tagger.learn_many(log[:count], 0)
        snapshot = tagger.snapshot(wait=True)
        torchs = Predictor(snapshot, before=torchs)
        expected = Predictor(snapshot).probabilities(queries(2))
        assert np.allclose(torchs.probabilities(queries(2)), expected, atol=1e-3)
    assert torchs.probabilities(np.empty((0, DIMENSION), np.float32)).shape == (0, len(snapshot.names))


def test_a_new_version_uploads_only_what_changed(backend: TorchBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    uploaded = []
    put = backend.put
    monkeypatch.setattr(backend, "put", lambda array: uploaded.append(array.shape) or put(array))
    random = np.random.default_rng(0)
    cache, old = DeviceCache(backend), Chunks.of(random.standard_normal((3 * CHUNK, 8)).astype(np.float32))
    cache.put("ridge", old)
    assert uploaded.count((CHUNK, 8)) == 3
    new = old.replaced(np.array([CHUNK + 1]), np.ones((1, 8), np.float32), 3 * CHUNK)
    assert np.array_equal(cache.put("ridge", new).cpu().numpy(), whole(new))
    assert uploaded.count((CHUNK, 8)) == 4
