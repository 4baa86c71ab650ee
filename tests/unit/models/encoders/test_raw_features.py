"""Raw features in a byte a number: what comes back is within half a step, and the same in every batch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.encoders.raw_features import STEPS, pack, raw_bytes, unpack
from models.errors import PolicyError, UsageError

PARTS = (5, 1, 3)
features = arrays(np.float32, (4, sum(PARTS)), elements=st.floats(-1e6, 1e6, width=32))


@given(features)
def test_every_number_is_within_half_a_step_of_its_part(given_features):
    raw = pack(given_features, PARTS)
    assert raw.shape == (4, raw_bytes(PARTS)) and raw.dtype == np.uint8
    edges = np.cumsum(PARTS)[:-1]
    both = zip(np.split(given_features, edges, axis=1), np.split(unpack(raw, PARTS), edges, axis=1), strict=True)
    for before, after in both:
        spread = before.max(axis=1, keepdims=True) - before.min(axis=1, keepdims=True)
        rounding = 4 * np.spacing(np.abs(before).max(axis=1, keepdims=True) + spread)  # of float32
        assert (np.abs(before - after) <= spread / STEPS / 2 + rounding).all()


@given(features)
def test_a_picture_has_the_same_bytes_in_every_batch_and_alone(given_features):
    raw = pack(given_features, PARTS)
    for row in range(len(raw)):
        assert np.array_equal(pack(given_features[row : row + 1], PARTS)[0], raw[row])
        assert np.array_equal(unpack(raw[row : row + 1], PARTS)[0], unpack(raw, PARTS)[row])


def test_other_arrays_are_refused():
    with pytest.raises(UsageError, match="parts"):
        pack(np.zeros((2, 8), np.float32), PARTS)
    with pytest.raises(UsageError, match="parts"):
        unpack(np.zeros((2, 8), np.uint8), PARTS)
    with pytest.raises(PolicyError, match="overflows"):
        pack(np.full((1, 9), np.inf, np.float32), PARTS)
