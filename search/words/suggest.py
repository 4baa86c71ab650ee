"""Names that the end of a line may become, while somebody types it.

In: a line, the names of tags. Out: whole lines with the name, its tag and how many images carry it. Nothing fails.
"""

import re
from dataclasses import dataclass

from search.words.parse import parse
from search.words.understand import plain
from search.words.vocabulary import Name, Vocabulary


@dataclass(frozen=True)
class Suggestion:
    """A line that ends with a name."""

    line: str
    name: Name


def suggest(line: str, vocabulary: Vocabulary, limit: int) -> list[Suggestion]:
    """Names that begin with the end of a line: with as many of its last words as some name does."""
    parts = parse(line)
    if not parts or parts[-1].kind == "like":
        return []
    reach = max((count for count in range(1, len(parts) + 1) if plain(parts[-count:]) == count), default=1)
    for count in range(reach, 0, -1):
        text = " ".join(part.text for part in parts[-count:])
        if names := vocabulary.complete(text, limit):
            last = parts[-count]
            sign = "-" * last.without + "tag:" * (last.kind == "tag")
            return [Suggestion(line[: last.start] + sign + _quoted(name.name), name) for name in names]
    return []


def _quoted(name: str) -> str:
    """A name as a line says it, in one piece."""
    return f'"{name}"' if re.search(r"\s|^-|^(tag|like):", name) and '"' not in name else name
