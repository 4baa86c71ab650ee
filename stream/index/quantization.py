"""How a search goes through small codes of the vectors first, and how many of what these find are compared by floats.

In: settings and a limit. Out: what either Qdrant is to be asked for. Raises ConfigurationError for a kind that a Qdrant
cannot have.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from models.errors import ConfigurationError
from stream.index.points import Layout
from stream.settings import QdrantSettings, QuantizationKind

LEAST_CANDIDATES = 4_000  # of a scan through bits: 1 to 2 ms more, and exact up to that size whatever the vectors
LEAST_OF_MANY = 500  # the same where a point has many vectors, all of which are then compared
Oversampling: TypeAlias = Mapping[QuantizationKind, float]
ON_EDGE: Oversampling = {"turbo": 16.0, "binary": 16.0, "none": 1.0}
ON_SERVER: Oversampling = {"scalar": 1.0, "turbo": 16.0, "binary": 16.0, "none": 1.0}


@dataclass(frozen=True, slots=True)
class Quantization:
    """What a search asks for.

    Attributes:
        kind: of the codes: bits of one number each after a rotation (turbo), signs (binary), int8 (scalar), none.
        rescore: whether floats score and order what the codes found; scores are exact then.
        oversampling: candidates of the codes for each result.
        least: candidates there are at least.
    """

    kind: QuantizationKind
    rescore: bool = True
    oversampling: float = 1.0
    least: int = 0

    def oversampling_for(self, limit: int) -> float:
        """Candidates for each of `limit` results."""
        return max(self.oversampling, self.least / max(limit, 1))


def of_edge(settings: QdrantSettings, layout: Layout) -> Quantization:
    """For Qdrant Edge, which scans all codes of a search.

    Raises:
        ConfigurationError: int8, which Edge makes only when it optimises, and that answers nobody for minutes.
    """
    kind: QuantizationKind = "turbo" if settings.quantization == "auto" else settings.quantization
    if kind not in ON_EDGE:
        raise ConfigurationError(
            f"MEKIKI_QDRANT__QUANTIZATION {kind}: expected auto, {', '.join(ON_EDGE)} without a Qdrant server; choose "
            "one of those or name a server in MEKIKI_QDRANT__URL"
        )
    return _quantization(settings, kind, ON_EDGE, LEAST_OF_MANY if layout.many else LEAST_CANDIDATES)


def of_server(settings: QdrantSettings, kind: QuantizationKind) -> Quantization:
    """For a Qdrant server whose collection has codes of this kind; its graph finds what a scan would."""
    return _quantization(settings, kind, ON_SERVER, 0)


def _quantization(settings: QdrantSettings, kind: QuantizationKind, usual: Oversampling, least: int) -> Quantization:
    if settings.oversampling is not None:
        return Quantization(kind, settings.rescore, settings.oversampling)
    return Quantization(kind, settings.rescore, usual[kind], least if kind != "none" else 0)
