"""How a training is shown while it runs, where it keeps what it needs, and what is said at its end.

In: a training's reports. Out: bars on standard error; a line. Nothing fails.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.progress import TaskID

from admin.console import errors_out, progress
from models.encoders.training.data.pictures import Report
from models.encoders.training.loop import Course
from models.encoders.training.result import Trained


def run_folder(out: Path) -> Path:
    """Where a run keeps what it needs until it is done."""
    return out.with_name(out.name + ".run")


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


def discard(out: Path) -> None:
    """Drop what the run kept."""
    shutil.rmtree(run_folder(out), ignore_errors=True)


def finished(out: Path, trained: Trained, course: Course) -> None:
    """Say what came of it, and drop what the run kept."""
    discard(out)
    best = course.held_out[course.best]
    errors_out.print(
        f"wrote {out}: {trained.name}, {trained.training['pictures']} pictures, {len(course.losses)} epochs; held-out "
        f"loss {course.start:.4g} before, {best:.4g} after epoch {course.best + 1}"
    )
