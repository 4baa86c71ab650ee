"""How a training is shown while it runs, where it keeps what it needs, and how it ends.

In: a training's reports and its result. Out: bars on standard error, an encoder's folder. Raises UsageError for a name
that is taken, StorageUnavailableError.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.progress import TaskID
from torch import nn

from admin.console import errors_out, progress
from models.encoders.projection import Projection
from models.encoders.registry.folders import EncoderFolders
from models.encoders.registry.manifest import PROJECTION
from models.encoders.training.data.files import disk_errors
from models.encoders.training.data.pictures import Report
from models.encoders.training.export import manifest_of, write_files
from models.encoders.training.loop import Course
from models.encoders.training.result import Trained


@dataclass(frozen=True)
class Run:
    """A training that makes the encoder `name`; with `replace` in the place of one that is there."""

    folders: EncoderFolders
    name: str
    replace: bool = False

    def __post_init__(self) -> None:
        if not self.replace or not self.folders.path(self.name).exists():
            self.folders.check_free(self.name)

    @property
    def folder(self) -> Path:
        """Where it keeps what it needs until it is done: the same name goes on with it."""
        return self.folders.path(f".run-{self.name}")

    def discard(self) -> None:
        """Drop what it kept."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def finish(
        self, network: nn.Module, trained: Trained, course: Course, *,
        documents: Mapping[str, Any] | None = None, projection: Projection | None = None,
    ) -> None:  # fmt: skip
        """Make the encoder, say what came of it, and drop what the run kept.

        Args:
            network: as it is served.
            trained: for its manifest.
            course: of what is served.
            documents: other files of the encoder, as JSON.
            projection: of its features; None: they are the vector.

        Raises:
            UsageError: a weight is not finite.
            StorageUnavailableError: there is no room.
        """
        files = write_files(network, trained, self.folder / "made", documents or {})
        manifest = manifest_of(trained, self.name)
        if projection is not None:
            files[PROJECTION] = self.folder / "made" / PROJECTION
            with disk_errors(self.folder):
                projection.save(files[PROJECTION])
            manifest = manifest.model_copy(update={"projection": PROJECTION})
        made = self.folders.install(manifest, files, replace=self.replace)
        self.discard()
        best = course.held_out[course.best]
        errors_out.print(
            f"encoder {made.name}, version {made.version}: {trained.name}, {trained.training['pictures']} pictures, "
            f"{len(course.losses)} epochs; held-out loss {course.start:.4g} before, {best:.4g} after epoch "
            f"{course.best + 1}"
        )


@contextmanager
def shown_progress() -> Iterator[Report]:
    """Takes reports; a bar for each thing that is done."""
    with progress() as bar:
        tasks: dict[str, TaskID] = {}

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total, note="")
            bar.update(tasks[what], completed=done, total=total)

        yield report
