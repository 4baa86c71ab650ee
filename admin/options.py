"""Options that many commands have."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

DataDir: TypeAlias = Annotated[Path | None, typer.Option(help="Data directory of the running `mekiki up`.")]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]
