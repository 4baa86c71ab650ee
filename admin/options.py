"""Options that many commands have."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

DataDir: TypeAlias = Annotated[Path | None, typer.Option(help="Data directory of the running `mekiki up`.")]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]
Wait: TypeAlias = Annotated[bool, typer.Option(help="Wait until the search API serves what came of it.")]
TimeoutS: TypeAlias = Annotated[float, typer.Option("--timeout", min=0.0, help="Seconds to wait at most.")]
