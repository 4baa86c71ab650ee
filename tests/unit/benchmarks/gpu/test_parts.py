"""Parts of `make gpu-check`: one that fails or is cut says so, and what a bare machine needs is known."""

import re
import sys
from pathlib import Path

import pytest

from benchmarks.gpu.part import PARTS, main
from benchmarks.gpu.processes import SHARES_S, run_part
from benchmarks.gpu.training import Stopwatch
from benchmarks.gpu.wheels import ROOT, name_of, needed


def test_each_part_has_its_time_and_all_together_stay_below_six_minutes():
    assert list(PARTS) == list(SHARES_S)
    assert sum(SHARES_S.values()) <= 350


def test_a_part_that_raises_has_failed_and_says_why(tmp_path: Path):
    found = run_part("nothing", Path(sys.executable), tmp_path, "cpu", 60)
    assert found["outcome"] == "failed (exit code 1)"
    assert found["figures"] == {}
    assert "KeyError: 'nothing'" in found["said"]


def test_a_part_is_cut_when_its_time_is_over(tmp_path: Path):
    assert run_part("decode", Path(sys.executable), tmp_path, "cpu", 0)["outcome"] == "cut after 0 s"


def test_figures_before_a_failure_are_kept(tmp_path: Path, monkeypatch):
    def half(device):
        yield "device", device
        yield "rate", 1 / 3
        raise RuntimeError

    monkeypatch.setitem(PARTS, "decode", "encoder.half")
    monkeypatch.setattr("benchmarks.gpu.encoder.half", half, raising=False)
    with pytest.raises(RuntimeError):
        main("decode", tmp_path / "figures.json", "cpu")
    assert (tmp_path / "figures.json").read_text() == '{"device": "cpu", "rate": 0.33333}'


def test_what_is_needed_is_pinned_and_leaves_torch_to_the_machine():
    pinned = {name.lower() for name in re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(), re.M)}
    names = {name_of(text) for text in needed()}
    assert {"numpy", "pytest", "river"} < names
    assert "torch" not in names
    assert {name.replace("-", "_") for name in names} <= {name.replace("-", "_") for name in pinned}


def test_stages_are_named_by_the_network_that_they_train():
    watch = Stopwatch()
    for what in ("reading pictures", "epoch 1", "epoch 1", "epoch 2", "epoch 1", "epoch 2"):
        watch(what, 1, 2)
    names = [name for name, _ in watch.figures("head", "last blocks")]
    assert names == [
        "reading_pictures_s", "head_epoch_1_s", "head_epoch_2_s", "last_blocks_epoch_1_s", "last_blocks_epoch_2_s"
    ]  # fmt: skip
    assert all(seconds >= 0 for _, seconds in watch.figures("head", "last blocks"))
