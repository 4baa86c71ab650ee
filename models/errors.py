"""Every exception mekiki raises on purpose, drawn as one tree.

    MekikiError
    ├── PoisonError            one record is bad for ever      -> dead letter, once, then on
    │   ├── SchemaError        bytes that are no event of ours
    │   ├── DecodeError        bytes that are no picture
    │   ├── PolicyError        a picture, tag or reference that the limits forbid
    │   ├── UnknownImageError  a tag or click for an image nobody posted
    │   └── InternalError      what our own code did not expect of a record
    ├── InfrastructureError    a neighbour is away             -> pause, retry with backoff, never a dead letter
    │   ├── BrokerUnavailableError
    │   ├── IndexUnavailableError
    │   │   └── IndexClosedError
    │   └── StorageUnavailableError
    ├── FatalError             going on would do harm          -> stop with a sentence, write nothing more
    │   ├── ConfigurationError
    │   │   ├── EncoderMismatchError
    │   │   ├── OffsetLostError
    │   │   └── CheckpointError
    │   ├── StateLostError     learned, but not kept        -> start again from the last checkpoint
    │   └── CircuitBreakerError
    └── UsageError             a person asked for something that cannot be -> exit code 2
        └── NotFoundError      a person named an image or tag that is not there

The fate stands on the class, so callers ask the error instead of knowing the list. Messages follow
"<what> <value>: expected <rule>; <remedy>".
"""

import enum
import traceback
from pathlib import Path
from typing import ClassVar


class Fate(enum.StrEnum):
    """What becomes of the work that met the error."""

    POISON = "poison"
    INFRASTRUCTURE = "infrastructure"
    FATAL = "fatal"
    USAGE = "usage"


EXIT_USAGE = 2
EXIT_TEMPORARY = 75  # EX_TEMPFAIL in sysexits.h
EXIT_CIRCUIT_BREAKER = 76  # EX_PROTOCOL in sysexits.h: too much of the input is bad
EXIT_CONFIGURATION = 78  # EX_CONFIG in sysexits.h


class MekikiError(Exception):
    """Root of the tree; every subclass names its fate and the exit code of a process that ends with it."""

    fate: ClassVar[Fate]
    exit_code: ClassVar[int]


class PoisonError(MekikiError):
    """One record that no retry can save. `reason` is the code written to the dead letter."""

    fate = Fate.POISON
    exit_code = EXIT_USAGE
    default_reason: ClassVar[str] = "poison"

    def __init__(self, text: str, reason: str | None = None) -> None:
        super().__init__(text)
        self.reason = reason or self.default_reason


class SchemaError(PoisonError):
    """Bytes that are not an event this version knows."""

    default_reason = "schema"


class DecodeError(PoisonError):
    """Bytes that are not a picture, or a broken one."""

    default_reason = "not_an_image"


class PolicyError(PoisonError):
    """Well-formed, but outside the limits: pixels, tag length, folder, hash."""

    default_reason = "policy"


class UnknownImageError(PoisonError):
    """A tag or click for an image that was never posted; replayable once it has been."""

    default_reason = "unknown_image"


class InternalError(PoisonError):
    """A record made our code raise what it should not: our fault, but the stream goes on without that record."""

    default_reason = "internal"

    @classmethod
    def of(cls, error: BaseException) -> "InternalError":
        """What another exception says, and where it came from."""
        frame = traceback.extract_tb(error.__traceback__)[-1] if error.__traceback__ else None
        place = f"{Path(frame.filename).name}:{frame.lineno}" if frame is not None else "an unknown place"
        return cls(f"{type(error).__name__} at {place} ({str(error)[:200]}): a fault of mekiki; please report it")


class InfrastructureError(MekikiError):
    """A neighbour does not answer; the same call may succeed later."""

    fate = Fate.INFRASTRUCTURE
    exit_code = EXIT_TEMPORARY


class BrokerUnavailableError(InfrastructureError):
    """Kafka is out of reach or refuses for now."""


class IndexUnavailableError(InfrastructureError):
    """Qdrant is out of reach, overloaded or refuses for now."""


class IndexClosedError(IndexUnavailableError):
    """Nobody has opened the index since its process started."""


class StorageUnavailableError(InfrastructureError):
    """A disk or object store is full or out of reach."""


class FatalError(MekikiError):
    """Going on would lose or corrupt data: stop and write nothing more."""

    fate = Fate.FATAL
    exit_code = EXIT_CONFIGURATION


class ConfigurationError(FatalError):
    """Settings, files or packages that cannot work together."""


class EncoderMismatchError(ConfigurationError):
    """Vectors of another encoder version: mixing them is refused."""


class OffsetLostError(ConfigurationError):
    """The stored offset has expired, or the topic was made again under the same name."""


class CheckpointError(ConfigurationError):
    """A checkpoint that is damaged, or newer than this code."""


class StateLostError(FatalError):
    """The disk failed inside a transaction: what was learned since the last checkpoint is to be read again."""

    exit_code = EXIT_TEMPORARY


class CircuitBreakerError(FatalError):
    """Too large a share of the input became dead letters: better a stop than a full dead-letter topic."""

    exit_code = EXIT_CIRCUIT_BREAKER


class UsageError(MekikiError):
    """A person asked for something that cannot be."""

    fate = Fate.USAGE
    exit_code = EXIT_USAGE


class NotFoundError(UsageError):
    """A person named an image or tag that is not there."""
