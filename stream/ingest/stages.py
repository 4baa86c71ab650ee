"""Steps that work on batches one after another, each on a thread of its own, with short queues between them.

In: batches, in order. Out: the same batches, in order, once the last step is done with them. A step that fails stops
all of them.
"""

import queue
import threading
import time
from collections.abc import Callable, Sequence

from stream import metrics
from stream.ingest.batch import Batch
from stream.retry import StoppedError

QUEUE_BATCHES = 2  # between two steps; enough to overlap, little to redo after a crash
GET_S = 0.2  # between two looks at whether a step failed

Work = Callable[[Batch], None]


class Stages:
    """Batches are handed in by one thread; anybody may look.

    Attributes:
        aborting: set when a step failed, or by the owner: waiting for a neighbour makes no sense any more.
        room: set whenever a step takes or ends a batch; the owner clears it.
        failure: what a step raised.
        busy_s: seconds that each timed step worked.
    """

    def __init__(self, steps: Sequence[Work], on_done: Work) -> None:
        """Make the steps; `on_done` is called with each batch behind the last of them, on its thread."""
        self.aborting = threading.Event()
        self.room = threading.Event()
        self.failure: BaseException | None = None
        self.busy_s: dict[str, float] = {}
        self._on_done = on_done
        self._in_flight = 0
        self._changed = threading.Condition()  # guards in_flight and busy_s
        self._queues: list[queue.Queue[Batch | None]] = [queue.Queue(QUEUE_BATCHES) for _ in steps]
        self._threads = [
            threading.Thread(target=self._run, args=(step, number), daemon=True) for number, step in enumerate(steps)
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    @property
    def in_flight(self) -> int:
        """Batches handed in and not done."""
        return self._in_flight

    @property
    def full(self) -> bool:
        """Whether the first step has no room for another batch."""
        return self._queues[0].full()

    @property
    def alive(self) -> bool:
        """Whether a step still runs."""
        return any(thread.is_alive() for thread in self._threads)

    def put(self, batch: Batch | None) -> None:
        """Hand in the next batch, or None behind the last one; while not `full`, it never waits."""
        if batch is not None:
            with self._changed:
                self._in_flight += 1
        self._queues[0].put(batch)

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until nothing is in flight; True if so."""
        with self._changed:
            return self._changed.wait_for(lambda: self._in_flight == 0, timeout_s)

    def timed(self, name: str, work: Work) -> Work:
        """The same work, its time added to `busy_s` and to the metric of its stage."""

        def measured(batch: Batch) -> None:
            started_s = time.perf_counter()
            work(batch)
            taken_s = time.perf_counter() - started_s
            with self._changed:
                self.busy_s[name] = self.busy_s.get(name, 0.0) + taken_s
            metrics.STAGE_SECONDS.labels(name).inc(taken_s)

        return measured

    def _run(self, step: Work, number: int) -> None:
        source, target = self._queues[number], self._queues[number + 1] if number + 1 < len(self._queues) else None
        try:
            while not self.aborting.is_set():
                try:
                    batch = source.get(timeout=GET_S)
                except queue.Empty:
                    continue
                self.room.set()
                if batch is not None:
                    step(batch)
                if target is not None:
                    target.put(batch)
                elif batch is not None:
                    self._end(batch)
                if batch is None:
                    return
        except StoppedError:
            return
        except BaseException as error:  # noqa: BLE001 - handed to the owner, which raises it
            self.failure = error
            self.aborting.set()

    def _end(self, batch: Batch) -> None:
        self._on_done(batch)
        with self._changed:
            self._in_flight -= 1
            self._changed.notify_all()
        self.room.set()
