"""`mekiki bench tagger`: its parts in one report, ours and the peers' in one run.

What only other parts need is imported by them: torch and OpenCV must not count as memory of the speed part.
"""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from benchmarks.tagger import speed, stream
from benchmarks.tagger.parts import Part
from benchmarks.tagger.peers import QUALITY, SPEED, Peer, check_installed


def run(
    parts: Collection[Part],
    *,
    pictures: tuple[np.ndarray, Sequence[Sequence[str]]] | None,
    tags: int,
    without: Collection[Peer],
    split_count: int,
) -> dict[str, Any]:
    """Measure.

    Args:
        parts: which to measure.
        pictures: features [N, F] and tags of each picture; OpenMoji's when None.
        tags: how many, for the speed part.
        without: peers to leave out; their figures are null.
        split_count: how many splits the quality part takes the mean of.

    Raises:
        ConfigurationError: a peer cannot run.
        UsageError: too few of the pictures share tags.
    """
    wanted = (SPEED if Part.SPEED in parts else frozenset()) | (QUALITY if Part.QUALITY in parts else frozenset())
    check_installed(wanted - set(without))
    cuts = []
    if Part.QUALITY in parts or Part.FEW_SHOT in parts:
        from admin.operators.encoders.labelled import load_openmoji
        from models.encoders.load import load_extractor
        from models.encoders.registry.folders import DEFAULT, EncoderFolders
        from models.judging.splits import FIRST_SEED, split

        manifest = EncoderFolders().manifest(DEFAULT)
        if pictures is None:
            extractor = load_extractor(manifest)
            pictures = load_openmoji().measured(lambda pixels, _: extractor.extract(pixels))
        features, names = pictures
        count = split_count if Part.QUALITY in parts else 1
        cuts = [split(features, manifest.parts, names, FIRST_SEED + number) for number in range(count)]
    report: dict[str, Any] = {}
    if Part.SPEED in parts:
        through_broker = stream.run(tags)
        report["speed"] = speed.run(tags, without) | {"stream_examples_per_second": through_broker}
    if Part.QUALITY in parts:
        from benchmarks.tagger import quality

        report["quality"] = quality.run(cuts, without)
    if Part.FEW_SHOT in parts:
        from benchmarks.tagger import few_shot

        report["few_shot"] = few_shot.run(cuts[0])
    return report
