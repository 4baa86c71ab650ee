"""Fits a projection on pictures without labels, and makes an encoder of it.

In: a folder of pictures, OpenMoji, or the raw features that the index keeps. Out: an encoder's folder. Raises
UsageError when there are too few pictures or features of another network.
"""

import base64
import contextlib
import hashlib
import heapq
import tempfile
from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from admin.console import errors_out, progress
from admin.openmoji import load_pictures, rasterise
from models.encoders.base import Extractor, Images, Raw, Vectors
from models.encoders.load import load_extractor
from models.encoders.projection import fit_projection
from models.encoders.raw_features import pack, raw_bytes, unpack
from models.encoders.registry.folders import PACKAGED, EncoderFolders
from models.encoders.registry.manifest import PROJECTION, Manifest
from models.errors import ConfigurationError, UsageError
from models.preprocess import Preprocessing, prepared
from stream.build import open_index
from stream.index.contract import VectorIndex
from stream.settings import Settings

BATCH = 32  # pictures decoded before the network runs on them: steps of the progress bar
MOST_PICTURES = 20_000  # of an index: more change nothing
PAGE = 1_000  # pictures of the index asked for at once


@dataclass(frozen=True)
class Source:
    """Where pictures come from: an index, or a folder, or OpenMoji where neither is given."""

    pictures: Path | None = None
    settings: Settings | None = None


def fit_encoder(
    folders: EncoderFolders, of: str, name: str, source: Source, dimension: int, *,
    threads: int | None = None, cache_dir: Path | None = None,
) -> Manifest:  # fmt: skip
    """The encoder `name`: the network of encoder `of`, and a projection to `dimension` numbers.

    Raises:
        UsageError: no pictures, or fewer than dimensions, or the name is taken.
        ConfigurationError: there is no encoder `of`, or the index keeps features of another network.
        InfrastructureError: the index is away.
    """
    folders.check_free(name)
    manifest = folders.manifest(of)
    if source.settings is not None:
        raw = raw_of_index(source.settings, manifest, _same_network(folders, manifest))
    else:
        extractor = load_extractor(manifest, folders, threads=threads, cache_dir=cache_dir)
        features = extract_features(extractor, source.pictures, manifest.preprocessing)
        raw = pack(features, manifest.parts)
    with errors_out.status(f"fitting {dimension} of {sum(manifest.parts)} numbers on {len(raw)} pictures"):
        projection = fit_projection(unpack(raw, manifest.parts), manifest.parts, dimension)
    made_from = {"fitted_of": of, "pictures": len(raw), "dimension": dimension}
    made = manifest.model_copy(update={
        "name": name, "about": f"{of}, fitted on {len(raw)} pictures"[:300], "projection": PROJECTION,
        "made_from": manifest.made_from | made_from,
    })  # fmt: skip
    kept = [file for file in manifest.files if file not in (manifest.projection, PACKAGED)]
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / PROJECTION
        projection.save(path)
        return folders.install(made, {file: folders.file(manifest, file) for file in kept} | {PROJECTION: path})


def _same_network(folders: EncoderFolders, manifest: Manifest) -> set[str]:
    """Versions of the encoders whose raw features are those of this one."""
    versions = set()
    for name in folders.names():
        with contextlib.suppress(ConfigurationError):  # one that is damaged made none of them
            other = folders.manifest(name)
            if other.network_version == manifest.network_version:
                versions.add(other.version)
    return versions


def raw_of_index(settings: Settings, manifest: Manifest, versions: Collection[str]) -> Raw:
    """Raw features uint8 [N, R] of the pictures with the smallest hashes of their ids, in this order.

    Of those that an encoder of one of `versions` made. Which these are depends on the ids alone: every order of the log
    gives the same projection.

    Raises:
        UsageError: the index has no picture.
        ConfigurationError: its features are those of another network.
        InfrastructureError: it is away.
    """
    with closing(open_index(settings)) as index, progress() as bar:
        task = bar.add_task("pictures", total=index.count(exact=False), note="")
        chosen: list[tuple[int, str]] = []  # the largest hash first, negated
        for image_id in _ids(index):
            bar.advance(task)
            entry = (-int.from_bytes(hashlib.sha256(image_id.encode()).digest()), image_id)
            if len(chosen) < MOST_PICTURES:
                heapq.heappush(chosen, entry)
            else:
                heapq.heappushpop(chosen, entry)
        ids = [image_id for _, image_id in sorted(chosen, reverse=True)]
        rows = [row for n in range(0, len(ids), PAGE) for row in _raw(index, ids[n : n + PAGE], versions)]
    if not rows:
        raise UsageError(
            f"index: keeps no features of encoder {manifest.name!r}; name the encoder it was made with as --of, or "
            "post pictures first"
        )
    return np.frombuffer(b"".join(rows), np.uint8).reshape(-1, raw_bytes(manifest.parts))


def _ids(index: VectorIndex) -> Iterator[str]:
    cursor: str | None = None
    while True:
        hits, cursor = index.scroll(cursor, PAGE)
        yield from (hit.image_id for hit in hits)
        if cursor is None:
            return


def _raw(index: VectorIndex, ids: list[str], versions: Collection[str]) -> list[bytes]:
    found = index.fetch(ids, with_raw=True)
    payloads = [found[image_id].payload for image_id in ids if image_id in found]
    return [base64.b64decode(kept.raw) for kept in payloads if kept is not None and kept.encoder in versions]


def extract_features(extractor: Extractor, folder: Path | None, how: Preprocessing) -> Vectors:
    """Raw features float32 [N, F] of every picture of a folder, or of OpenMoji; a bar shows how far it is.

    Raises:
        UsageError: the folder holds no picture.
    """
    count, images = _openmoji(how) if folder is None else _folder(folder, how)
    found: list[Vectors] = []
    with progress() as bar:
        task = bar.add_task("pictures", total=count, note="")
        while batch := list(islice(images, BATCH)):
            pictures = [image for image in batch if image is not None]
            if pictures:
                found.append(extractor.extract(np.stack(pictures)))
            bar.advance(task, len(batch))
    if not found:
        raise UsageError(f"folder {folder}: expected pictures in it; name another with --pictures")
    return np.concatenate(found)


def _openmoji(how: Preprocessing) -> tuple[int, Iterator[Images | None]]:
    pictures = load_pictures()
    return len(pictures), (_square(rasterise(picture, max(how.size_px, 224)), how) for picture in pictures)


def _folder(folder: Path, how: Preprocessing) -> tuple[int, Iterator[Images | None]]:
    """Files that are no pictures give None. An operator's own folder is trusted, so it is decoded in this process."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return len(paths), (_square(path.read_bytes(), how) for path in paths)


def _square(content: bytes, how: Preprocessing) -> Images | None:
    if not content:
        return None
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB)
    return None if image is None else prepared(np.asarray(image, np.uint8), how)
