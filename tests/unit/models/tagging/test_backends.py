"""torch gives what NumPy gives: every product, what is learned with it, and what a snapshot predicts."""

from __future__ import annotations

import contextlib
import copy
import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from models.cuda import cuda_is_available
from models.errors import UsageError
from models.tagging import tagger as tagger_module
from models.tagging.evidence.backend import NUMPY, load_backend
from models.tagging.evidence.kriging import kriging_weights
from models.tagging.evidence.ridge import invert_gram
from models.tagging.evidence.torch_backend import TorchBackend
from models.tagging.examples import Example, TagOperation
from models.tagging.memory.chunks import CHUNK, Chunks
from models.tagging.serving.predictor import FEW
from models.tagging.state import digest
from models.tagging.tagger import Tagger
from tests.pretended_device import DEVICE, PretendedBackend, Pretending
from tests.unit.models.tagging.test_snapshot import DIMENSION, images, learner, queries

NO_GPU = pytest.mark.skipif(not cuda_is_available(), reason="no GPU that torch can use")
DEVICES = ["cpu", "pretended", pytest.param("cuda", marks=NO_GPU)]


@pytest.fixture(params=DEVICES)
def backend(request):
    if request.param != "pretended":
        yield TorchBackend(request.param)
        return
    with Pretending():
        yield PretendedBackend()


def test_auto_is_torch_only_where_there_is_a_gpu():
    assert (load_backend("auto") is NUMPY) is not cuda_is_available()
    assert load_backend("numpy") is NUMPY
    assert load_backend("torch").device == ("cuda" if cuda_is_available() else "cpu")


def test_products_are_numpys(backend):
    random = np.random.default_rng(0)
    matrix = random.standard_normal((24, 24))
    matrix = matrix @ matrix.T + np.eye(24)
    assert np.allclose(backend.inverse(matrix), NUMPY.inverse(matrix), atol=1e-9)
    right = random.standard_normal((24, 5))
    assert np.allclose(backend.solve(matrix, right), NUMPY.solve(matrix, right), atol=1e-9)
    sums = random.integers(-(1 << 40), 1 << 40, (20_000, 24))
    share, total = random.random(20_000), random.standard_normal(24) * 1e6
    centred = sums / 32767 - share[:, None] * total
    found = backend.centred_times(sums, share, total, matrix)
    assert np.allclose(found, NUMPY.centred_times(sums, share, total, matrix), rtol=1e-4, atol=1e3)
    assert np.allclose(found, centred @ matrix, rtol=1e-4, atol=1e3)
    scatter = backend.scatter(sums, share, total, share)
    assert np.allclose(scatter, NUMPY.scatter(sums, share, total, share), rtol=1e-4, atol=scatter.max() * 1e-6)
    assert np.allclose(scatter, (centred * share[:, None]).T @ centred, rtol=1e-4, atol=scatter.max() * 1e-6)
    asked = random.standard_normal((3, 24)).astype(np.float32)
    scores = backend.scores(asked, sums)
    assert np.allclose(scores, NUMPY.scores(asked, sums), rtol=1e-4, atol=1e7)
    assert np.allclose(scores, asked.astype(np.float64) @ sums.T, rtol=1e-4, atol=1e7)
    chunks = Chunks.of(random.standard_normal((CHUNK + 7, 24)).astype(np.float32))
    assert np.allclose(backend.likeness(asked, chunks), asked @ chunks.whole().T, atol=1e-4)
    assert backend.likeness(asked, Chunks.of(np.empty((0, 24), np.float32))).shape == (3, 0)


def test_kriging_is_numpys(backend):
    random = np.random.default_rng(0)
    near = random.standard_normal((4, 60, 256)).astype(np.float32)
    asked = near.mean(axis=1) + random.standard_normal((4, 256)).astype(np.float32)
    assert np.allclose(backend.kriging_weights(near, asked), kriging_weights(near, asked), atol=1e-4)
    assert backend.kriging_weights(near[:, :0], asked).shape == (4, 0)


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_a_matrix_without_an_inverse_is_refused(name):
    with pytest.raises(np.linalg.LinAlgError):
        load_backend(name).inverse(-np.eye(3))
    with pytest.raises(np.linalg.LinAlgError):
        load_backend(name).solve(-np.eye(3), np.eye(3))
    with pytest.raises(UsageError, match="ridge_lambda -1"):
        invert_gram(np.zeros((3, 3)), np.zeros(3), 0, -1.0, load_backend(name))


def operated(tagger):
    tagger.learn_many(
        [
            TagOperation("s1", "merge", ("tag 1", "tag 2"), "tag 1"),
            TagOperation("s2", "imply", ("tag 4",), "tag 5"),
            TagOperation("s3", "forget", ("tag 6",)),
            Example("late", images(3, 1, 25)[0].vector, ("brand new",)),
        ],
        tagger.next_position,
    )
    return tagger


def test_a_snapshot_predicts_what_numpy_predicts(backend):
    ours = operated(learner(2000)).snapshot(wait=True)
    assert ours.backend is NUMPY or cuda_is_available()
    numpys, torchs = replace(ours, backend=NUMPY), replace(ours, backend=backend)
    assert ours.implied and ours.hidden.size and ours.co_occurrence.tags.size
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


def test_a_snapshot_that_knows_little_predicts_as_well(backend):
    tagger = Tagger(DIMENSION)
    nothing = replace(tagger.snapshot(), backend=backend)
    assert nothing.probabilities(queries(2)).shape == (2, 0)
    log = images(0, 3, 25)
    for count in range(1, 4):
        tagger.learn_many(log[:count], 0)
        ours = tagger.snapshot(wait=True)
        torchs = replace(ours, backend=backend)
        assert np.allclose(
            torchs.probabilities(queries(2)), replace(ours, backend=NUMPY).probabilities(queries(2)), atol=1e-3
        )
    assert torchs.probabilities(np.empty((0, DIMENSION), np.float32)).shape == (0, len(torchs))


def test_a_new_version_uploads_only_what_changed(backend, monkeypatch):
    uploaded = []
    put = backend.put
    monkeypatch.setattr(backend, "put", lambda array: uploaded.append(array.shape) or put(array))
    random = np.random.default_rng(0)
    old = Chunks.of(random.standard_normal((3 * CHUNK, 8)).astype(np.float32))
    backend.keep("ridge", old)
    assert uploaded.count((CHUNK, 8)) == 3
    new = old.replaced(np.array([CHUNK + 1]), np.ones((1, 8), np.float32), 3 * CHUNK)
    assert np.array_equal(backend.keep("ridge", new).cpu().numpy(), new.whole())
    assert uploaded.count((CHUNK, 8)) == 4


def learn(log, cuts, name):
    tagger = Tagger(DIMENSION, backend=name)
    for start, stop in itertools.pairwise([0, *cuts, len(log)]):
        tagger.learn_many(log[start:stop], start)
    return tagger


@pytest.fixture(params=["cpu or GPU", "pretended"])
def with_torch(request, monkeypatch):
    """Learns with torch, also where everything must be moved to a device and back."""
    if request.param == "pretended":
        made = PretendedBackend()
        monkeypatch.setattr(tagger_module, "load_backend", lambda name: made if name == "torch" else load_backend(name))
    with Pretending() if request.param == "pretended" else contextlib.nullcontext():
        yield lambda log, cuts: learn(log, cuts, "torch")


def test_learning_comes_to_the_same(with_torch):
    log = images(0, 1500, 25)
    numpys, torchs = learn(log, [700], "numpy"), with_torch(log, [700])
    assert np.array_equal(numpys.statistics.sums.tags, torchs.statistics.sums.tags)
    assert (numpys.snapshot().backend is NUMPY) is not (torchs.snapshot().backend is NUMPY)
    assert torchs.progress.lrap == pytest.approx(numpys.progress.lrap, rel=0.01)
    a, b = (tagger.snapshot(wait=True).probabilities(queries(50)) for tagger in (numpys, torchs))
    assert np.abs(a - b).max() < 0.02


def test_a_replay_in_other_batches_gives_the_same_bits(with_torch):
    log = images(0, 1500, 25)
    whole = with_torch(log, [])
    in_pieces = with_torch(log, [100, 101, 640, 1200])
    assert digest(whole) == digest(in_pieces)
    assert digest(copy.deepcopy(whole)) == digest(whole)


def test_the_pretended_device_refuses_what_a_gpu_refuses():
    with Pretending():
        there, here = torch.ones(3, device=DEVICE), torch.ones(3)
        with pytest.raises(RuntimeError, match="expected all tensors to be on"):
            there + here
        with pytest.raises(RuntimeError):
            there.numpy()
        assert (there + torch.tensor(1.0)).cpu().numpy().tolist() == [2.0, 2.0, 2.0]
