"""Tags of pictures, read from JSON lines; `mekiki post --tags-from` and `mekiki bench tagger --tags` take the same.

In: a file of lines `{"file": "cat.jpg", "tags": ["cat"], "image_id": "...", "complete": true}`; the last two may be
left out. Out: `Labels` by file. Fails with UsageError, naming the line.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import UsageError


@dataclass(frozen=True)
class Labels:
    """What one line says of a picture."""

    image_id: str | None = None
    tags: tuple[str, ...] = ()
    complete: bool = False


def read_labels(path: Path) -> dict[str, Labels]:
    """The lines of a file, by `file`; of two lines about one file the last counts.

    Raises:
        UsageError: there is no such file, or a line is something else.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise UsageError(f"{path}: expected a file of JSON lines, there is none; check the path") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: expected UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8") from None
    labels: dict[str, Labels] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                file, of_file = _read(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                raise UsageError(
                    f'{path} line {number}: expected {{"file": ..., "tags": [...]}} ({error}); correct the line'
                ) from None
            labels[file] = of_file
    return labels


def labels_of(labels: Mapping[str, Labels], file: Path) -> Labels:
    """What was said of a picture, under its name or its path; empty when nothing was."""
    return labels.get(file.name) or labels.get(str(file)) or Labels()


def _read(row: dict[str, Any]) -> tuple[str, Labels]:
    if not isinstance(row, dict) or not isinstance(row["file"], str) or not isinstance(row["tags"], list):
        raise TypeError("another shape")
    tags = tuple(str(tag) for tag in row["tags"])
    return row["file"], Labels(row.get("image_id"), tags, row.get("complete", False))
