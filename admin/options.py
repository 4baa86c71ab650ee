"""Options that many commands have."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from models.errors import UsageError

FILTERS = "Which pictures"


def pairs_of(texts: list[str] | None) -> dict[str, str] | None:
    """Names and values of NAME=VALUE, if there are any.

    Raises:
        UsageError: one has no name or no value.
    """
    return dict(map(_pair, texts)) if texts else None


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise UsageError(f"--metadata {text!r}: expected NAME=VALUE")
    return name, value


WithTags: TypeAlias = Annotated[
    list[str] | None, typer.Option("--with", help="Only what carries this tag; repeatable.", rich_help_panel=FILTERS)
]
Without: TypeAlias = Annotated[
    list[str] | None, typer.Option(help="Only what does not; repeatable.", rich_help_panel=FILTERS)
]
Title: TypeAlias = Annotated[str | None, typer.Option(help="Words its title has.", rich_help_panel=FILTERS)]
Author: TypeAlias = Annotated[str | None, typer.Option(help="Words its author's name has.", rich_help_panel=FILTERS)]
SourceUrl: TypeAlias = Annotated[
    str | None, typer.Option(help="Where it comes from: the URL, or its host.", rich_help_panel=FILTERS)
]
Metadata: TypeAlias = Annotated[
    list[str] | None, typer.Option(metavar="NAME=VALUE", help="Said of it; repeatable.", rich_help_panel=FILTERS)
]
PostedAfter: TypeAlias = Annotated[
    str | None, typer.Option(help="RFC 3339, e.g. 2026-11-21T12:00:00Z.", rich_help_panel=FILTERS)
]
PostedBefore: TypeAlias = Annotated[str | None, typer.Option(help="RFC 3339.", rich_help_panel=FILTERS)]
Aspect: TypeAlias = Annotated[str | None, typer.Option(help="landscape, portrait or square.", rich_help_panel=FILTERS)]
DataDir: TypeAlias = Annotated[Path | None, typer.Option(help="Data directory of the running `mekiki up`.")]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]
Wait: TypeAlias = Annotated[bool, typer.Option(help="Wait until the search API serves what came of it.")]
TimeoutS: TypeAlias = Annotated[float, typer.Option("--timeout", min=0.0, help="Seconds to wait at most.")]
