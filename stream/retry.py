"""Waiting for a neighbour: exponential backoff with full jitter, until it answers or the process is asked to stop.

Source: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
"""

import logging
import random
import threading
from collections.abc import Callable
from typing import TypeVar

from models.errors import InfrastructureError

log = logging.getLogger(__name__)
T = TypeVar("T")

FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 10.0


class StoppedError(Exception):
    """The process was asked to stop while it waited; nothing was half done."""


def until_available(attempt: Callable[[], T], stopping: threading.Event, *, what: str) -> T:
    """Call `attempt` until it does not raise InfrastructureError.

    Raises:
        StoppedError: `stopping` was set while waiting.
    """
    wait_s = FIRST_WAIT_S
    while True:
        try:
            return attempt()
        except InfrastructureError as error:
            if stopping.is_set():
                raise StoppedError(what) from error
            pause_s = random.uniform(wait_s / 2, wait_s)
            log.warning("%s waits %.1f s: %s", what, pause_s, error)
            stopping.wait(pause_s)
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)
