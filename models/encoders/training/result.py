"""What a training gives: everything that an encoder's manifest says of a trained network.

Data alone. Nothing fails.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from models.preprocess import Cut


@dataclass(frozen=True)
class Trained:
    """Parts of a manifest.

    Attributes:
        name: of the encoder.
        kind: of the network, as models.encoders.networks.build has it.
        arguments: of that kind.
        size_px: side of the pictures that it takes; all else is done to their pixels by the network itself.
        features: names and lengths of the parts of its features, in their order.
        outputs: of the graph, after `features`.
        training: provenance: seed, pictures, epochs, losses, position of the log, and what was measured.
        cut: "face" where the network sees faces that models.faces cut out, else nothing.
    """

    name: str
    kind: str
    arguments: Mapping[str, Any]
    size_px: int
    features: tuple[tuple[str, int], ...]
    outputs: tuple[str, ...] = ()
    training: Mapping[str, Any] = field(default_factory=dict)
    cut: Cut = ""
