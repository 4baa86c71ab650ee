"""The loop of a learner: poll, learn, publish, checkpoint, on one thread, until it is asked to stop."""

import functools
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from stream.log.model_versions import ModelPublisher
from stream.log.produce import LogWriter
from stream.log.reading.consume import LogReader
from stream.log.record import Record
from stream.retry import StoppedError, until_available
from stream.settings import Settings
from stream.stopping import StopRequest

P = ParamSpec("P")
T = TypeVar("T")

POLL_S = 0.5  # longest wait of one poll; it returns as soon as there are records


@dataclass(frozen=True)
class LearningParts:
    """What both learners work with."""

    reader: LogReader
    writer: LogWriter
    publisher: ModelPublisher
    settings: Settings
    stopping: StopRequest


class LearningWorker(ABC):
    """Reads partition 0 of one topic. What a learner does with its records is up to the class below."""

    def __init__(self, parts: LearningParts, topic: str, checkpoint_interval_s: float) -> None:
        self.parts = parts
        self.topic = topic
        self.stopping = parts.stopping
        self.unsaved = 0  # records read since the last checkpoint
        self.saved_s = time.monotonic()
        self._checkpoint_interval_s = checkpoint_interval_s

    def run(self, *, drain: bool = False) -> None:
        """Learn until `stopping` is asked for; with `drain` also until the topic holds nothing unread.

        Raises:
            InfrastructureError: asked to stop while a neighbour was away; the last checkpoint is what counts.
            FatalError: going on would do harm.
        """
        try:
            self._run(drain)
        except StoppedError as stopped:  # half a batch may be learned
            if stopped.__cause__ is not None:
                raise stopped.__cause__ from None

    def _run(self, drain: bool) -> None:
        asked = self.stopping.asked
        self.publish()
        while not asked.is_set() or (drain and not self._drained()):
            try:
                records = self.retry(self.topic, self.parts.reader.poll, min(self.wait_s(time.monotonic()), POLL_S))
            except StoppedError:
                break
            self.learn(records)
            self.publish_if_due(time.monotonic())
            self.checkpoint_if_due(time.monotonic())
        broker_is_gone = self.stopping.at_once.is_set()
        self.checkpoint(last=not broker_is_gone)  # needs the disk alone; what comes after needs the broker too
        if not broker_is_gone:
            self.publish()

    def retry(self, what: str, attempt: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        """What `attempt` gives; waits for the neighbour `what` as `until_available` does."""
        return until_available(functools.partial(attempt, *arguments, **options), self.stopping.asked, what=what)

    def _drained(self) -> bool:
        return self.stopping.at_once.is_set() or self.parts.reader.caught_up(self.topic, 0)

    def wait_s(self, now_s: float) -> float:
        """How long a poll may wait for records before something else is due."""
        return POLL_S

    @abstractmethod
    def learn(self, records: Sequence[Record]) -> None:
        """Learn what a poll gave, maybe nothing; waits for neighbours."""

    @abstractmethod
    def publish_if_due(self, now_s: float) -> None:
        """Publish a version if there is something new and it is time."""

    @abstractmethod
    def publish(self) -> None:
        """Publish what is known now, unless it is published."""

    def checkpoint_if_due(self, now_s: float) -> None:
        """Make what was learned durable if it is time."""
        if self.unsaved and now_s - self.saved_s >= self._checkpoint_interval_s:
            self.checkpoint()

    @abstractmethod
    def checkpoint(self, *, last: bool = False) -> None:
        """Make what was learned durable, then commit its offset; `last` waits for the broker's answer to that."""
