"""Tags of pictures from a file: JSON lines or CSV; `mekiki post --tags-from` and `mekiki bench tagger --tags` take it.

In: lines `{"file": "cats/1.jpg", "tags": ["cat"]}`, or a CSV with the columns file or image_id, and tags. They may also
have image_id, complete, title, source_url, author, metadata. Out: `Line`, what one says and of which file. Fails with
UsageError, naming the line.
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from admin.people.files.bounded import read_bounded
from models.errors import UsageError

DETAILS = ("title", "source_url", "author", "metadata")
FILE_COLUMNS = ("file", "file_name", "filename")
MOST_BYTES = 200_000_000  # of a file of tags: two million lines
SEPARATORS = ("\n", "|", ";")  # of tags in one cell of a CSV; commas are asked about
YES, NO = ("true", "yes", "1"), ("", "false", "no", "0")


@dataclass(frozen=True)
class Said:
    """What people said of a picture; `details` are title, source_url, author and metadata, as far as given."""

    image_id: str | None = None
    tags: tuple[str, ...] = ()
    complete: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)

    def then(self, later: "Said") -> "Said":
        """And what was said later: all tags, and of the rest the last."""
        return Said(
            later.image_id or self.image_id,
            tuple(dict.fromkeys((*self.tags, *later.tags))),
            self.complete or later.complete,
            {**self.details, **later.details},
        )


@dataclass(frozen=True)
class Line:
    """One line of a file: its number, the file it names, or the image if it names no file, and what it says."""

    number: int
    file: str | None
    said: Said

    @property
    def name(self) -> str:
        """What it is about."""
        return self.file or self.said.image_id or ""


def read_labels(path: Path) -> list[Line]:
    """All lines of a file.

    Raises:
        UsageError: there is no such file, or a line is something else.
    """
    try:
        text = read_bounded(path, "JSON lines or CSV", MOST_BYTES).decode("utf-8-sig")
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: expected UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8") from None
    is_csv = path.suffix.lower() in (".csv", ".tsv") or (text.strip() and text.lstrip()[0] not in '{["0123456789')
    return list(_csv_lines(path, text) if is_csv else _json_lines(path, text))


def _json_lines(path: Path, text: str) -> Iterator[Line]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                row = json.loads(line)
                if not isinstance(row, dict) or not isinstance(row.get("tags", []), list):
                    raise TypeError("another shape")
                yield _line(number, row)
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise UsageError(
                    f'{path} line {number}: expected {{"file": ..., "tags": [...]}} ({error}); correct the line'
                ) from None


def _csv_lines(path: Path, text: str) -> Iterator[Line]:
    head = text.partition("\n")[0]
    delimiter = max("\t;,", key=head.count) if any(map(head.count, "\t;,")) else ","
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        columns = [name.strip().lower() for name in rows.fieldnames or ()]
        if not {*FILE_COLUMNS, "image_id"} & set(columns) or len(columns) != len(set(columns)):
            raise UsageError(
                f"{path}: expected a header with the columns file or image_id, and tags, found {head[:100].strip()!r}; "
                "correct the first line"
            )
        rows.fieldnames = columns
        for row in rows:
            if None in row:
                raise ValueError(f"{len(columns)} columns")
            yield _line(rows.line_num, _cells({name: (cell or "").strip() for name, cell in row.items()}))
    except csv.Error as error:
        raise UsageError(f"{path} line {rows.line_num}: expected CSV ({error}); correct the line") from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(f"{path} line {rows.line_num}: expected {error}; correct the line") from None


def _cells(row: Mapping[str, str]) -> dict[str, Any]:
    """A row of a CSV as a JSON line would say it."""
    said: dict[str, Any] = {name: cell for name, cell in row.items() if cell}
    said["file"] = next((row[name] for name in FILE_COLUMNS if row.get(name)), None)
    said["tags"] = _tags_in(row.get("tags", ""))
    flag = row.get("complete", "").lower()
    if flag not in YES + NO:
        raise ValueError("true or false as complete")
    said["complete"] = flag in YES
    if "metadata" in said:
        said["metadata"] = json.loads(said["metadata"])
    return said


def _tags_in(cell: str) -> list[str]:
    if cell.startswith("["):
        return list(json.loads(cell))
    separator = next((one for one in SEPARATORS if one in cell), None)
    return [tag.strip() for tag in cell.split(separator) if tag.strip()] if separator else [cell] if cell else []


def _line(number: int, row: Mapping[str, Any]) -> Line:
    file, image_id = row.get("file"), row.get("image_id")
    if isinstance(image_id, int) and not isinstance(image_id, bool):
        image_id = str(image_id)
    if not isinstance(file, str | None) or not isinstance(image_id, str | None) or not (file or image_id):
        raise TypeError("file or image_id as text")
    complete = row.get("complete", False)
    if not isinstance(complete, bool):
        raise TypeError("true or false as complete")
    details = {name: row[name] for name in DETAILS if row.get(name) not in (None, "", {})}
    return Line(number, file or None, Said(image_id, tuple(map(str, row["tags"])), complete, details))


def by_file(lines: list[Line]) -> dict[str, Said]:
    """What is said of each file that lines name."""
    said: dict[str, Said] = {}
    for line in lines:
        if line.file is not None:
            said[line.file] = said.get(line.file, Said()).then(line.said)
    return said
