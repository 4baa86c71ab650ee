"""What a training gives: everything that an encoder's manifest says of a trained network.

Data alone. Nothing fails.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Trained:
    """Parts of a manifest.

    Attributes:
        name: of the encoder.
        kind: of the network, as models.encoders.networks.build has it.
        arguments: of that kind.
        size_px: side of the pictures that it takes.
        features: names and lengths of the parts of its features, in their order.
        outputs: of the graph, after `features`.
        training: provenance: seed, pictures, epochs, losses, position of the log, and what was measured.
        fit: how a picture is made square.
        mean: taken from pixels before the graph: nothing, it does so itself.
        deviation: pixels are divided by before the graph.
        cut: "face" where the network sees faces that models.faces cut out, else nothing.
        gray: whether colours are left out, which the graph does itself.
    """

    name: str
    kind: str
    arguments: Mapping[str, Any]
    size_px: int
    features: tuple[tuple[str, int], ...]
    outputs: tuple[str, ...] = ()
    training: Mapping[str, Any] = field(default_factory=dict)
    fit: str = "squash"
    mean: float = 0.0
    deviation: float = 1.0
    gray: bool = False
    cut: str = ""
