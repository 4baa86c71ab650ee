"""The ranker as it is served: small, immutable, without torch.

In: vectors float32 [B, D]. Out: scores float32 [B], higher is preferred. Raises ConfigurationError on a file that is
not a ranker, EncoderMismatchError on vectors of another length.
"""

import json
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from models.errors import ConfigurationError, EncoderMismatchError

ARRAYS = ("linear", "hidden", "bias", "output")  # the fields that are tensors of the file

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class PublishedRanker:
    """One version: score(x) = (1 - blend) linear.x + blend relu(x @ hidden + bias).output; any thread.

    Attributes:
        linear: float32 [D].
        hidden: float32 [D, H].
        bias: float32 [H].
        output: float32 [H].
        blend: the network's share, 0 to 1.
        version: grows with every block of pairs that was learned.
        pairs_seen: pairs of the log behind it.
        progressive_accuracy: share of recent pairs that were in the right order before they were learned.
    """

    linear: Vectors
    hidden: Vectors
    bias: Vectors
    output: Vectors
    blend: float
    version: int
    pairs_seen: int
    progressive_accuracy: float

    def score(self, vectors: Vectors) -> Vectors:
        """Scores float32 [B] of unit vectors float32 [B, D].

        Raises:
            EncoderMismatchError: vectors of another length.
        """
        dimension = len(self.linear)
        if vectors.ndim != 2 or vectors.shape[1] != dimension:
            raise EncoderMismatchError(
                f"vectors {list(vectors.shape)}: expected [B, {dimension}], the ranker's; "
                "start its state anew after a change of encoder"
            )
        scores = (1 - self.blend) * (vectors @ self.linear)
        if self.blend:
            scores = scores + self.blend * (np.maximum(vectors @ self.hidden + self.bias, 0) @ self.output)
        return np.asarray(scores, np.float32)

    def encoded(self) -> bytes:
        """As safetensors, the plain numbers in its metadata."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        arrays = {name: values.pop(name) for name in ARRAYS}
        return save(arrays, metadata={"ranker": json.dumps(values)})

    @classmethod
    def load(cls, path: Path) -> "PublishedRanker":
        """Read a file with what `encoded` gave.

        Raises:
            ConfigurationError: not a file of ours.
            FileNotFoundError: no such file.
        """
        try:
            with safe_open(path, framework="numpy") as file:
                document = json.loads(file.metadata()["ranker"])
                arrays = {name: file.get_tensor(name) for name in ARRAYS}
            return cls(**arrays, **document)
        except FileNotFoundError:
            raise
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise ConfigurationError(f"ranker {path}: expected a file of ours; publish it again") from error
