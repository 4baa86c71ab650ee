"""The network's share: nothing before it is proved, and what is served is counted."""

import numpy as np
import pytest

from models.ranking.blend import PROOF_PAIRS, Blend


def test_blend_gives_the_network_nothing_before_it_has_proved_itself() -> None:
    rng = np.random.default_rng(0)
    blend = Blend()
    weak, strong = rng.normal(0.2, 1, PROOF_PAIRS), rng.normal(2, 1, PROOF_PAIRS)
    ones = np.ones(PROOF_PAIRS)
    blend.observe(weak[1:], strong[1:], ones[1:])
    assert blend.share == 0
    blend.observe(weak[:1], strong[:1], ones[:1])
    assert blend.share == 1
    for _ in range(20):
        blend.observe(strong, weak, ones)
    assert blend.share == 0


def test_accuracy_counts_ties_half() -> None:
    blend = Blend()
    assert blend.accuracy == 0.5
    margins = np.array([1.0, 0.0, -1.0, 2.0])
    blend.observe(margins, margins, np.ones(4))
    assert blend.accuracy == pytest.approx(2.5 / 4)
