"""One world: made from a seed, run for some steps, drained, and compared with what follows from its log."""

import contextlib
import logging
import os
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from unittest.mock import patch

import torch
from threadpoolctl import ThreadpoolController

from models.errors import FatalError, InfrastructureError
from models.ranking.reservoir import PairReservoir
from models.tagging.calibration.classifiers import Classifiers
from stream.environment import load_settings
from stream.settings import Settings
from tests.contract.dict_index import Points
from tests.fakes import Killed
from tests.simulation.chance import STEPS, Chance
from tests.simulation.neighbours.broker import Broker
from tests.simulation.neighbours.disk import Disk
from tests.simulation.neighbours.readers import Group
from tests.simulation.processes.learners import RankLearner, TagLearner
from tests.simulation.processes.living import Living
from tests.simulation.processes.owner import Owner
from tests.simulation.producer import Producer

KINDS: dict[str, Callable[["World", str], Living]] = {
    "owner 0": Owner, "owner 1": Owner, "tagger": TagLearner, "ranker": RankLearner,
}  # fmt: skip
OWNERS = ("owner 0", "owner 1")
STEPS_IN_A_WORLD = 200
POSTED_BY = 130  # steps; nothing is posted after them
DEEPEST = 2  # processes that stand still at the same time
MOST_EPOCHS = 4
LAST_ROUNDS = 60  # of draining; a few are enough


checked = cache(Classifiers)  # a class is tried when it is chosen; that it passes, no world changes


@cache
def settings_of(waiting_limit: int) -> Settings:
    """Those of every world: nothing of the machine is in them."""
    return load_settings({}, data_dir=Path("/nowhere"), ingest={"waiting_limit": waiting_limit})


class World:
    """See the module; `differences` says in the end what is wrong.

    Attributes:
        away: calls that each neighbour does not answer from now on.
    """

    def __init__(self, seed: int, root: Path, *, trace: list[str] | None = None) -> None:
        self.chance = Chance(seed)
        self.chance.trace = trace
        self.settings = settings_of(self.chance.pick((2, 10_000)))
        self.broker = Broker(self.chance)
        self.group = Group(self.broker, ("images", "operations"))
        self.points = Points()
        self.disk = Disk(root, self.chance)
        self.producer = Producer(self.broker)
        self.away: dict[str, int] = dict.fromkeys(STEPS.values(), 0)
        self._root = root
        self._steps = self._depth = 0
        self._processes: dict[str, Living] = {}  # made at their first turn
        self._actions: list[Callable[[], None]] = (
            [self._post] * 24
            + [lambda: self._turn("owner 0"), lambda: self._turn("owner 1")] * 24
            + [lambda: self._turn("tagger")] * 9
            + [lambda: self._turn("ranker")] * 6
            + [self._rebalance] * self.chance.pick((0, 1, 3))
            + [self._fence] * self.chance.pick((0, 1, 3))
            + [self._kill] * self.chance.pick((0, 1, 2))
            + [self._cut_power] * self.chance.pick((0, 0, 1))
            + [self._go_away] * self.chance.pick((0, 1, 3))
            + [self._grow] * self.chance.pick((0, 1, 2))
            + [self._arrive_late, self.points.sync]
        )

    def run(self, steps: int = STEPS_IN_A_WORLD) -> None:
        """Post what stays, then so many steps, then no faults any more until nothing is left to do."""
        self.producer.begin()
        self._drain()
        self.points.sync()
        self.chance.faults = True
        while self._steps < steps:
            self._step()
        self.chance.faults = False
        self._drain()
        for process in self._processes.values():
            process.writer.close()
        self.points.sync()  # as a worker that ends does
        self.disk.power_cut()

    def end(self) -> None:
        """End all processes."""
        for process in self._processes.values():
            process.end()

    def state_path(self, name: str) -> Path:
        """See processes.Surroundings."""
        return self._root / f"{name}.sqlite"

    def others_go_on(self, process: Living) -> None:
        """See processes.Surroundings."""
        if self._depth < DEEPEST:
            self._depth += 1
            self.chance.note("  > meanwhile")
            for _ in range(1 + self.chance.below(self.chance.pick((6, 12, 60)))):
                self._step()
            self.chance.note("  < ", process.name, " goes on")
            self._depth -= 1

    def check_room(self, folder: object, needed_bytes: int) -> None:
        """The disk of the tag learner."""
        self._processes["tagger"].check("disk")

    def _step(self) -> None:
        self._steps += 1
        self.chance.pick(self._actions)()

    def _turn(self, name: str, *, eager: bool = False) -> bool:
        """A step of a process; one that ended is started first. Returns whether it is alive after it."""
        process = self._processes.get(name)
        try:
            if process is None or not process.alive:
                self.chance.note(name, " starts")
                process = self._processes[name] = KINDS[name](self, name)
            if self.chance.hits("killed between two steps"):
                raise Killed
            process.turn(eager=eager)
            return True
        except Killed:
            self.chance.note(name, " is killed")
        except InfrastructureError as error:
            self.chance.note(name, " does not start: ", error)
        except FatalError as error:
            if not self.chance.faults:
                raise
            self.chance.note(name, " ends: ", error)
        if process is not None:
            process.end()
        return False

    def _post(self) -> None:
        """The last events are read while there still are faults."""
        if self._steps < POSTED_BY:
            self.producer.post()
        else:
            self._turn(self.chance.pick(OWNERS))

    def _rebalance(self) -> None:
        self.chance.count("rebalance")
        self.group.rebalance()

    def _fence(self) -> None:
        """A member is not heard of for too long; it does not know."""
        if self.group.members:
            self.chance.count("a member is fenced off")
            self.group.leave(self.chance.pick(self.group.members))

    def _kill(self) -> None:
        name = self.chance.pick(list(KINDS))
        self.chance.count("killed between two steps")
        self.chance.note(name, " is killed")
        self._processes[name].end()

    def _grow(self) -> None:
        """A partition more, or the marks that say so."""
        if len(self.broker.sizes) < MOST_EPOCHS:
            self.chance.count("partitions are added")
            self.broker.grow()
            self.group.rebalance()

    def _arrive_late(self) -> None:
        self.broker.arrive_late()

    def _go_away(self) -> None:
        kind = self.chance.pick(list(STEPS))
        self.chance.count(kind)
        self.away[STEPS[kind]] += 1 + self.chance.below(6)

    def _cut_power(self) -> None:
        """The machine of the processes, the index and the pictures; the broker stands elsewhere."""
        self.chance.count("power cut")
        for process in self._processes.values():
            process.end()
        lost = self.chance.below(self.points.unsynced + 1)
        self.chance.counts["a write is taken back"] += lost
        self.points.take_back(lost)
        self.disk.power_cut()

    def _drain(self) -> None:
        """No more faults; what is late arrives."""
        self.away = dict.fromkeys(self.away, 0)
        self.broker.arrive_late()
        self.broker.finish_growing()
        self.group.rebalance()
        for _ in range(LAST_ROUNDS):
            done = [self._turn(name, eager=True) for name in KINDS]
            if all(done) and not any(process.reader.is_behind() for process in self._processes.values()):
                return
        raise AssertionError("the world does not come to rest")


@contextlib.contextmanager
def stand_ins(world: World) -> Iterator[None]:
    """The disk of the world in place of this machine's; and cheap arithmetic, which no fault of delivery is in."""
    with (
        patch.object(os, "fsync", world.disk.fsync),
        patch("stream.learn.tags.check_room", world.check_room),
        patch("models.ranking.ranknet.ThreadpoolController", cache(ThreadpoolController)),
        patch("models.ranking.ranknet.PairReservoir", partial(PairReservoir, capacity=64)),
        patch("models.ranking.network.HIDDEN", 8),
        patch("models.tagging.tagger.Classifiers", checked),
        patch("models.ranking.ranknet.fit_linear", _one_step),
    ):
        disabled = logging.root.manager.disable
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(disabled)


def _one_step(w: torch.Tensor, vectors: torch.Tensor, pairs: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Any function of what it is given will do."""
    return w / 2 + weights @ (vectors[pairs[:, 0]] - vectors[pairs[:, 1]])
