"""A line of words as parts: `red "polar bear" -dog tag:cat like:cats/1.jpg`.

In: any text. Out: its parts in their order. Nothing fails: a quote that is not closed ends with the line, a sign with
nothing behind it says nothing.
"""

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["word", "tag", "like"]
_SIGNS, _QUOTES = "-\uff0d", '"\u201c\u201d'
_PART = re.compile(
    rf"([{_SIGNS}]?)(?:(tag|like)[:\uff1a])?(?:[{_QUOTES}]([^{_QUOTES}]*)[{_QUOTES}]?|(\S+))", re.IGNORECASE
)


@dataclass(frozen=True)
class Part:
    """One thing that is said.

    Attributes:
        text: a word, or several that were quoted.
        kind: what it has to be: `word` leaves that open.
        without: whether it is unwanted.
        quoted: whether it is said to be one name.
        start: where in the line it begins, its sign included.
    """

    text: str
    kind: Kind = "word"
    without: bool = False
    quoted: bool = False
    start: int = 0


def parse(line: str) -> list[Part]:
    """The parts of a line."""
    parts = []
    for match in _PART.finditer(line):
        sign, said, quoted, plain = match.groups(default="")
        kind: Kind = "tag" if said.lower() == "tag" else "like" if said else "word"
        text = (quoted or plain).strip()
        if text.strip(_SIGNS + _QUOTES if kind == "word" else _QUOTES):
            parts.append(Part(text, kind, bool(sign), not plain, match.start()))
    return parts
