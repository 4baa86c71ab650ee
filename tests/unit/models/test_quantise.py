"""Fixed-point vectors: what goes in comes out, and what is not of length 1 is refused."""

import numpy as np
import pytest

from models.errors import PolicyError
from models.quantise import SCALE, dequantise, quantise


def test_every_quantised_number_survives_the_round_trip() -> None:
    quantised = np.arange(-SCALE, SCALE + 1, dtype=np.int16)[:, None]
    values = dequantise(quantised)
    assert values.dtype == np.float32
    assert np.array_equal(np.rint(values * np.float32(SCALE)).astype(np.int16), quantised)


def test_quantise_returns_what_it_was_given() -> None:
    vectors = np.random.default_rng(0).standard_normal((200, 512)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    quantised = quantise(vectors)
    assert np.array_equal(quantise(dequantise(quantised)), quantised)
    assert np.abs(dequantise(quantised) - vectors).max() <= 0.5 / SCALE + 1e-7


@pytest.mark.parametrize("bad", [np.nan, np.inf, 5.0])
def test_quantise_refuses_what_is_not_of_length_one(bad: float) -> None:
    vectors = np.eye(3, dtype=np.float32)
    vectors[1, 0] = bad
    with pytest.raises(PolicyError, match="row 1"):
        quantise(vectors)
    with pytest.raises(PolicyError):
        quantise(np.zeros((1, 3), np.float32))
    with pytest.raises(PolicyError):
        quantise(np.zeros(3, np.float32))
