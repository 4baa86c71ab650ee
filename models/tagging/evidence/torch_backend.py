"""The large products in torch, for a GPU; on a CPU it runs too, to compare.

Learning uploads what it multiplies, since sums and exemplars change under it. Serving keeps a snapshot on the
device and uploads only those chunks of a new version that changed. Single precision throughout but for inverses (torch
leaves TF32 off unless told otherwise), and no atomic sums where learning depends on them, so that a replay on the same
device gives the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from models.quantise import SCALE
from models.tagging.arrays import Float32, Float64, Int64
from models.tagging.calibration.calibrators import FLOOR
from models.tagging.evidence.co_occurrence import LIKELIEST
from models.tagging.evidence.kriging import BANDWIDTH, DOUBT, NOISE
from models.tagging.memory.chunks import Array, Chunks, Derived

if TYPE_CHECKING:
    from models.tagging.serving.snapshot import Snapshot

CHUNK_ROWS = 16_384  # rows of C in double precision at a time: 67 MB


class TorchBackend:
    """See `models.tagging.evidence.backend.Backend`."""

    def __init__(self, device: str) -> None:
        self.device = device
        self._uploaded: dict[str, Derived[Tensor]] = {}  # of the version served last

    def __deepcopy__(self, memo: dict[int, Any]) -> TorchBackend:
        """Copies of a learner share the device."""
        return self

    def inverse(self, matrix: Float64) -> Float64:
        """See Backend."""
        return _numpy(torch.cholesky_inverse(self._cholesky(matrix)))

    def solve(self, matrix: Float64, right: Float64) -> Float64:
        """See Backend."""
        return _numpy(torch.cholesky_solve(self.put(right), self._cholesky(matrix)))

    def centred_times(self, sums: Int64, share: Float64, total: Float64, right: Float64) -> Float32:
        """See Backend."""
        single = self.put(right).float()
        found = np.empty((len(sums), right.shape[1]), np.float32)
        for part, centred in self._centred(sums, share, total):
            found[part] = _numpy(centred.float() @ single)
        return found

    def scatter(self, sums: Int64, share: Float64, total: Float64, weights: Float64) -> Float64:
        """See Backend."""
        found = torch.zeros((sums.shape[1], sums.shape[1]), dtype=torch.float64, device=self.device)
        for part, centred in self._centred(sums, share, total):
            single = (centred * self.put(weights[part]).sqrt()[:, None]).float()
            found += single.T @ single
        return _numpy(found)

    def scores(self, queries: Float32, sums: Int64) -> Float32:
        """See Backend."""
        asked = self.put(queries)
        found = np.empty((len(queries), len(sums)), np.float32)
        for start in range(0, len(sums), CHUNK_ROWS):
            part = slice(start, start + CHUNK_ROWS)
            found[:, part] = _numpy(asked @ self.put(sums[part]).float().T)
        return found

    def likeness(self, queries: Float32, vectors: Chunks) -> Float32:
        """See Backend."""
        asked = self.put(queries)
        found = [asked[:, :0], *(asked @ self.put(part).T for part in vectors.parts)]
        return _numpy(torch.cat(found, dim=1))

    def kriging_weights(self, neighbours: Float32, queries: Float32) -> Float32:
        """See Backend."""
        return _numpy(kriging_weights(self.put(neighbours), self.put(queries)))

    def serving(self, snapshot: Snapshot) -> Resident:
        """See Backend."""
        return Resident(snapshot, self)

    def keep(self, name: str, chunks: Chunks) -> Tensor:
        """A chunked array on the device; chunks that the version before had under this name are there already."""
        kept = self._uploaded.setdefault(name, Derived(lambda part, _: self.put(part))).of(chunks)
        return torch.cat([self.put(chunks.empty), *kept])

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
        for start in range(0, len(sums), CHUNK_ROWS):
            part = slice(start, start + CHUNK_ROWS)
            yield part, self.put(sums[part]).double() / SCALE - self.put(share[part])[:, None] * mean


class Resident:
    """A snapshot on the device; see `models.tagging.evidence.backend.Serving`. `NumpyServing` says what is computed."""

    batch = 256  # 31 MB of scores at 30,000 tags

    def __init__(self, snapshot: Snapshot, backend: TorchBackend) -> None:
        self._put = put = backend.put
        self._k = snapshot.neighbours
        self._metric = put(snapshot.metric)
        self._ridge = backend.keep("ridge", snapshot.ridge)
        self._vectors = backend.keep("vectors", snapshot.exemplars.vectors)
        self._compared = self._vectors @ self._metric
        self._tags = tuple(put(part.astype(np.int64)) for part in snapshot.exemplars.csr)
        known = snapshot.co_occurrence
        self._associates = put(known.starts), put(known.tags.astype(np.int64)), put(known.strengths)
        self._priors = put(snapshot.priors)
        self._coefficients = tuple(map(put, snapshot.coefficients))
        self._hidden = put(snapshot.hidden)
        self._floor = float(FLOOR)
        self._implied = snapshot.implied

    @torch.inference_mode()
    def find_neighbours(self, vectors: Float32) -> Int64:
        """See Serving."""
        return _numpy(self._nearest(self._codes(vectors)))

    @torch.inference_mode()
    def log_odds(self, vectors: Float32, neighbours: Int64 | None) -> Float32:
        """See Serving."""
        codes = self._codes(vectors)
        return _numpy(self._log_odds(codes, self._nearest(codes) if neighbours is None else self._put(neighbours)))

    def log_odds_of(self, rows: list[int], vectors: Float32) -> Float32:
        """See Serving. Of all tags: single ones would not be faster."""
        return self.log_odds(vectors, None)[:, rows]

    def _codes(self, vectors: Float32) -> Tensor:
        return torch.round(self._put(vectors.astype(np.float32)) * SCALE)

    def _nearest(self, codes: Tensor) -> Tensor:
        return torch.topk(codes @ self._vectors.T, min(self._k, len(self._vectors)), dim=1).indices

    def _log_odds(self, codes: Tensor, slots: Tensor) -> Tensor:
        share, base, slope, intercept = self._coefficients
        raw = (codes / SCALE) @ self._ridge.T * share
        weights = kriging_weights(self._compared[slots], codes @ self._metric)
        expected = weights.sum(dim=1)
        raw += base * (1 - expected)[:, None] + intercept
        evidence = self._carried(slots, weights, len(share))
        evidence += self._told(evidence, expected)
        raw += evidence * slope
        raw[:, self._hidden] = self._floor
        for tag, into in self._implied:
            raw[:, into] = torch.maximum(raw[:, into], raw[:, tag])
        return raw

    def _carried(self, slots: Tensor, weights: Tensor, tags: int) -> Tensor:
        """The weights of the neighbours that carry each tag [B, T]."""
        evidence = torch.zeros((len(slots), tags), device=weights.device)
        starts, rows = self._tags
        owner, at = _ragged(starts, slots.reshape(-1))
        images = owner // max(slots.shape[1], 1)
        return evidence.index_put_((images, rows[at]), weights.reshape(-1)[owner], accumulate=True)

    def _told(self, evidence: Tensor, expected: Tensor) -> Tensor:
        """What the likeliest tags say about others [B, T]; see models/tagging/co_occurrence.py."""
        starts, associates, strengths = self._associates
        known = len(starts) - 1
        beyond = evidence[:, :known] - expected[:, None] * self._priors[:known]
        beyond = torch.where(evidence[:, :known] != 0, beyond, 0.0)
        best, tags = torch.topk(beyond, min(LIKELIEST, known), dim=1)
        owner, at = _ragged(starts, tags.reshape(-1))
        gained = best.clamp(min=0).sqrt().reshape(-1)[owner] * strengths[at]
        images = owner // max(tags.shape[1], 1)
        return torch.zeros_like(evidence).index_put_((images, associates[at]), gained, accumulate=True)


def kriging_weights(neighbours: Tensor, queries: Tensor) -> Tensor:
    """`models.tagging.evidence.kriging.kriging_weights` on tensors, solved by Cholesky for all queries at once."""
    near = torch.nn.functional.normalize(neighbours, dim=2)
    towards = (near @ torch.nn.functional.normalize(queries, dim=1)[:, :, None])[:, :, 0]
    k = near.shape[1]
    if not k:
        return towards
    rank = torch.argsort(torch.argsort(-towards, dim=1, stable=True), dim=1)
    kernel = torch.exp(BANDWIDTH * (near @ near.transpose(1, 2) - 1))
    kernel.diagonal(dim1=1, dim2=2).add_(NOISE * torch.exp(DOUBT * rank / k))
    right = torch.exp(BANDWIDTH * (towards - 1))[:, :, None]
    return torch.cholesky_solve(right, torch.linalg.cholesky(kernel))[:, :, 0]


def _ragged(starts: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """For rows [R] of a ragged array that begin at `starts`: (position in `rows` [P], position in the array [P])."""
    lengths = starts[rows + 1] - starts[rows]
    owner = torch.repeat_interleave(torch.arange(len(rows), device=rows.device), lengths)
    within = torch.arange(len(owner), device=rows.device) - (torch.cumsum(lengths, 0) - lengths)[owner]
    return owner, starts[rows][owner] + within


def _numpy(tensor: Tensor) -> Array:
    return tensor.cpu().numpy()
