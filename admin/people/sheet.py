"""Contact sheets: a query and its results with score and tags, so that a person sees at a glance how well they fit.

In: rows of pictures. Out: one PNG. OpenCV draws plain Latin letters only, so of a picture's tags those are shown.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from models.proposals import Box
from search.client import Client
from search.schemas import Result

CELL_PX = 132
PICTURE_PX = 112
TEXT_PX = 46
PAD_PX = 10
INK = (40, 40, 40)
FAINT = (130, 130, 130)
FOUND = (220, 30, 30)  # around the part that was found
FONT = cv2.FONT_HERSHEY_SIMPLEX

Canvas = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Cell:
    """One result: picture bytes, the lines under it, and the part of it that was found, in shares."""

    content: bytes
    lines: tuple[str, ...]
    box: Box | None = None


@dataclass(frozen=True)
class Row:
    """A query (a picture, or only words) and its results."""

    title: str
    query: bytes | None
    cells: Sequence[Cell]


def fetch_cells(api: Client, results: Sequence[Result]) -> list[Cell]:
    """The pictures of a results page."""
    cells = []
    for result in results:
        score = result.score if result.rank_score is None else result.rank_score
        cells.append(Cell(api.picture(result.image_id), (f"{score:.3f}", _words(result.tags)), result.box))
    return cells


def _words(tags: Sequence[str]) -> str:
    shown = [tag for tag in tags if tag.isascii()][:3]
    return ", ".join(shown) if shown else f"({len(tags)} tags)" if tags else "(no tags)"


def draw_sheet(rows: Sequence[Row], path: Path, *, columns: int = 8, heading: str = "") -> None:
    """Draw all rows into one PNG; each begins with its query."""
    width = (columns + 1) * CELL_PX + 3 * PAD_PX
    blocks = [_row(row, columns, width) for row in rows]
    if heading:
        blocks.insert(0, np.full((34, width, 3), 255, np.uint8))
        _write(blocks[0], heading, (PAD_PX, 22), 0.5, INK)
    sheet = np.concatenate(blocks)
    path.parent.mkdir(parents=True, exist_ok=True)
    done, encoded = cv2.imencode(".png", sheet[:, :, ::-1])
    if done:
        path.write_bytes(encoded.tobytes())


def _row(row: Row, columns: int, width: int) -> Canvas:
    lines = max(1, -(-len(row.cells) // columns))
    height = lines * (CELL_PX + TEXT_PX) + PAD_PX
    canvas = np.full((height, width, 3), 255, np.uint8)
    _paste(canvas, row.query, PAD_PX, PAD_PX)
    top = PAD_PX + (PICTURE_PX + 16 if row.query is not None else 40)
    for number, line in enumerate(textwrap.wrap(row.title, 18)[:3]):
        _write(canvas, line, (PAD_PX, top + 16 * number), 0.45, INK)
    for number, cell in enumerate(row.cells):
        left = 2 * PAD_PX + CELL_PX * (1 + number % columns)
        above = PAD_PX + (number // columns) * (CELL_PX + TEXT_PX)
        _paste(canvas, cell.content, left, above, cell.box)
        wrapped = [cell.lines[0], *textwrap.wrap(" ".join(cell.lines[1:]), 19)[:2]]
        for line_number, line in enumerate(wrapped):
            _write(
                canvas, line, (left, above + PICTURE_PX + 14 + 14 * line_number), 0.36, FAINT if line_number else INK
            )
    cv2.line(canvas, (CELL_PX + PAD_PX, PAD_PX), (CELL_PX + PAD_PX, height - PAD_PX), (225, 225, 225), 1)
    canvas[-1:] = 225
    return canvas


def _paste(canvas: Canvas, content: bytes | None, left: int, top: int, box: Box | None = None) -> None:
    if content is None:
        return
    decoded = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    if decoded is None:
        cv2.rectangle(canvas, (left, top), (left + PICTURE_PX, top + PICTURE_PX), FAINT, 1)
        return
    scale = PICTURE_PX / max(decoded.shape[:2])
    size = (max(1, round(decoded.shape[1] * scale)), max(1, round(decoded.shape[0] * scale)))
    small = cv2.resize(decoded, size, interpolation=cv2.INTER_AREA)[:, :, ::-1]
    canvas[top : top + size[1], left : left + size[0]] = small
    if box is not None:
        first = left + round(box[0] * size[0]), top + round(box[1] * size[1])
        last = left + round((box[0] + box[2]) * size[0]), top + round((box[1] + box[3]) * size[1])
        for ink, width in (((255, 255, 255), 3), (FOUND, 1)):
            cv2.rectangle(canvas, first, last, ink, width)


def _write(canvas: Canvas, text: str, at: tuple[int, int], size: float, ink: tuple[int, int, int]) -> None:
    shown = "".join(c if " " <= c <= "~" else "?" for c in text) if not text.isascii() else text
    cv2.putText(canvas, shown, at, FONT, size, ink, 1, cv2.LINE_AA)
