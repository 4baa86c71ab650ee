"""Worlds one after another: what is wrong in each, and what happened to it."""

import contextlib
import json
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.fakes import Killed
from tests.simulation.compare import differences
from tests.simulation.sabotage import SABOTAGES
from tests.simulation.world import World, stand_ins

MEMORY = Path("/dev/shm")  # where there is one: no world has to outlive this machine


@dataclass(frozen=True)
class Outcome:
    """What came of a world."""

    seed: int
    wrong: tuple[str, ...]
    counts: Counter[str]
    trace: tuple[str, ...]

    def __str__(self) -> str:
        said = "\n".join(self.wrong[:10])
        return f"world {self.seed}:\n{said}\nreplay it: python -m tests.simulation {self.seed}"


def run_world(seed: int, *, trace: bool = False) -> Outcome:
    """One world from its beginning to its end."""
    base = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="mekiki-world-", dir=base) as folder:
        world = World(seed, Path(folder), trace=[] if trace else None)
        with stand_ins(world):
            try:
                world.run()
                world.end()
                wrong = differences(world)
            except (Exception, Killed) as error:  # noqa: BLE001 - in a world nothing may end the service
                wrong = [f"{type(error).__name__}: {error}"]
                world.chance.note(traceback.format_exc())
                world.end()
    return Outcome(seed, tuple(wrong), world.chance.counts, tuple(world.chance.trace or ()))


def run_worlds(seeds: Iterable[int]) -> Iterator[Outcome]:
    """Worlds of these seeds."""
    for seed in seeds:
        yield run_world(seed)


def main(arguments: Sequence[str]) -> None:
    """`SEED [SABOTAGE]`: replay one world. `FIRST END --json`: run those worlds, say what happened as JSON."""
    if arguments[-1] == "--json":
        outcomes = list(run_worlds(range(int(arguments[0]), int(arguments[1]))))
        counts = sum((outcome.counts for outcome in outcomes), Counter())
        print(json.dumps({"counts": counts, "wrong": [str(outcome) for outcome in outcomes if outcome.wrong]}))
        return
    with SABOTAGES[arguments[1]]() if len(arguments) > 1 else contextlib.nullcontext():
        outcome = run_world(int(arguments[0]), trace=True)
    print(*outcome.trace, outcome if outcome.wrong else f"world {outcome.seed}: nothing is wrong", sep="\n")
    sys.exit(bool(outcome.wrong))
