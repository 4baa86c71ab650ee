"""An ingest worker of a world: the real steps, the threads that take them being the turns of one."""

import contextlib
from collections import deque
from collections.abc import Callable
from typing import Any

from models.errors import InfrastructureError
from stream.ingest.batch import Batch, Batcher
from stream.ingest.parts import Ingest
from stream.ingest.prepare import Prepare
from stream.ingest.slow_lane import SlowLane
from stream.ingest.write import Write
from tests.fakes import D, FakeDecoder, FakeEncoder
from tests.simulation.neighbours.broker import Place
from tests.simulation.neighbours.disk import Pictures
from tests.simulation.neighbours.readers import GroupReader
from tests.simulation.neighbours.store import Index
from tests.simulation.processes.living import Living, Surroundings, Waits

IN_FLIGHT = 4  # batches of an owner at most


class Datarefs:
    """No picture is elsewhere."""

    def forget(self, dataref: str) -> None:
        """Nothing was uploaded."""


class Owner(Living):
    """An ingest worker: what its threads do, one step at a time."""

    def __init__(self, world: Surroundings, name: str) -> None:
        super().__init__(world, name)
        index = Index(world.points, self, world.chance)
        index.open(FakeEncoder.version, D)
        self.reader = GroupReader(world.broker, world.group, self, self._revoked, self._assigned, index.offsets)
        self._pictures = Pictures(world.disk.store(), self, world.chance)
        parts: Any = (
            self.reader, self.writer, index, FakeEncoder(), FakeDecoder(), FakeDecoder(patient=True), self._pictures,
            Datarefs(), world.settings,
        )  # fmt: skip
        waits: Any = Waits(self)
        self._prepare, self._lane = Prepare(Ingest(*parts), waits), SlowLane(Ingest(*parts), waits)
        self._write = Write(Ingest(*parts), self._lane, waits)
        self._pending = Batcher(parts[0], world.chance.pick((1, 2, 4, 8)))
        self._most = world.chance.pick((1, 2, 6))  # records of a partition that a poll gives
        self._decoded: deque[Batch] = deque()
        self._ready: deque[Batch] = deque()
        self._slow = False  # the thread of slow pictures stands still
        self._polling = False  # the thread that polls waits in a rebalance for the one that writes

    def turn(self, *, eager: bool = False) -> None:
        """Poll, prepare or write a batch; all but the last also while the thread that writes stands still."""
        if eager:
            self._poll(1_000)
            while self._pending:
                self._decode(idle=True)
                self._finish()
            self._finish()
            while self._lane.step(0.0):
                continue
            return
        steps: list[Callable[[], None]] = []
        if not self._polling:
            steps.append(lambda: self._poll(1 + self.chance.below(self._most)))
        if self._pending and len(self._decoded) + len(self._ready) < IN_FLIGHT:
            steps += [lambda: self._decode(idle=self.chance.random.random() < 0.5)] * 2
        if self._decoded:
            steps += [self._embed] * 2
        if self._ready and not self.writing:
            steps += [self._apply] * 3
        if not self._slow and self.chance.below(3) == 0:
            steps.append(self._slow_picture)
        if steps:
            self.chance.pick(steps)()

    def _slow_picture(self) -> None:
        self._slow = True
        with contextlib.suppress(InfrastructureError):
            if self._lane.step(0.0):
                self.chance.count("a picture takes its own time")
        self._slow = False

    def _poll(self, most: int) -> None:
        self.chance.note(self.name, " polls")
        self._polling = True
        with contextlib.suppress(InfrastructureError):
            self._pending.add(self.reader.poll(most))
        self._polling = False

    def _decode(self, *, idle: bool) -> None:
        batch = self._pending.take(idle=idle)
        self._prepare.decode(batch)
        self._decoded.append(batch)

    def _embed(self) -> None:
        batch = self._decoded.popleft()
        self._prepare.embed(batch)
        self._ready.append(batch)

    def _apply(self) -> None:
        batch = self._ready.popleft()
        if self.chance.trace is not None:
            held = [f"{item.record.topic}/{item.record.partition}/{item.record.offset}" for item in batch.items]
            self.chance.note(self.name, " writes ", ", ".join(held))
        self.writing = True
        try:
            self._write.apply(batch)
        finally:
            if self.chance.faults and not all(self.reader.owns((at.topic, at.partition)) for at in batch.offsets):
                self.chance.count("a fenced owner ends its batch")
        self.writing = False

    def _finish(self) -> None:
        while self._decoded:
            self._embed()
        while self._ready:
            self._apply()

    def _revoked(self, places: set[Place]) -> None:
        """As IngestPipeline.drop_partitions: what is in flight is finished, if that does not take too long."""
        self.chance.note(self.name, " gives up ", sorted(places))
        self._write.forget()
        self._pending.drop(places)
        if not self.writing and not self.chance.hits("hands over too late"):
            self._finish()

    def _assigned(self) -> None:
        self._write.forget()

    def end(self) -> None:
        super().end()
        self.world.group.leave(self.reader)
