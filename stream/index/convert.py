"""An embedded index that was quantised otherwise, or not at all, made anew beside itself, point by point.

In: its folder, which nobody else has open, and settings. Out: the same points in a folder of the same name. Killed at
any moment, what was there is there, and the next start begins again. Raises StorageUnavailableError where there is no
room for a second index, ConfigurationError for a folder that cannot be opened.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stream.disk import START_BYTES, check_room
from stream.index.edge import EdgeIndex, stored_shape
from stream.index.point_index import IMAGES, vector_in
from stream.index.points import Layout, Point
from stream.index.quantization import of_edge
from stream.settings import QdrantSettings

PAGE = 1_000  # points read and written at once


def convert(
    folder: Path, settings: QdrantSettings, advance: Callable[[int, int], None], layout: Layout = IMAGES
) -> bool:
    """Quantise the index as the settings have it; `advance` is told points done and all points. Whether there was any
    need: what is in floats only, or has codes that nobody asks for, stays as it is.
    """
    before, made = folder.with_name(folder.name + ".before"), folder.with_name(folder.name + ".made")
    if before.exists() and not folder.exists():
        before.rename(folder)  # killed between the two renames below
    for left in (before, made):
        shutil.rmtree(left, ignore_errors=True)
    wanted, stored = of_edge(settings, layout).kind, stored_shape(folder)
    if stored is None or wanted in ("none", stored[0]):
        return False
    check_room(folder, START_BYTES + sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()))
    plain = settings.model_copy(update={"quantization": "none"})  # reads whatever is there
    old, new = EdgeIndex(folder, plain, layout), EdgeIndex(made, settings, layout)
    try:
        for index in (old, new):
            index.prepare(stored[1])
        _copy(old, new, advance)
    finally:
        old.close()
        new.close()  # and flush: it is whole on the disk before it takes the other's place
    folder.rename(before)
    made.rename(folder)
    shutil.rmtree(before)
    return True


def _copy(old: EdgeIndex, new: EdgeIndex, advance: Callable[[int, int], None]) -> None:
    count, done, cursor = old.describe().points, 0, None
    while True:
        found, cursor = old.page(None, cursor, PAGE, with_vectors=True, with_raw=True)
        if found:
            new.upsert([_point(point) for point in found])
        done += len(found)
        advance(done, count)
        if cursor is None:
            return


def _point(found: Any) -> Point:
    return Point(str(found.id), found.payload, vector_in(found), 0)
