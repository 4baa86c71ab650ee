"""Pictures with tags, to judge by: OpenMoji's, or the labelled pictures of anybody's folder.

In: an encoder's network; nothing else, or a folder and a file of tags. Out: raw features and tags. The
files of a folder are decoded in child processes under limits, as the service does it; what cannot be read is counted,
named in one sentence and left out.
Raises UsageError when too little is left to measure on.
"""

from pathlib import Path

import numpy as np

from admin.console import errors_out, progress
from admin.openmoji import load_pictures
from admin.operators.encoders.fit import extract_features
from admin.people.files.labels import Said, by_file, read_labels
from models.encoders.base import Extractor, Vectors
from models.errors import PoisonError, PolicyError, UsageError
from models.preprocess import DEFAULT, Preprocessing
from models.tagging.memory.names import normalise_tag
from stream.pictures.decode_pool import Decoded, DecodePool

BATCH = 32  # pictures decoded before the network runs on them
LEAST_PICTURES = 50  # two thirds train, one third tests: fewer say nothing
NAMED = 3  # unreadable files named; all are counted

Tags = tuple[str, ...]


def load_openmoji(extractor: Extractor, how: Preprocessing = DEFAULT) -> tuple[Vectors, list[Tags]]:
    """Raw features [N, F] of the OpenMoji pictures and their English tags.

    Raises:
        ConfigurationError: the extra `demo` is not installed.
    """
    return extract_features(extractor, None, how), [picture.tags for picture in load_pictures()]


def load_folder(
    folder: Path, tags_file: Path, extractor: Extractor, how: Preprocessing = DEFAULT
) -> tuple[Vectors, list[Tags]]:
    """Raw features [N, F] of the labelled pictures and the tags of each.

    Raises:
        UsageError: no such folder or file, a broken line, a tag that cannot be one, or fewer than 50 labelled pictures
            that can be read.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: expected a folder of pictures, there is none; check --pictures")
    labelled = _labelled(folder, tags_file)
    _expect_enough(len(labelled), folder, tags_file)
    features, tags, unreadable = _extract(labelled, extractor, how)
    if unreadable:
        named = ", ".join(unreadable[:NAMED]) + (" and others" if len(unreadable) > NAMED else "")
        errors_out.print(
            f"{len(unreadable)} of {len(labelled)} labelled pictures cannot be read and are left out: {named}",
            markup=False, highlight=False, soft_wrap=True,
        )  # fmt: skip
    _expect_enough(len(tags), folder, tags_file)
    return np.concatenate(features), tags


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


def _extract(
    labelled: list[tuple[Path, Tags]], extractor: Extractor, how: Preprocessing
) -> tuple[list[Vectors], list[Tags], list[str]]:
    """Features by batch, tags of what could be read, and what could not with the reason."""
    features: list[Vectors] = []
    tags: list[Tags] = []
    unreadable: list[str] = []
    with DecodePool(how=how) as pool, progress() as bar:
        task = bar.add_task("pictures", total=len(labelled), note="")
        for start in range(0, len(labelled), BATCH):
            batch = labelled[start : start + BATCH]
            pixels = []
            for file, of_file in batch:
                answer = _decode(pool, file)
                if isinstance(answer, Decoded):
                    pixels.append(answer.pixels)
                    tags.append(of_file)
                else:
                    unreadable.append(f"{file.name} ({answer})")
            if pixels:
                features.append(extractor.extract(np.stack(pixels)))
            bar.advance(task, len(batch))
    return features, tags, unreadable


def _decode(pool: DecodePool, file: Path) -> Decoded | str:
    """Pixels, or the reason why there are none."""
    try:
        if file.stat().st_size > pool.limits.max_bytes:
            return "too_large"
        (answer,) = pool.decode_many([file.read_bytes()])
    except OSError as error:
        return error.strerror or type(error).__name__
    return answer.reason if isinstance(answer, PoisonError) else answer


def _expect_enough(count: int, folder: Path, tags_file: Path) -> None:
    if count < LEAST_PICTURES:
        raise UsageError(
            f"{folder}: expected at least {LEAST_PICTURES} pictures that {tags_file} gives tags, found {count}; "
            "`file` is a picture's name, or its path inside the folder"
        )
