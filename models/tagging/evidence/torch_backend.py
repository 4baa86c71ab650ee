"""The large products in torch, for a GPU; on a CPU it runs too, to compare.

In: arrays of NumPy, uploaded for each product, since sums and exemplars change while they are learned. Out: arrays of
NumPy. Single precision throughout but for inverses (torch leaves TF32 off unless told otherwise), and no atomic sums
where learning depends on them, so that a replay on the same device gives the same bits.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from models.quantise import SCALE
from models.tagging.arrays import Float32, Float64, Int64, slices
from models.tagging.evidence.kriging import kriging_weights
from models.tagging.memory.chunks import Array, Chunks

CHUNK_ROWS = 16_384  # rows of C in double precision at a time: 67 MB


class TorchBackend:
    """See `models.tagging.evidence.backend.Backend`."""

    def __init__(self, device: str) -> None:
        self.device = device

    def inverse(self, matrix: Float64) -> Float64:
        """See Backend."""
        return to_numpy(torch.cholesky_inverse(self._cholesky(matrix)))

    def solve(self, matrix: Float64, right: Float64) -> Float64:
        """See Backend."""
        return to_numpy(torch.cholesky_solve(self.put(right), self._cholesky(matrix)))

    def centred_times(self, sums: Int64, share: Float64, total: Float64, right: Float64) -> Float32:
        """See Backend."""
        single = self.put(right).float()
        found = np.empty((len(sums), right.shape[1]), np.float32)
        for part, centred in self._centred(sums, share, total):
            found[part] = to_numpy(centred.float() @ single)
        return found

    def scatter(self, sums: Int64, share: Float64, total: Float64, weights: Float64) -> Float64:
        """See Backend."""
        found = torch.zeros((sums.shape[1], sums.shape[1]), dtype=torch.float64, device=self.device)
        for part, centred in self._centred(sums, share, total):
            single = (centred * self.put(weights[part]).sqrt()[:, None]).float()
            found += single.T @ single
        return to_numpy(found)

    def scores(self, queries: Float32, sums: Int64) -> Float32:
        """See Backend."""
        asked = self.put(queries)
        found = np.empty((len(queries), len(sums)), np.float32)
        for part in slices(len(sums), CHUNK_ROWS):
            found[:, part] = to_numpy(asked @ self.put(sums[part]).float().T)
        return found

    def similarity(self, queries: Float32, vectors: Chunks) -> Float32:
        """See Backend."""
        asked = self.put(queries)
        found = [asked[:, :0], *(asked @ self.put(part).T for part in vectors.parts)]
        return to_numpy(torch.cat(found, dim=1))

    def kriging_weights(self, neighbours: Float32, queries: Float32) -> Float32:
        """See Backend."""
        return to_numpy(kriging_weights(self.put(neighbours), self.put(queries), torch))

    def put(self, array: Array) -> Tensor:
        """An array on the device."""
        return torch.from_numpy(np.require(array, requirements=["C", "W"])).to(self.device)

    def _cholesky(self, matrix: Float64) -> Tensor:
        lower: Tensor
        lower, failed = torch.linalg.cholesky_ex(self.put(matrix))
        if int(failed):
            raise np.linalg.LinAlgError("not positive definite")
        return lower

    def _centred(self, sums: Int64, share: Float64, total: Float64) -> Iterator[tuple[slice, Tensor]]:
        mean = self.put(total)
        for part in slices(len(sums), CHUNK_ROWS):
            yield part, self.put(sums[part]).double() / SCALE - self.put(share[part])[:, None] * mean


def to_numpy(tensor: Tensor) -> Array:
    """A tensor of any device as an array."""
    return tensor.cpu().numpy()
