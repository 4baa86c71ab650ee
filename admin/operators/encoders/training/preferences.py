"""What people prefer, for training: from the log's clicks, or from a file of ratings and ordered lists.

In: the clicks of the log, or a file of JSON lines {"id": ..., "rating": ...} and {"order": [best, ...]}. Out:
`Preferences`. Raises BrokerUnavailableError, and UsageError for a line that says nothing.
"""

import json
import math
from contextlib import closing
from pathlib import Path
from typing import Any

from models.encoders.training.data.preferences import pairs_from_list, pairs_from_ratings
from models.encoders.training.taste import Preferences
from models.errors import PoisonError, UsageError
from models.ranking.pairs import Pair
from stream.events.codec import decode
from stream.learn.pairs import PairReader
from stream.log.reading.consume import LogReader
from stream.settings import Settings

POLL_S = 0.2


def clicked(settings: Settings) -> Preferences:
    """The pairs of all clicks in the log, as the ranker reads them; what it could not use is left out.

    Raises:
        BrokerUnavailableError: the broker does not answer.
    """
    reading = PairReader()
    pairs: list[Pair] = []
    with closing(LogReader(settings, ("clicks",), "training", lambda: ())) as reader:
        while not reader.caught_up("clicks", 0):
            for record in reader.poll(POLL_S):
                if not record.lost:
                    try:
                        pairs += reading.read(decode(record.key, record.value, record.headers))
                    except (PoisonError, UsageError):
                        continue  # a dead letter of the ranker's
    return Preferences(pairs)


def rated(path: Path, seed: int) -> Preferences:
    """The pairs drawn from a file of ratings, of ordered lists, or of both.

    Raises:
        UsageError: a line is neither, or there is no such file.
    """
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--ratings {path}: expected a file of JSON lines; name another") from error
    gains: dict[str, float] = {}
    pairs: list[Pair] = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            _read(line, f"--ratings {path} line {number}", gains, pairs, seed)
    return Preferences([*pairs, *pairs_from_ratings(gains, seed)], gains)


def _read(line: str, where: str, gains: dict[str, float], pairs: list[Pair], seed: int) -> None:
    try:
        said: Any = json.loads(line)
    except ValueError:
        said = None
    if isinstance(said, dict) and _is_list(said.get("order")):
        pairs += pairs_from_list(said["order"], seed)
    elif isinstance(said, dict) and isinstance(said.get("id"), str) and _is_number(said.get("rating")):
        gains[said["id"]] = float(said["rating"])
    else:
        raise UsageError(
            f'{where}: expected {{"id": "a", "rating": 4}} or {{"order": ["best", "next", "last"]}}; correct the line'
        )


def _is_list(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(name, str) for name in value)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
