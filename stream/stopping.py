"""How a worker is asked to end: from a signal handler or any thread, in one of two ways."""

import threading


class StopRequest:
    """Set by whoever asks, looked at by the worker; both ways are final.

    Attributes:
        asked: set by either way; what waits for a neighbour gives up when it is.
        at_once: set by `stop_now` alone.
    """

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.at_once = threading.Event()

    def stop(self) -> None:
        """Finish what is in flight, and what is to be drained; safe in a signal handler."""
        self.asked.set()

    def stop_now(self) -> None:
        """Finish although the log may hold more: its broker is gone."""
        self.at_once.set()
        self.asked.set()
