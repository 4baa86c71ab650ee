"""The projection's arithmetic, on small made-up features."""

from pathlib import Path

import numpy as np
import pytest

from models.encoders.base import Vectors
from models.encoders.efficientnet.outputs import LITE0
from models.encoders.projection import Projection, fit_projection
from models.encoders.registry.folders import SHIPPED
from models.errors import ConfigurationError, UsageError

PARTS = LITE0.parts
FEATURES = sum(PARTS)


@pytest.fixture(scope="module")
def features() -> Vectors:
    """300 rows with 40 hidden causes; parts of very different scales."""
    rng = np.random.default_rng(0)
    mixed = rng.standard_normal((300, 40)) * np.geomspace(4, 0.5, 40) @ rng.standard_normal((40, FEATURES))
    scale = np.repeat([0.01, 1, 30, 2, 5, 0.3, 8, 1, 1], PARTS)
    return ((mixed + 0.3 * rng.standard_normal((300, FEATURES)) + 7) * scale).astype(np.float32)


@pytest.fixture(scope="module")
def projection(features: Vectors) -> Projection:
    return fit_projection(features, PARTS, 16)


def test_fit_equals_the_definition_up_to_a_rotation(features: Vectors, projection: Projection) -> None:
    raw = features.astype(np.float64)
    parts = []
    for part in np.split(raw, np.cumsum(PARTS)[:-1], axis=1):
        centred = part - part.mean(axis=0)
        parts.append(centred / np.sqrt((np.linalg.norm(centred, axis=1) ** 2).mean()))
    _, strengths, rows = np.linalg.svd(np.concatenate(parts, axis=1), full_matrices=False)
    expected = np.concatenate(parts, axis=1) @ rows[:16].T / np.sqrt(strengths[:16])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    vectors = projection.apply(features)
    assert np.abs(vectors @ vectors.T - expected @ expected.T).max() < 5e-3  # float16 of the matrix


def test_rotation_makes_signs_a_better_code(features: Vectors, projection: Projection) -> None:
    def error(fitted: Projection) -> float:
        vectors = fitted.apply(features)
        corners = np.where(vectors >= 0, 1, -1) / np.sqrt(16)
        return float(np.square(vectors - corners).sum(axis=1).mean())

    assert error(projection) < 0.95 * error(fit_projection(features, PARTS, 16, itq_rounds=0))


def test_vectors_have_length_one_and_no_batch(features: Vectors, projection: Projection) -> None:
    vectors = projection.apply(features)
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-6
    for start, end in ((0, 1), (7, 40), (250, 300)):
        assert np.array_equal(projection.apply(features[start:end]), vectors[start:end])


def test_features_at_the_centre_still_give_a_unit_vector(projection: Projection) -> None:
    vector = projection.apply(projection.centre[None])
    assert vector[0, 0] == 1 and np.count_nonzero(vector) == 1


def test_same_pictures_same_file(features: Vectors, projection: Projection, tmp_path: Path) -> None:
    again = fit_projection(features, PARTS, 16)
    assert np.array_equal(again.matrix, projection.matrix)
    assert not np.array_equal(fit_projection(features, PARTS, 16, seed=1).matrix, projection.matrix)
    projection.save(tmp_path / "p.safetensors")
    loaded = Projection.load(tmp_path / "p.safetensors", FEATURES)
    assert np.array_equal(loaded.matrix, projection.matrix) and loaded.dimension == 16


def test_refuses_too_few_pictures_and_foreign_files(features: Vectors, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--dimension"):
        fit_projection(features[:16], PARTS, 16)
    (tmp_path / "junk").write_bytes(b"junk" * 100)
    with pytest.raises(ConfigurationError):
        Projection.load(tmp_path / "junk", FEATURES)
    Projection(np.zeros(3, np.float32), np.zeros((3, 2), np.float16)).save(tmp_path / "small")
    with pytest.raises(ConfigurationError, match="encoder fit"):
        Projection.load(tmp_path / "small", FEATURES)


def test_the_shipped_file_is_small() -> None:
    assert SHIPPED.stat().st_size < 6_000_000
    assert Projection.load(SHIPPED, FEATURES).matrix.shape == (FEATURES, 512)


def test_no_projection_is_the_features_by_weight_and_nothing_larger(features: Vectors) -> None:
    none = Projection.none(PARTS)
    assert none.matrix.size == none.dimension == FEATURES
    vectors = none.apply(features[:3])
    weighed = features[:3] * np.repeat([np.float16(1 / np.sqrt(part)) for part in PARTS], PARTS).astype(np.float32)
    expected = weighed / np.linalg.norm(weighed, axis=1, keepdims=True)
    assert np.abs(vectors - expected).max() < 1e-6
    assert none.apply(np.zeros((1, FEATURES), np.float32))[0, 0] == 1
