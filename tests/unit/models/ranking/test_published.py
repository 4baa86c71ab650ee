"""The served ranker: the learner's scores without torch."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from models.errors import ConfigurationError, EncoderMismatchError
from models.ranking.published import PublishedRanker
from models.ranking.ranknet import Ranker


def test_published_ranker_scores_alike_and_survives_a_file(tmp_path: Path) -> None:
    preferred, over = np.random.default_rng(4).standard_normal((2, 200, 16), np.float32)
    ranker = Ranker(16)
    ranker.learn_many(preferred, over)
    published = ranker.published()
    (tmp_path / "ranker.safetensors").write_bytes(published.encoded())
    loaded = PublishedRanker.load(tmp_path / "ranker.safetensors")
    assert (loaded.version, loaded.pairs_seen) == (ranker.version, 200)
    assert np.array_equal(loaded.score(over), published.score(over)) and loaded.score(over).dtype == np.float32
    assert ranker.published() is published


def test_published_score_equals_arithmetic_written_out() -> None:
    linear, hidden = np.float32([1, -2]), np.float32([[1, 0, -1], [0, 2, 1]])
    bias, output = np.float32([0, -1, 0.5]), np.float32([1, 3, 2])
    ranker = PublishedRanker(linear, hidden, bias, output, 0.25, version=1, pairs_seen=1, progressive_accuracy=0.5)
    # x = (3, 1): w.x = 1; hidden (3, 2, -2) + bias = (3, 1, -1.5) -> relu (3, 1, 0) . output = 6
    assert ranker.score(np.float32([[3, 1]])).tolist() == [0.75 * 1 + 0.25 * 6]


def test_vectors_of_another_length_and_foreign_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EncoderMismatchError):
        Ranker(4).published().score(np.zeros((2, 5), np.float32))
    (tmp_path / "junk").write_bytes(b"junk" * 10)
    with pytest.raises(ConfigurationError):
        PublishedRanker.load(tmp_path / "junk")


def test_serving_does_not_import_torch() -> None:
    code = "import sys, models.ranking.published; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
