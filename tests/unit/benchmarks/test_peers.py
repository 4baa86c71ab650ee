"""Peers of `mekiki bench tagger`: measured, left out by name, or an error."""

import pytest

from benchmarks.tagger.peers import SPEED, Peer, check_installed, running
from benchmarks.tagger.speed_peers import run_peers
from benchmarks.workloads import TagStream
from models.errors import ConfigurationError


def test_a_peer_that_cannot_be_imported_is_named_with_the_remedy(monkeypatch, tmp_path):
    (tmp_path / "sklearn.py").write_text("raise ImportError('of another age')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"scikit-learn: .*another age.*make bench.*--without scikit-learn"):
        check_installed({Peer.SKLEARN, Peer.RIVER})
    check_installed({Peer.RIVER})


def test_a_peer_that_fails_is_named_with_the_remedy():
    with pytest.raises(ConfigurationError, match=r"peer torch: .*out of memory.*--without torch"), running(Peer.TORCH):
        raise RuntimeError("out of memory")


def test_only_what_was_left_out_has_no_figure():
    without = {Peer.VOWPAL, Peer.SKLEARN}  # river and torch come with mekiki itself
    measured = run_peers(TagStream(40, 16), without)
    assert {peer.peer for peer in measured} == SPEED
    assert all((peer.images_per_second is None) == (peer.peer in without) for peer in measured)
    assert all(peer.images_per_second > 0 for peer in measured if peer.peer not in without)


def test_vowpal_wabbit_learns_where_it_is_installed():
    pytest.importorskip("vowpalwabbit", reason="Vowpal Wabbit comes with the extra `bench`")
    (vowpal,) = (p for p in run_peers(TagStream(40, 16), set(Peer) - {Peer.VOWPAL}) if p.peer is Peer.VOWPAL)
    assert vowpal.images_per_second > 0
