"""The tag vectors of a learner as a file, and beside it a manifest that says what they are of.

In: a state that was replayed to an offset. Out: FILE and FILE.json. The manifest comes last and names the hash of the
table, so a table without its manifest is one that is not done. Raises StorageUnavailableError, UsageError.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from models.errors import UsageError
from models.tagging.tag_vectors import TagColumn, TagVectors
from stream.export.table import Format, disk_errors, open_table
from stream.learn.tagger_state import OpenTagger
from stream.log.reading.positions import StoredOffset

FORMAT = 1  # of the manifest and of the columns
LEARNER = ("dimension", "classifier", "max_tags", "backend")  # settings that change what is learned


@dataclass(frozen=True)
class Manifest:
    """What stands in FILE.json.

    Attributes:
        file: name of the table beside it.
        sha256: of the table.
        rows: images.
        offset: of examples.v1: the records before it were learned, nothing else.
        topic_id: of examples.v1, and ...
        epoch: ... of the log that the offset is of.
        encoder: version of the encoder that made the vectors.
        learned: examples and operations, repeated ones left out.
        learner: settings that change what is learned.
        vocabulary: by id.
        mekiki: version that wrote it.
        format: of this document.
    """

    file: str
    sha256: str
    rows: int
    offset: int
    topic_id: str
    epoch: int
    encoder: str
    learned: int
    learner: dict[str, Any]
    vocabulary: tuple[TagColumn, ...]
    mekiki: str
    format: int = FORMAT


def manifest_path(path: Path) -> Path:
    """Where the manifest of a table is."""
    return path.with_name(f"{path.name}.json")


def check_free(path: Path) -> None:
    """Refuse to write over what is there.

    Raises:
        UsageError: the file or its manifest exists, or its folder does not.
    """
    taken = next((one for one in (path, manifest_path(path)) if one.exists()), None)
    if taken is not None:
        raise UsageError(f"file {taken}: is there already; name another with --out, or remove it")
    if not path.parent.is_dir():
        raise UsageError(f"folder {path.parent}: expected one that is there; make it, or name another with --out")


def write_tags(
    state: OpenTagger,
    at: StoredOffset,
    *,
    path: Path,
    format: Format,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Manifest:
    """Write the table and its manifest; `on_progress` is told the images written, again and again.

    Raises:
        UsageError: nothing was learned before the offset.
        StorageUnavailableError: the disk does not take it; nothing is left of it.
    """
    vectors, rows = TagVectors(state.tagger), 0
    if not vectors.columns or state.encoder is None:
        raise UsageError(f"offset {at.offset}: expected one behind the first tag; nothing was learned before it")
    manifest_file = manifest_path(path)
    parts = {one.with_name(f".{one.name}.part"): one for one in (path, manifest_file)}
    table_part, manifest_part = parts
    try:
        with disk_errors(path):
            with open_table(table_part, format, len(vectors.columns)) as table:
                for batch in vectors.batches():
                    table.write(batch)
                    rows += len(batch.image_ids)
                    on_progress(rows)
            learner = {name: getattr(state.tagger, name) for name in LEARNER}
            manifest = Manifest(
                path.name, _sha256(table_part), rows, at.offset, at.topic_id, at.epoch, state.encoder, state.position,
                learner, vectors.columns, version("mekiki"),
            )  # fmt: skip
            text = json.dumps(asdict(manifest), ensure_ascii=False, indent=1)
            manifest_part.write_text(text + "\n", encoding="utf-8")
            for part, whole in parts.items():
                part.replace(whole)
    finally:
        for part in parts:
            part.unlink(missing_ok=True)
    return manifest


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
