"""Pictures with tags, to judge by: OpenMoji's, or the labelled pictures of anybody's folder.

In: nothing, or a folder and a file of tags. Out: `Labelled`, and what is made of their pixels. Files are decoded in
child processes under limits, as the service does it; what cannot be read is counted, named in one sentence and left
out. Raises UsageError when too little is left to measure on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from admin.console import errors_out, progress
from admin.openmoji import load_pictures, rasterise
from admin.people.files.labels import Said, by_file, read_labels
from models.encoders.base import Images
from models.errors import PoisonError, PolicyError, UsageError
from models.preprocess import DEFAULT, Preprocessing
from models.tagging.memory.names import normalise_tag
from stream.pictures.decode_pool import Decoded, DecodePool

BATCH = 32  # pictures decoded before anything is made of them: steps of the progress bar
LEAST_PICTURES = 50  # two thirds train, one third tests: fewer say nothing
NAMED = 3  # unreadable files named; all are counted

Tags: TypeAlias = tuple[str, ...]
N = TypeVar("N", bound=np.generic)


@dataclass(frozen=True)
class Labelled:
    """Pictures: tags of each, its name, and how its file is read for a square of so many pixels."""

    tags: Sequence[Tags]
    names: Sequence[str]
    read: Callable[[int, int], bytes]

    def measured(
        self, measure: Callable[[Images, Sequence[Tags]], npt.NDArray[N]], how: Preprocessing = DEFAULT, note: str = ""
    ) -> tuple[npt.NDArray[N], list[Tags]]:
        """Rows [N, F] of what `measure` makes of pixels [B, S, S, 3] and tags, and the tags, of what can be read.

        A bar shows how far it is.

        Raises:
            UsageError: fewer than 50 of them can be read.
        """
        rows: list[npt.NDArray[N]] = []
        tags: list[Tags] = []
        unreadable: list[str] = []
        with DecodePool(how=how) as pool, progress() as bar:
            task = bar.add_task("pictures", total=len(self.tags), note=note)
            for start in range(0, len(self.tags), BATCH):
                batch = range(start, min(start + BATCH, len(self.tags)))
                answers = {number: self._decode(pool, number, how.size_px) for number in batch}
                decoded = {n: answer for n, answer in answers.items() if isinstance(answer, Decoded)}
                unreadable += [f"{self.names[n]} ({why})" for n, why in answers.items() if isinstance(why, str)]
                if decoded:
                    of_batch = [self.tags[number] for number in decoded]
                    rows.append(measure(np.stack([one.pixels for one in decoded.values()]), of_batch))
                    tags += of_batch
                bar.advance(task, len(batch))
        self._tell(unreadable)
        if len(tags) < LEAST_PICTURES:
            raise UsageError(
                f"pictures: expected at least {LEAST_PICTURES} with tags that can be read, found {len(tags)}; in a "
                "file of tags `file` is a picture's name, or its path inside the folder"
            )
        return np.concatenate(rows), tags

    def _decode(self, pool: DecodePool, number: int, size_px: int) -> Decoded | str:
        """Pixels, or the reason why there are none."""
        try:
            (answer,) = pool.decode_many([self.read(number, size_px)])
        except OSError as error:
            return error.strerror or type(error).__name__
        return answer.reason if isinstance(answer, PoisonError) else answer

    def _tell(self, unreadable: list[str]) -> None:
        if unreadable:
            named = ", ".join(unreadable[:NAMED]) + (" and others" if len(unreadable) > NAMED else "")
            errors_out.print(
                f"{len(unreadable)} of {len(self.tags)} labelled pictures cannot be read and are left out: {named}",
                markup=False, highlight=False, soft_wrap=True,
            )  # fmt: skip


def load_openmoji() -> Labelled:
    """The OpenMoji pictures and their English tags.

    Raises:
        ConfigurationError: the extra `demo` is not installed.
    """
    pictures = load_pictures()
    return Labelled(
        [picture.tags for picture in pictures],
        [picture.image_id for picture in pictures],
        lambda number, size_px: rasterise(pictures[number], max(size_px, DEFAULT.size_px)),
    )


def load_folder(folder: Path, tags_file: Path) -> Labelled:
    """The pictures of a folder that a file gives tags.

    Raises:
        UsageError: no such folder or file, a broken line, or a tag that cannot be one.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: expected a folder of pictures, there is none; check --pictures")
    labelled = _labelled(folder, tags_file)
    return Labelled(
        [tags for _, tags in labelled],
        [file.name for file, _ in labelled],
        lambda number, size_px: labelled[number][0].read_bytes(),
    )


def _labelled(folder: Path, tags_file: Path) -> list[tuple[Path, Tags]]:
    labels = by_file(read_labels(tags_file))
    found = []
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        names = (file.relative_to(folder).as_posix(), file.name, str(file))
        label = next((labels[name] for name in names if name in labels), Said())
        if label.tags:
            try:
                found.append((file, tuple(dict.fromkeys(map(normalise_tag, label.tags)))))
            except PolicyError as error:
                raise UsageError(f"{tags_file}, {file.name}: {error}") from None
    return found
