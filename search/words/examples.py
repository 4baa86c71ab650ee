"""What is like some pictures and unlike others, as one vector."""

from collections.abc import Sequence

import numpy as np

from models.tagging.arrays import Float32


def between(like: Sequence[Float32], unlike: Sequence[Float32] = ()) -> Float32:
    """The unit vector [D] of what is like all of these and unlike those; `like` has one at least.

    Source: average_vector of Qdrant's recommendations, the mean of the one moved away from the mean of the other.
    """
    mean = np.mean(like, axis=0)
    moved = mean if not unlike else 2 * mean - np.mean(unlike, axis=0)
    length = float(np.linalg.norm(moved))
    vector: Float32 = np.asarray(moved / length if length > 0 else like[0], np.float32)
    return vector
