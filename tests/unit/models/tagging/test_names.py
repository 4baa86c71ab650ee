"""Tag names and fixed-point vectors: what goes in, what comes out, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from models.errors import PolicyError
from models.quantise import SCALE, dequantise, quantise
from models.tagging.memory.names import normalise_tag


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("  Red   Panda ", "red panda"),
        ("red_panda", "red panda"),
        ("STRASSE", "strasse"),
        ("Straße", "strasse"),
        ("ﬁre", "fire"),
        ("ＡＢＣ", "abc"),
        ("猫", "猫"),
        ("ﾈｺ", "ネコ"),
        ("か\u3099", "が"),
        ("東京　タワー", "東京 タワー"),
        ("👩‍👩‍👧‍👦", "👩‍👩‍👧‍👦"),
        ("❤️", "❤️"),
        ("🏴󠁧󠁢󠁥󠁮󠁧󠁿", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"),
        ("^_^", "^ ^"),
        ("a\tb\nc", "a b c"),
        ("___", "___"),
        ("x" * 100, "x" * 100),
    ],
)
def test_one_spelling(written: str, name: str) -> None:
    assert normalise_tag(written) == name
    assert normalise_tag(name) == name


@pytest.mark.parametrize("written", ["", "   ", "x" * 101, "a\x00b", "a\x07", "a\u202eb", "\ufeff", "\ud800"])
def test_refuses_what_cannot_be_a_tag(written: str) -> None:
    with pytest.raises(PolicyError) as caught:
        normalise_tag(written)
    assert caught.value.reason == "bad_tag"
    assert "expected" in str(caught.value)


def test_every_code_survives_the_round_trip() -> None:
    codes = np.arange(-SCALE, SCALE + 1, dtype=np.int16)[:, None]
    values = dequantise(codes)
    assert values.dtype == np.float32
    assert np.array_equal(np.rint(values * np.float32(SCALE)).astype(np.int16), codes)


def test_quantise_returns_what_it_was_given() -> None:
    vectors = np.random.default_rng(0).standard_normal((200, 512)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    codes = quantise(vectors)
    assert np.array_equal(quantise(dequantise(codes)), codes)
    assert np.abs(dequantise(codes) - vectors).max() <= 0.5 / SCALE + 1e-7


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
