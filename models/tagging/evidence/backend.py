"""Where the large products are made: NumPy on a CPU, torch on a GPU (torch_backend.py).

In: arrays of NumPy. Out: arrays of NumPy. What is learned with one backend differs from what is learned with the other
in its last bits; a state may go from one to the other. The exact sums are integers on either.
"""

from typing import Literal, Protocol

import numpy as np
from scipy.linalg import cho_factor, cho_solve  # type: ignore[import-untyped]
from scipy.linalg.lapack import dpotrf, dpotri  # type: ignore[import-untyped]

from models.cuda import cuda_is_available
from models.quantise import SCALE
from models.tagging.arrays import Float32, Float64, Int64, slices
from models.tagging.evidence.kriging import kriging_weights
from models.tagging.memory.chunks import Chunks

BackendName = Literal["auto", "numpy", "torch"]
CHUNK_ROWS = 2048  # rows of C in floating point at a time: 4 MB of float32, so the copy of C stays small


class Backend(Protocol):
    """The products that learning and serving spend their time on. D numbers in an embedding, T tags, N images."""

    device: str

    def inverse(self, matrix: Float64) -> Float64:
        """Of a symmetric positive definite matrix [D, D]. Raises LinAlgError if it is not."""

    def solve(self, matrix: Float64, right: Float64) -> Float64:
        """x [D, B] with `matrix x = right`, for a symmetric positive definite matrix. Raises LinAlgError."""

    def centred_times(self, sums: Int64, share: Float64, total: Float64, right: Float64) -> Float32:
        """`r right` [T, D] with `r = sums / SCALE - share totalᵀ`: sums [T, D], share [T], total [D], right [D, D]."""

    def scatter(self, sums: Int64, share: Float64, total: Float64, weights: Float64) -> Float64:
        """`Σ w_t r_t r_tᵀ` [D, D] with the same r and weights [T], none below 0."""

    def scores(self, queries: Float32, sums: Int64) -> Float32:
        """Inner products [B, T] of queries [B, D] with sums [T, D]."""

    def similarity(self, queries: Float32, vectors: Chunks) -> Float32:
        """Inner products [B, N] of queries [B, D] with vectors [N, D]."""

    def kriging_weights(self, neighbours: Float32, queries: Float32) -> Float32:
        """As `models.tagging.evidence.kriging.kriging_weights`."""


class NumpyBackend:
    """The CPU's. An inverse is made by LAPACK's Cholesky, half the work of a general one."""

    device = "cpu"

    def inverse(self, matrix: Float64) -> Float64:
        """See Backend."""
        lower, failed = dpotrf(matrix.T, lower=1)  # the transpose is as LAPACK has it
        found, failed = dpotri(lower, lower=1, overwrite_c=1) if not failed else (lower, failed)
        if failed:
            raise np.linalg.LinAlgError("not positive definite")
        whole: Float64 = found + np.tril(found, -1).T
        return whole

    def solve(self, matrix: Float64, right: Float64) -> Float64:
        """See Backend."""
        factor = cho_factor(matrix.T, lower=True, check_finite=False)
        found: Float64 = cho_solve(factor, right, check_finite=False)
        return found

    def centred_times(self, sums: Int64, share: Float64, total: Float64, right: Float64) -> Float32:
        """See Backend."""
        single = right.astype(np.float32)
        found = np.empty((len(sums), right.shape[1]), np.float32)
        for part in slices(len(sums), CHUNK_ROWS):
            centred = sums[part] / SCALE - share[part, None] * total
            np.matmul(centred.astype(np.float32), single, out=found[part])
        return found

    def scatter(self, sums: Int64, share: Float64, total: Float64, weights: Float64) -> Float64:
        """See Backend."""
        found = np.zeros((sums.shape[1], sums.shape[1]))
        for part in slices(len(sums), CHUNK_ROWS):
            centred = sums[part] / SCALE - share[part, None] * total
            centred *= np.sqrt(weights[part])[:, None]
            single = centred.astype(np.float32)
            found += single.T @ single
        return found

    def scores(self, queries: Float32, sums: Int64) -> Float32:
        """See Backend."""
        found = np.empty((len(queries), len(sums)), np.float32)
        for part in slices(len(sums), CHUNK_ROWS):
            np.matmul(queries, sums[part].astype(np.float32).T, out=found[:, part])
        return found

    def similarity(self, queries: Float32, vectors: Chunks) -> Float32:
        """See Backend."""
        return vectors.times(queries)

    def kriging_weights(self, neighbours: Float32, queries: Float32) -> Float32:
        """See Backend."""
        weights: Float32 = kriging_weights(neighbours, queries)
        return weights


NUMPY: Backend = NumpyBackend()


def load_backend(name: BackendName = "auto") -> Backend:
    """`auto` is torch where there is a CUDA device, else NumPy; `torch` without one runs on the CPU, to compare."""
    if name == "torch" or (name == "auto" and cuda_is_available()):
        from models.tagging.evidence.torch_backend import TorchBackend

        return TorchBackend("cuda" if cuda_is_available() else "cpu")
    return NUMPY
