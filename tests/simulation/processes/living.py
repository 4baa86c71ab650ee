"""A process of a world: what it finds when it starts, where it may end, and how it waits for a neighbour.

It is made anew after each end, and knows what outlives it. `turn` takes one step; it raises Killed where the process
ends.
"""

from collections.abc import Callable
from typing import Any, Protocol

from models.errors import BrokerUnavailableError, InfrastructureError, StorageUnavailableError
from models.errors import IndexUnavailableError as IndexAway
from stream.settings import Settings
from tests.contract.dict_index import Points
from tests.fakes import Killed
from tests.simulation.chance import Chance
from tests.simulation.neighbours.broker import Broker, Writer
from tests.simulation.neighbours.disk import Disk
from tests.simulation.neighbours.readers import Group, GroupReader, SoloReader

AWAY: dict[str, Callable[[str], InfrastructureError]] = {
    "broker": BrokerUnavailableError, "index": IndexAway, "pictures": StorageUnavailableError,
    "disk": StorageUnavailableError,
}  # fmt: skip


class Surroundings(Protocol):
    """What a process finds when it starts."""

    chance: Chance
    broker: Broker
    group: Group
    points: Points
    disk: Disk
    settings: Settings
    away: dict[str, int]

    def others_go_on(self, process: "Living") -> None:
        """Some steps of anybody else, and of the other threads of this process."""

    def state_path(self, name: str) -> Any:
        """Where a learner keeps its state."""


class Living:
    """A process; see broker.Process."""

    reader: GroupReader | SoloReader

    def __init__(self, world: Surroundings, name: str) -> None:
        self.world, self.name, self.chance = world, name, world.chance
        self.alive = True
        self.writer = Writer(world.broker, self)
        self.writing = False  # its last step is under way: no other step of that thread can begin

    def moment(self, write: str) -> None:
        """Before and after a write, and while a neighbour is waited for."""
        if write == "killed":
            raise Killed
        if self.alive and self.chance.hits("stands still between two writes"):
            self.world.others_go_on(self)
        if not self.alive or self.chance.hits(f"killed {write}" if write.startswith("while") else f"killed at {write}"):
            raise Killed

    def check(self, neighbour: str) -> None:
        """Raise where this neighbour is away."""
        if not self.alive:
            raise Killed
        if self.world.away.get(neighbour):
            self.world.away[neighbour] -= 1
            raise AWAY[neighbour](f"{neighbour}: away")

    def turn(self, *, eager: bool = False) -> None:
        """One step; `eager`: everything that is to be done."""
        raise NotImplementedError

    def end(self) -> None:
        """Killed: what is not durable is gone."""
        self.alive = False


class Waits:
    """In place of threading.Event: nobody asks a process to stop, and waiting for a neighbour lets others go on."""

    def __init__(self, process: Living) -> None:
        self._process = process

    def is_set(self) -> bool:
        return False

    def wait(self, timeout: float | None = None) -> bool:
        self._process.moment("while it waits")
        return False
