"""Cursors: which images were shown, so that the next page holds the best of the others.

In: ids of results. Out: text for a URL, and back. A cursor names what was shown, not a place in an order: whatever
arrives or is learned between two pages, no image comes twice and none is passed over. 5 bytes an image make two of
2,000 alike once in 500,000 cursors.
"""

import base64
import hashlib
from collections.abc import Iterable

MARK_BYTES = 5
MOST = 2_000  # images that a cursor names
MOST_CHARS = 14_000  # of a cursor: that many marks in base64
Shown = frozenset[bytes]


def mark(image_id: str) -> bytes:
    """What stands for an image in a cursor."""
    return hashlib.blake2b(image_id.encode(errors="replace"), digest_size=MARK_BYTES).digest()


def write_cursor(shown: Shown, results: Iterable[str]) -> str | None:
    """The cursor behind these results; None where it would name too many."""
    marks = sorted(shown.union(map(mark, results)))
    return base64.urlsafe_b64encode(b"".join(marks)).decode().rstrip("=") if len(marks) <= MOST else None


def read_cursor(text: str) -> Shown:
    """What was shown; of text that no `write_cursor` wrote whatever it may stand for."""
    whole = text[: len(text) - (len(text) % 4 == 1)]
    raw = base64.urlsafe_b64decode(whole + "=" * (-len(whole) % 4))
    return frozenset(raw[at : at + MARK_BYTES] for at in range(0, len(raw), MARK_BYTES))
