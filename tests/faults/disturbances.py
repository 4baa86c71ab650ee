"""What is done to workers while a story is told: killed, frozen, ended, added, removed, and the index away."""

import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.telling import AHEAD, Telling

PLAN = (
    [("_kill", "ingest")] * 5 + [("_kill", "tags")] * 3 + [("_kill", "ranking")] * 3
    + [("_kill", "index")] * 2 + [("_kill", "serve")]
    + [("_freeze", "ingest")] * 4 + [("_freeze", role) for role in ("tags", "ranking", "index", "serve")]
    + [("_end", "ingest")] * 2 + [("_end", "tags")] * 2 + [("_end", role) for role in ("ranking", "index", "serve")]
    + [("_scale", "ingest")] * 6
    + [("_restart_without_index", "ingest")] * 2 + [("_restart_without_index", "ranking")]
    + [("_rebalance_without_index", how) for how in ("SIGKILL", "SIGSTOP")]
)  # fmt: skip
MOST_INGEST = 3
AWAY_S = 10.0  # the index, while others restart or partitions change hands
FROZEN_S = 2.5  # a worker that is in no group
OURS = "partitions that are ours from now on"
UP = {"ingest": OURS, "tags": "tagger version", "ranking": "ranker version"}  # what a worker says that works


def plan(seed: int, *, index: bool) -> list[tuple[str, str]]:
    """The 40 disturbances in a seeded order; without `index` it is a server that is not ours to end."""
    disturbances = list(PLAN)
    if not index:
        disturbances = [("_kill", "ingest") if "index" in " ".join(one) else one for one in disturbances]
    random.Random(seed).shuffle(disturbances)
    return disturbances


class Disturber:
    """Disturbs one cluster by a plan of pairs (kind, what), one for each chapter; see Telling.tell.

    Attributes:
        done: how often each thing was done.
        met: how many disturbances met records that were posted and not done.
    """

    def __init__(self, telling: Telling, disturbances: list[tuple[str, str]], seed: int) -> None:
        self._telling = telling
        self._cluster = telling.cluster
        self._plan = disturbances
        self._rng = random.Random(seed)
        self._session_s = self._cluster.settings.kafka.session_timeout_ms / 1000
        self._target = ""
        self.done: Counter[str] = Counter()
        self.met = 0

    def ready(self, number: int) -> None:
        """Choose who is to be disturbed next, and let those it concerns get to work."""
        if number >= len(self._plan):
            return
        kind, what = self._plan[number]
        of_group = kind in ("_rebalance_without_index", "_scale") or (kind, what) == ("_freeze", "ingest")
        if of_group and len(self._ingest()) == 1:  # somebody has to take over, or else it is as if time stood still
            self._add()
        self._target = (
            what if what in self._cluster.processes and what != "ingest" else self._rng.choice(self._ingest())
        )
        for name in (self._target, *(self._ingest() if of_group else ()), *(("index",) if "index" in kind else ())):
            self._wait_up(name)

    def disturb(self, number: int) -> None:
        """Do it once a seeded part of what is under way is done."""
        if number >= len(self._plan):
            return
        kind, what = self._plan[number]
        telling, following = self._telling, min(number + AHEAD, len(self._telling.story.chapters) - 1)
        enough = telling.left(following) * self._rng.uniform(0.3, 1.0)
        telling.wait(lambda: telling.left(following) <= enough, f"progress after chapter {number}", pause_s=0.002)
        left = telling.left(following)
        self.met += left > 0
        print(f"{time.strftime('%H:%M:%S')} {kind[1:]} {self._target if what == 'ingest' else what}: {left} in flight")
        self.done[getattr(self, kind)(what)] += 1

    def _kill(self, role: str) -> str:
        """SIGKILL, and a new one at once."""
        self._cluster.kill(self._target)
        self._cluster.start(self._target)
        return f"SIGKILL {role}"

    def _end(self, role: str) -> str:
        """SIGTERM, exit code 0, and a new one."""
        self._cluster.stop(self._target)
        self._cluster.start(self._target)
        return f"SIGTERM {role}"

    def _freeze(self, role: str) -> str:
        """SIGSTOP, SIGCONT; an ingest worker for so long that its group forgets it, and it has to join again."""
        if role == "ingest":
            with self._change_of_hands():
                self._cluster.freeze(self._target)
                _hold(self._session_s + 0.5)
            _hold(1.0)  # the new owner goes on meanwhile
            self._thaw()
        else:
            self._cluster.freeze(self._target)
            _hold(FROZEN_S)
            self._cluster.thaw(self._target)
        return f"SIGSTOP, then SIGCONT {role}"

    def _scale(self, role: str) -> str:
        """One ingest worker more, or one less."""
        if len(self._ingest()) < MOST_INGEST and self._rng.random() < 0.5:
            self._add()
            return f"{role} added"
        self._cluster.stop(self._target)
        return f"{role} removed"

    def _restart_without_index(self, role: str) -> str:
        """A worker is killed and starts while the index is away."""
        with self._index_away():
            self._cluster.kill(self._target)
            self._cluster.start(self._target)
        return f"index away in a restart of {role}"

    def _rebalance_without_index(self, how: str) -> str:
        """Partitions change hands while the index is away."""
        with self._index_away(), self._change_of_hands():
            (self._cluster.kill if how == "SIGKILL" else self._cluster.freeze)(self._target)
        if how == "SIGKILL":
            self._cluster.start(self._target)
        else:
            self._thaw()
        return f"index away in a rebalance after {how}"

    def _add(self) -> None:
        self._cluster.start(next(n for n in ("ingest", "ingest-2", "ingest-3") if n not in self._cluster.processes))

    def _thaw(self) -> None:
        """The zombie goes on, and has to join its group again."""
        name, before = self._target, self._cluster.said(self._target, OURS)
        self._cluster.thaw(name)
        self._telling.wait(lambda: self._cluster.said(name, OURS) > before, f"{name} to join again")

    @contextmanager
    def _index_away(self) -> Iterator[None]:
        """Killed or ended, and ten seconds without."""
        (self._cluster.kill if self._rng.random() < 0.5 else self._cluster.stop)("index")
        until_s = time.monotonic() + AWAY_S
        yield
        _hold(until_s - time.monotonic())
        self._cluster.start("index")

    @contextmanager
    def _change_of_hands(self) -> Iterator[None]:
        """After what is done here, one of the others gets partitions."""
        before = {name: self._cluster.said(name, OURS) for name in self._ingest() if name != self._target}
        yield

        def taken() -> bool:
            return any(self._cluster.said(name, OURS) > count for name, count in before.items())

        self._telling.wait(taken, f"partitions of {self._target} to change hands")

    def _ingest(self) -> list[str]:
        return sorted(name for name in self._cluster.processes if name.startswith("ingest"))

    def _wait_up(self, name: str) -> None:
        role = name.partition("-")[0]

        def up() -> bool:
            if role == "index":
                return self._telling.left(0) == 0  # the first chapter was done long ago
            if role == "serve":
                return self._telling.ask("/livez") is not None
            return self._cluster.said(name, UP[role]) > 0

        self._telling.wait(up, f"{name} to be up")


def _hold(seconds: float) -> None:
    """Leave things as they are: the time is the disturbance."""
    time.sleep(max(0.0, seconds))
