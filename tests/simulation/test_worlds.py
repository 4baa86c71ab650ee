"""Thousands of worlds in which everything goes wrong end as the log alone says; and a fault put in is found."""

import itertools
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.simulation.chance import KINDS
from tests.simulation.run import run_worlds
from tests.simulation.sabotage import SABOTAGES

ROOT = Path(__file__).resolve().parents[2]
WORLDS = 2_000
PROCESSES = 2
WORLDS_FOR_A_SABOTAGE = 200


def simulate(*arguments: object, hash_seed: str = "random") -> subprocess.Popen[str]:
    """The command that a failure names, in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.simulation", *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
        stdout=subprocess.PIPE,
        text=True,
    )


def outputs(*running: subprocess.Popen[str]) -> list[str]:
    """What each of them said, once all have ended."""
    said = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0] * len(running), said
    return said


@pytest.mark.timeout(1_800)  # a slow machine, and others on it
def test_whatever_goes_wrong_the_state_is_that_of_the_log(capsys):
    bounds = [WORLDS * number // PROCESSES for number in range(PROCESSES + 1)]
    found = [json.loads(said) for said in outputs(*(simulate(*b, "--json") for b in itertools.pairwise(bounds)))]
    counts = sum((Counter(one["counts"]) for one in found), Counter())
    with capsys.disabled():
        print(f"\n{WORLDS} worlds; faults injected:")
        print(*(f"{counts[kind]:>9,}  {kind}" for kind in KINDS), sep="\n")
    wrong = [said for one in found for said in one["wrong"]]
    assert not wrong, f"{len(wrong)} worlds are wrong\n\n" + "\n\n".join(wrong[:5])
    assert not [kind for kind in KINDS if not counts[kind]], "faults that were never injected"


@pytest.mark.parametrize("sabotage", SABOTAGES)
def test_a_fault_that_is_put_in_is_found(sabotage, capsys):
    with SABOTAGES[sabotage]():
        outcomes = run_worlds(range(WORLDS_FOR_A_SABOTAGE))
        found = next((outcome for outcome in outcomes if outcome.wrong), None)
    assert found is not None, f"{WORLDS_FOR_A_SABOTAGE} worlds, and nothing seems wrong"
    with capsys.disabled():
        print(f"\n{sabotage}: found by world {found.seed}", end="")


def test_a_seed_replays_to_the_last_step():
    first, second = outputs(*(simulate(3, hash_seed=seed) for seed in ("1", "2")))
    assert first == second
    assert "owner 0 writes" in first
