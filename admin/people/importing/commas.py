"""Tags with a comma inside: one tag, or several? Only people know.

In: tags, and what was decided on the command line, if anything. Out: whether to split them. Raises UsageError where
nobody can be asked.
"""

import sys
from collections.abc import Iterable

import typer

from models.errors import UsageError

NAMED = 3


def to_be_split(tags: Iterable[str], decided: bool | None) -> bool:
    """Whether tags with a comma are several; asks at a terminal.

    Raises:
        UsageError: there are some, nothing was decided, and there is no terminal.
    """
    doubtful = list(dict.fromkeys(tag for tag in tags if "," in tag))
    if decided is not None or not doubtful:
        return bool(decided)
    named = ", ".join(map(repr, doubtful[:NAMED])) + (f" and {len(doubtful) - NAMED} more" if doubtful[NAMED:] else "")
    if sys.stdin is not None and sys.stdin.isatty():
        return typer.confirm(f"Tags with a comma: {named}. Split them at commas?", default=True, err=True)
    raise UsageError(
        f"tags with a comma, {named}: expected one tag each; --split-commas makes several of them, --keep-commas keeps "
        "them as they are. Nothing was posted"
    )


def split(tags: Iterable[str]) -> tuple[str, ...]:
    """Each part between commas as a tag of its own."""
    parts = (part.strip() for tag in tags for part in tag.split(","))
    return tuple(dict.fromkeys(part for part in parts if part))
