"""river's examples, dicts of features, as embeddings.

In: dicts. Out: unit vectors float32 [D].
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from models.errors import UsageError
from models.tagging.arrays import Float32


class FeatureIndex:
    """Which number of an embedding a feature is, in the order in which features were first learned."""

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension
        self._index: dict[Any, int] = {}

    def learn(self, x: Mapping[Any, float]) -> None:
        """Give features that are new a number.

        Raises:
            UsageError: there are more features than numbers.
        """
        for name in x:
            if self._index.setdefault(name, len(self._index)) >= self._dimension:
                raise UsageError(f"feature {name!r}: expected at most {self._dimension} features; raise `dimension`")

    def vector(self, x: Mapping[Any, float]) -> Float32:
        """The features scaled to length 1, float32 [D]; those never learned are left out."""
        vector = np.zeros(self._dimension)
        for name, value in x.items():
            if name in self._index:
                vector[self._index[name]] = value
        length = float(np.linalg.norm(vector))
        if length == 0:
            vector[0] = length = 1.0
        return (vector / length).astype(np.float32)
