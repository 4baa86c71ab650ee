"""What a frozen encoder sees in each picture of a run, kept as rows.

In: pictures and an extractor. Out: rows of raw features float32 [F]. Raises StorageUnavailableError: no room.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from models.encoders.base import INPUT_SIZE_PX, Images, Vectors
from models.encoders.training.data.pictures import READ_AT_ONCE, Pictures, Plan, Report
from models.encoders.training.data.rows import RowFile
from models.preprocess import fit_square


@dataclass(frozen=True)
class FrozenEncoder:
    """What the frozen encoder does, for who learns from it.

    Attributes:
        extract: uint8 [B, 224, 224, 3] -> raw features float32 [B, F].
        parts: numbers in each part of these, in their order.
    """

    extract: Callable[[Images], Vectors]
    parts: Sequence[int]


def keep_features(source: Pictures, plan: Plan, pictures: RowFile, encoder: FrozenEncoder, report: Report) -> RowFile:
    """Raw features of all pictures of the plan, row by row; what is there of them is not computed again.

    Of a picture that is gone by now the kept pixels are taken, enlarged.

    Raises:
        StorageUnavailableError: no room.
    """
    rows = RowFile(pictures.path.with_name("features.rows"), (sum(encoder.parts),), np.float32)
    for start in range(len(rows), len(plan.ids), READ_AT_ONCE):
        ids = plan.ids[start : start + READ_AT_ONCE]
        rows.append(encoder.extract(whole_pictures(source, ids, pictures, start)))
        report("what the encoder sees", start + len(ids), len(plan.ids))
    return rows


def whole_pictures(source: Pictures, ids: Sequence[str], pictures: RowFile, start: int) -> Images:
    """Pictures uint8 [n, 224, 224, 3] of rows from `start` on."""
    found = source.load(ids, INPUT_SIZE_PX)
    for place, image in enumerate(found):
        if image is None:
            found[place] = fit_square(pictures.read([start + place])[0], INPUT_SIZE_PX)
    return np.stack([image for image in found if image is not None])
