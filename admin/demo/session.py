"""What every part of a running demo works with, and how it waits for the service."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rich.progress import Progress

from admin.connect import Api
from admin.demo.events import Plan
from models.encoders.base import Encoder
from models.errors import InfrastructureError, NotFoundError
from stream.index.contract import VectorIndex
from stream.log.produce import LogWriter
from stream.settings import Settings

T = TypeVar("T")

SOURCE = "mekiki/demo"
POLL_S = 0.01  # between two looks at the service while a latency is being measured
DEADLINE_S = 30.0


@dataclass(frozen=True)
class Session:
    """A running service, what is posted to it, and where progress is shown."""

    settings: Settings
    api: Api
    index: VectorIndex
    writer: LogWriter
    plan: Plan
    encoder: Encoder
    bar: Progress
    seed: int

    def track(self, text: str, work: Sequence[T], note: str = "") -> Iterator[T]:
        """The pieces of work, with a new bar that shows how many are done."""
        task = self.bar.add_task(text, total=len(work), note=note)
        for piece in work:
            yield piece
            self.bar.advance(task)


def wait_until(
    condition: Callable[[], object],
    what: str,
    deadline_s: float = DEADLINE_S,
    *,
    poll_s: float = POLL_S,
    earliest_s: float = 0.0,
) -> float:
    """Milliseconds until the condition holds; looked for from `earliest_s` on, every `poll_s`.

    A condition that finds nothing (NotFoundError) does not hold.

    Raises:
        InfrastructureError: it does not within the deadline.
    """
    started_s = time.perf_counter()
    pause = threading.Event()
    pause.wait(earliest_s)
    while not _holds(condition):
        if time.perf_counter() - started_s > deadline_s:
            raise InfrastructureError(f"demo: {what} did not happen within {deadline_s:.0f} s; see the logs folder")
        pause.wait(poll_s)
    return (time.perf_counter() - started_s) * 1000


def _holds(condition: Callable[[], object]) -> bool:
    try:
        return bool(condition())
    except NotFoundError:
        return False
