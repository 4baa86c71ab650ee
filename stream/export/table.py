"""Tag vectors into one file, Parquet or CSV, a batch of images at a time.

In: batches of images. Out: a file. Raises ConfigurationError where pyarrow is missing, StorageUnavailableError where
the disk does not take it.
"""

import csv
import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, Protocol

from models.errors import ConfigurationError, StorageUnavailableError
from models.tagging.tag_vectors import VectorBatch

Format = Literal["parquet", "csv"]


class Table(Protocol):
    """A file that is being written."""

    def write(self, batch: VectorBatch) -> None:
        """Append a batch of images."""
        ...


class ParquetTable:
    """Columns image_id, labelled, and tags: a list of float32 as long as the vocabulary."""

    def __init__(self, writer: Any, arrow: ModuleType, schema: Any) -> None:
        self._writer, self._arrow, self._schema = writer, arrow, schema

    def write(self, batch: VectorBatch) -> None:
        """See Table."""
        pa, (count, ids) = self._arrow, batch.probabilities.shape
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(batch.probabilities.reshape(count * ids)), ids)
        columns = [pa.array(batch.image_ids, pa.string()), pa.array(batch.labelled), vectors]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=self._schema))


class CsvTable:
    """Columns image_id, labelled, and t0, t1, ...: one a tag, by id; numbers that read as the same float32."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def write(self, batch: VectorBatch) -> None:
        """See Table."""
        for image_id, labelled, row in zip(batch.image_ids, batch.labelled, batch.probabilities, strict=True):
            self._writer.writerow(
                [image_id, int(labelled), *map(str, row)]
            )  # as float32, not as the double it widens to


def load_arrow() -> ModuleType:
    """The package that writes Parquet.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        importlib.import_module("pyarrow.parquet")
        return importlib.import_module("pyarrow")
    except ImportError as error:
        raise ConfigurationError(
            "package pyarrow: expected to be installed for --format parquet; run: pip install 'mekiki[export]', or "
            "take --format csv"
        ) from error


@contextmanager
def open_table(path: Path, format: Format, ids: int) -> Iterator[Table]:
    """A table with a vocabulary of `ids`, whole once the block has ended."""
    if format == "csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["image_id", "labelled", *(f"t{number}" for number in range(ids))])
            yield CsvTable(writer)
        return
    arrow = load_arrow()
    schema = arrow.schema([
        arrow.field("image_id", arrow.string(), nullable=False), arrow.field("labelled", arrow.bool_(), nullable=False),
        arrow.field("tags", arrow.list_(arrow.field("element", arrow.float32()), ids), nullable=False),
    ])  # fmt: skip
    with arrow.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        yield ParquetTable(writer, arrow, schema)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Map what a disk refuses inside the block to the tree of models/errors.py."""
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        raise StorageUnavailableError(f"file {path}: not written ({why}); check its folder and free space") from error
