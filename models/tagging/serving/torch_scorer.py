"""Log-odds of a snapshot in torch, which stays on the device. See scorer.py; numpy_scorer.py says what is computed."""

import numpy as np
import torch
from torch import Tensor

from models.quantise import SCALE
from models.tagging.arrays import Float32, Int64
from models.tagging.calibration.log_odds import FLOOR
from models.tagging.evidence.co_occurrence import LIKELIEST
from models.tagging.evidence.kriging import kriging_weights
from models.tagging.evidence.torch_backend import TorchBackend, to_numpy
from models.tagging.memory.chunks import Chunks, Derived
from models.tagging.serving.scorer import Coefficients
from models.tagging.serving.snapshot import Snapshot


class DeviceCache:
    """Chunked arrays of the last version on the device, by name: a new version uploads only chunks that changed."""

    def __init__(self, backend: TorchBackend) -> None:
        self.backend = backend
        self._uploaded: dict[str, Derived[Tensor]] = {}

    def put(self, name: str, chunks: Chunks) -> Tensor:
        """The array [N, ...] in one piece."""
        put = self.backend.put
        kept = self._uploaded.setdefault(name, Derived(lambda part, _: put(part))).of(chunks)
        return torch.cat([put(chunks.empty), *kept])


class TorchScorer:
    """See `models.tagging.serving.scorer.Scorer`."""

    batch = 256  # 31 MB of scores at 30,000 tags

    def __init__(self, snapshot: Snapshot, cache: DeviceCache) -> None:
        self._put = put = cache.backend.put
        self._k = snapshot.neighbours
        self._metric = put(snapshot.metric)
        self._ridge = cache.put("ridge", snapshot.ridge)
        self._vectors = cache.put("vectors", snapshot.exemplars.vectors)
        self._compared = self._vectors @ self._metric
        starts, rows = snapshot.exemplars.csr
        self._tags = put(starts), put(rows.astype(np.int64))
        known = snapshot.co_occurrence
        self._co_occurring = put(known.starts), put(known.tags.astype(np.int64)), put(known.strengths)
        by = Coefficients.of(snapshot)
        self._priors, self._hidden = put(by.priors), put(by.hidden)
        self._coefficients = put(by.ridge), put(by.base), put(by.slope), put(by.intercept)
        self._implied = snapshot.implied

    @torch.inference_mode()
    def find_neighbours(self, vectors: Float32) -> Int64:
        """See Scorer."""
        return to_numpy(self._nearest(self._quantised(vectors)))

    @torch.inference_mode()
    def log_odds(self, vectors: Float32, neighbours: Int64 | None = None) -> Float32:
        """See Scorer."""
        quantised = self._quantised(vectors)
        return to_numpy(
            self._log_odds(quantised, self._nearest(quantised) if neighbours is None else self._put(neighbours))
        )

    def log_odds_of(self, rows: list[int], vectors: Float32) -> Float32:
        """See Scorer. Of all tags: single ones would not be faster."""
        return self.log_odds(vectors)[:, rows]

    def _quantised(self, vectors: Float32) -> Tensor:
        return torch.round(self._put(vectors.astype(np.float32)) * SCALE)

    def _nearest(self, quantised: Tensor) -> Tensor:
        return torch.topk(quantised @ self._vectors.T, min(self._k, len(self._vectors)), dim=1).indices

    def _log_odds(self, quantised: Tensor, slots: Tensor) -> Tensor:
        ridge, base, slope, intercept = self._coefficients
        raw = (quantised / SCALE) @ self._ridge.T * ridge
        weights = kriging_weights(self._compared[slots], quantised @ self._metric, torch)
        expected = weights.sum(dim=1)
        raw += base * (1 - expected)[:, None] + intercept
        evidence = self._carried(slots, weights, len(ridge))
        evidence += self._co_occurrence(evidence, expected)
        raw += evidence * slope
        raw[:, self._hidden] = float(FLOOR)
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

    def _co_occurrence(self, evidence: Tensor, expected: Tensor) -> Tensor:
        """What the likeliest tags add to those that co-occur with them [B, T]; see evidence/co_occurrence.py."""
        starts, others, strengths = self._co_occurring
        known = len(starts) - 1
        beyond = evidence[:, :known] - expected[:, None] * self._priors[:known]
        beyond = torch.where(evidence[:, :known] != 0, beyond, 0.0)
        best, tags = torch.topk(beyond, min(LIKELIEST, known), dim=1)
        owner, at = _ragged(starts, tags.reshape(-1))
        gained = best.clamp(min=0).sqrt().reshape(-1)[owner] * strengths[at]
        images = owner // max(tags.shape[1], 1)
        return torch.zeros_like(evidence).index_put_((images, others[at]), gained, accumulate=True)


def _ragged(starts: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """For rows [R] of a ragged array that begin at `starts`: (position in `rows` [P], position in the array [P])."""
    lengths = starts[rows + 1] - starts[rows]
    owner = torch.repeat_interleave(torch.arange(len(rows), device=rows.device), lengths)
    within = torch.arange(len(owner), device=rows.device) - (torch.cumsum(lengths, 0) - lengths)[owner]
    return owner, starts[rows][owner] + within
