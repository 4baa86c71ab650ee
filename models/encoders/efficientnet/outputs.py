"""The EfficientNet-Lite variants, and what is read off each. No torch here: a cached graph runs without it.

The raw features of a picture are nine parts: the means of the last feature map, and of four middle layers means and
deviations over space.

Source: Tan and Le, EfficientNet, arXiv 1905.11946, section 4 (width and depth); the lite variants keep the stem, the
head, and the number of blocks in the first and last stage (tensorflow/tpu, models/official/efficientnet/lite).
"""

import math
from dataclasses import dataclass
from functools import cached_property

HEAD_CHANNELS = 1280
STEM_CHANNELS = 32
READ_OFF = "head-3-5-6-7-mean-std-2"  # part of every encoder version: change it whenever the features change
_READ_STAGES = (2, 4, 5, 6)  # their last blocks: colours and strokes up to whole objects

Stage = tuple[int, int, int, int, int]  # kernel, stride, expansion, channels out, repeats

_STAGES: tuple[Stage, ...] = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)


@dataclass(frozen=True)
class Variant:
    """One of the networks.

    Attributes:
        name: "efficientnet-lite0" and so on.
        size_px: side of the square pictures that it takes.
        width: factor of the channels.
        depth: factor of the blocks in a stage.
    """

    name: str
    size_px: int
    width: float
    depth: float

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """As built, from the first to the last."""
        inner = range(1, len(_STAGES) - 1)
        return tuple(
            (kernel, stride, expansion, self._channels(out), math.ceil(self.depth * repeats) if n in inner else repeats)
            for n, (kernel, stride, expansion, out, repeats) in enumerate(_STAGES)
        )

    def _channels(self, of_lite0: int) -> int:
        """Scaled to the nearest multiple of 8, and never more than a tenth down."""
        scaled = of_lite0 * self.width
        rounded = max(8, int(scaled + 4) // 8 * 8)
        return rounded if rounded >= 0.9 * scaled else rounded + 8

    @cached_property
    def read_blocks(self) -> tuple[int, ...]:
        """Numbers of the blocks that features are read off, counted through all stages."""
        ends = [sum(stage[4] for stage in self.stages[: n + 1]) - 1 for n in range(len(self.stages))]
        return tuple(ends[n] for n in _READ_STAGES)

    @cached_property
    def parts(self) -> tuple[int, ...]:
        """Numbers in each part of the features, in their order; 2,608 together for Lite0."""
        return (HEAD_CHANNELS, *(self.stages[n][3] for n in _READ_STAGES for _ in range(2)))

    @property
    def map_shape(self) -> tuple[int, int, int]:
        """Of the last feature map: one column of numbers for each 32 x 32 pixels."""
        side = math.ceil(self.size_px / 32)
        return side, side, HEAD_CHANNELS


VARIANTS = {
    variant.name: variant
    for variant in (
        Variant("efficientnet-lite0", 224, 1.0, 1.0),
        Variant("efficientnet-lite1", 240, 1.0, 1.1),
        Variant("efficientnet-lite2", 260, 1.1, 1.2),
    )
}
LITE0 = VARIANTS["efficientnet-lite0"]
