"""What the tag learner is measured beside: names, packages, and what happens when one cannot run.

A peer that is wanted and cannot run is an error, found before anything is measured: a figure that is silently missing
looks like a figure that was never asked for.
"""

import enum
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from models.errors import ConfigurationError


class Peer(enum.StrEnum):
    """Libraries one could pick instead of our tag learner."""

    RIVER = "river"
    SKLEARN = "scikit-learn"
    VOWPAL = "vowpal-wabbit"
    TORCH = "torch"
    XGBOOST = "xgboost"


SPEED = frozenset({Peer.RIVER, Peer.SKLEARN, Peer.VOWPAL, Peer.TORCH})
QUALITY = frozenset({Peer.XGBOOST})
MODULES = {Peer.SKLEARN: "sklearn", Peer.VOWPAL: "vowpalwabbit"}  # others are imported by their names
BROKEN = (ImportError, OSError, RuntimeError, ValueError, MemoryError)  # what libraries raise that cannot work here


def check_installed(peers: Collection[Peer]) -> None:
    """Import each, in a process of its own: what they load must not count as memory of ours.

    Raises:
        ConfigurationError: one cannot be imported.
    """
    for peer in sorted(peers):
        module = MODULES.get(peer, peer.value)
        done = subprocess.run([sys.executable, "-c", f"import {module}"], capture_output=True, text=True, check=False)
        if done.returncode:
            raise _cannot_run(peer, (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1])


@contextmanager
def running(peer: Peer) -> Iterator[None]:
    """What a peer raises, as one sentence with the remedy.

    Raises:
        ConfigurationError: the peer cannot run.
    """
    try:
        yield
    except BROKEN as error:
        raise _cannot_run(peer, f"{type(error).__name__}: {error}") from error


def _cannot_run(peer: Peer, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"peer {peer}: expected to run, {why}; install the extra `bench` (make bench does) or leave it out with "
        f"--without {peer}"
    )
