"""What the tag learner is measured beside: names, packages, and what happens when one cannot run.

A peer that is wanted and cannot run is an error, found before anything is measured: a figure that is silently missing
looks like a figure that was never asked for.
"""

import enum
import importlib
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
    """Import each.

    Raises:
        ConfigurationError: one cannot be imported.
    """
    for peer in sorted(peers):
        with running(peer):
            importlib.import_module(MODULES.get(peer, peer.value))


@contextmanager
def running(peer: Peer) -> Iterator[None]:
    """What a peer raises, as one sentence with the remedy.

    Raises:
        ConfigurationError: the peer cannot run.
    """
    try:
        yield
    except BROKEN as error:
        raise ConfigurationError(
            f"peer {peer}: expected to run, {type(error).__name__}: {error}; install the extra `bench` (make bench "
            f"does) or leave it out with --without {peer}"
        ) from error
