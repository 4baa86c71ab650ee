"""`mekiki bench discover`: does the drawing of a thing find the scene that it stands in?

In: made scenes, the service's own decoder, encoder, proposals and object index. Out: figures, see `run`.
"""

import resource
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from admin.console import progress
from benchmarks.discover.scenes import Scene, Thing, iou, scenes
from models.encoders import load_encoder
from models.encoders.base import Encoder
from models.errors import PoisonError
from models.preprocess import prepared
from models.quantise import dequantise, quantise
from stream.index.edge import EdgeIndex
from stream.index.objects import OBJECTS, ImageObjects, ObjectPoints
from stream.pictures.decode_pool import DecodePool

BEST = 10  # scenes that are looked at
GOOD_IOU = 0.5
REGIONS, WRITTEN = 200_000, 64  # in the index that is searched; images at once
NOISE = 0.02  # of each number of a vector, so that no two are the same
EIGHT = 8  # boxes of proposals_recall_at_8_iou50
Vectors = NDArray[np.float32]


def run(count: int, per_image: int) -> dict[str, Any]:
    """Figures of `count` scenes, each cut into `per_image` objects at most.

    Returns:
        objects: scenes and objects; scene_recall_at_10 of the whole picture, of its objects alone, of both, and of the
            true boxes in place of proposals; of both by size; the share of true boxes that one of the first eight
            proposals has with an IoU of 0.5; bytes an image takes on the disk and in memory; milliseconds of work.
        object_search_ms: images, and p50 and p95 of a search, in an index of 200,000 objects.
    """
    encoder = load_encoder()
    made = list(scenes(count))
    things = [(number, thing) for number, scene in enumerate(made) for thing in scene.things]
    queries = _embed(encoder, [thing.query for _, thing in things])
    whole = _embed(encoder, [prepared(scene.pixels) for scene in made])
    started_s = time.process_time() + _children_s()
    parts, seconds = _cut(made, encoder, per_image)
    worked_s = time.process_time() + _children_s() - started_s
    true = [_embed(encoder, [prepared(_inside(scene, thing)) for thing in scene.things]) for scene in made]
    ranks = {
        "whole": _ranks(queries, whole[:, None], things), "regions": _ranks(queries, [one[1] for one in parts], things),
        "both": _ranks(queries, [np.vstack([w[None], one[1]]) for w, one in zip(whole, parts, strict=True)], things),
        "true_boxes": _ranks(queries, true, things),
    }  # fmt: skip
    by_size: dict[str, list[bool]] = defaultdict(list)
    for (_, thing), rank in zip(things, ranks["both"], strict=True):
        by_size[thing.size].append(bool(rank < BEST))
    first = [any(iou(box, thing.box) >= GOOD_IOU for box in parts[n][0][:EIGHT]) for n, thing in things]
    kept = _kept(parts, queries)
    return {
        "objects": {
            "scenes": count, "objects": len(things), "per_image": per_image,
            "scene_recall_at_10": {name: round(float((found < BEST).mean()), 3) for name, found in ranks.items()}
            | {"both_by_size": {size: round(float(np.mean(found)), 3) for size, found in sorted(by_size.items())}},
            "proposals_recall_at_8_iou50": round(float(np.mean(first)), 3),
            "disk_bytes_per_image": kept.pop("disk"), "ram_bytes_per_image": kept.pop("ram"),
            "ms_per_image": round(1_000 * worked_s / count, 1), "ms_per_image_wall": round(1_000 * seconds / count, 1),
        },
        "object_search_ms": kept,
    }  # fmt: skip


def _embed(encoder: Encoder, pixels: Sequence[NDArray[np.uint8]]) -> Vectors:
    return dequantise(quantise(encoder.embed(np.stack(pixels))))


def _inside(scene: Scene, thing: Thing) -> NDArray[np.uint8]:
    height, width = scene.pixels.shape[:2]
    left, top, right, bottom = (
        round(thing.box[0] * width), round(thing.box[1] * height), round((thing.box[0] + thing.box[2]) * width),
        round((thing.box[1] + thing.box[3]) * height),
    )  # fmt: skip
    return np.ascontiguousarray(scene.pixels[top:bottom, left:right])


def _cut(made: Sequence[Scene], encoder: Encoder, per_image: int) -> tuple[list[tuple[Any, Vectors]], float]:
    """Boxes and vectors of each scene's objects, as the worker makes them, and seconds by the clock."""
    found = []
    with DecodePool(1, how=encoder.preprocessing) as decoder, progress() as bar:
        task = bar.add_task("cutting scenes", total=len(made), note="")
        contents = [scene.encoded() for scene in made]
        started_s = time.perf_counter()
        for content in contents:
            regions = decoder.regions(content, per_image)
            assert not isinstance(regions, PoisonError)
            found.append((regions.boxes, _embed(encoder, list(regions.pixels))))
            bar.update(task, advance=1)
        return found, time.perf_counter() - started_s


def _ranks(queries: Vectors, sets: Sequence[Vectors] | Vectors, things: Sequence[tuple[int, Thing]]) -> NDArray[Any]:
    """Of each query, how many scenes come before its own."""
    scores = np.stack([np.max(queries @ vectors.T, axis=1) for vectors in sets], axis=1)
    own = scores[np.arange(len(things)), [number for number, _ in things]]
    ranks: NDArray[Any] = (scores > own[:, None]).sum(axis=1)
    return ranks


def _kept(parts: Sequence[tuple[Any, Vectors]], queries: Vectors) -> dict[str, float]:
    """Disk and memory that an image's objects take in the index, and how long a search takes."""
    with TemporaryDirectory() as folder:
        points = EdgeIndex(Path(folder) / "objects", layout=OBJECTS)
        index = ObjectPoints(points)
        index.open("bench", queries.shape[1])
        empty, before = _bytes_in(Path(folder)), _anonymous_bytes()
        chance, count = np.random.default_rng(0), REGIONS // max(len(vectors) for _, vectors in parts)
        for start in range(0, count, WRITTEN):
            numbers = range(start, min(start + WRITTEN, count))
            index.write([_like(parts[number % len(parts)], number, chance) for number in numbers], [])
        index.flush()
        disk, ram = _bytes_in(Path(folder)) - empty, _anonymous_bytes() - before
        times = [_ms(lambda query=query: index.search(query, 20)) for query in queries[:200]]  # type: ignore[misc]
        index.close()
    p50, p95 = np.percentile(times, [50, 95])
    return {
        "images": count, "disk": round(disk / count), "ram": round(ram / count), "p50": round(p50, 2),
        "p95": round(p95, 2),
    }  # fmt: skip


def _like(part: tuple[Any, Vectors], number: int, chance: np.random.Generator) -> ImageObjects:
    """An image whose objects are like those of a scene, and not the same."""
    boxes, vectors = part
    moved = vectors + chance.normal(0, NOISE, vectors.shape).astype(np.float32)
    return ImageObjects(f"s{number}", 1, "0" * 64, boxes, moved / np.linalg.norm(moved, axis=1, keepdims=True))


def _ms(work: Callable[[], object]) -> float:
    started_s = time.perf_counter()
    work()
    return 1_000 * (time.perf_counter() - started_s)


def _bytes_in(folder: Path) -> int:
    """Blocks that are really taken: files are laid out larger than they are filled."""
    return sum(512 * file.stat().st_blocks for file in folder.rglob("*") if file.is_file())


def _anonymous_bytes() -> int:
    """Memory of this process that is no file's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


def _children_s() -> float:
    """Processor seconds of children that ended; those of the decoder are added when its pool closes."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
