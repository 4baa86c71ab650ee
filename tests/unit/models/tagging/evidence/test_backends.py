"""torch gives what NumPy gives: every product, and what is learned with it."""

import contextlib
import copy
import itertools

import numpy as np
import pytest
import torch

from models.cuda import cuda_is_available
from models.errors import UsageError
from models.tagging import tagger as tagger_module
from models.tagging.evidence.backend import NUMPY, load_backend
from models.tagging.evidence.kriging import kriging_weights
from models.tagging.evidence.ridge import invert_gram
from models.tagging.memory.chunks import CHUNK, Chunks
from models.tagging.tagger import Tagger
from tests.digests import digest
from tests.pretended_device import DEVICE, DEVICES, PretendedBackend, Pretending, torch_backend
from tests.tagged_images import DIMENSION, images, queries, whole


@pytest.fixture(params=DEVICES)
def backend(request):
    with torch_backend(request.param) as made:
        yield made


@pytest.mark.gpu
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
    assert np.allclose(backend.similarity(asked, chunks), asked @ whole(chunks).T, atol=1e-4)
    assert backend.similarity(asked, Chunks.of(np.empty((0, 24), np.float32))).shape == (3, 0)


def test_kriging_is_numpys(backend):
    random = np.random.default_rng(0)
    near = random.standard_normal((4, 60, 256)).astype(np.float32)
    asked = near.mean(axis=1) + random.standard_normal((4, 256)).astype(np.float32)
    assert np.allclose(backend.kriging_weights(near, asked), kriging_weights(near, asked), atol=1e-4)
    assert backend.kriging_weights(near[:, :0], asked).shape == (4, 0)


@pytest.mark.parametrize("name", ["numpy", pytest.param("torch", marks=pytest.mark.gpu)])
def test_a_matrix_without_an_inverse_is_refused(name):
    with pytest.raises(np.linalg.LinAlgError):
        load_backend(name).inverse(-np.eye(3))
    with pytest.raises(np.linalg.LinAlgError):
        load_backend(name).solve(-np.eye(3), np.eye(3))
    with pytest.raises(UsageError, match="ridge_lambda -1"):
        invert_gram(np.zeros((3, 3)), np.zeros(3), 0, -1.0, load_backend(name))


def learn(log, cuts, name):
    tagger = Tagger(DIMENSION, backend=name)
    for start, stop in itertools.pairwise([0, *cuts, len(log)]):
        tagger.learn_many(log[start:stop], start)
    return tagger


@pytest.fixture(params=[pytest.param("cpu or GPU", marks=pytest.mark.gpu), "pretended"])
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
    assert torchs.quality().lrap == pytest.approx(numpys.quality().lrap, rel=0.01)
    a, b = (tagger.predictor().probabilities(queries(50)) for tagger in (numpys, torchs))
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
