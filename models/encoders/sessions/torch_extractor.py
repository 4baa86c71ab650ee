"""Runs a network in torch: half precision, channels last, compiled on CUDA; plain float32 on a CPU, to compare.

In: a network, then uint8 pictures. Out: raw features. On CUDA every run has the same number of pictures (short batches
are filled up with black), so that one compiled graph and one choice of kernels serves all of them.

Half precision is float16, not bfloat16: both are as fast, ReLU6 keeps the numbers small, and the vectors' cosine to
float32 on 200 OpenMoji pictures is at least 0.9998, where bfloat16 gives 0.976 and moves one nearest neighbour in 25.
Weights of convolutions and linear layers are kept so; batch norms stay in float32, and torch casts what a layer is
given: trained networks hand features on in float32.
"""

import contextlib

import numpy as np
import torch
from torch import Tensor, nn

from models.encoders.base import Images, Vectors
from models.encoders.sessions.compiled import compiled_or_plain
from models.errors import UsageError

CUDA_BATCH = 64  # pictures per run: fills a large GPU for this network, and is a few ms

HALVED = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
Outputs = tuple[Tensor, Tensor | None]  # features, feature map if the network gives one


class TorchExtractor:
    """A network in torch on `device`; on a CPU it is five to eight times slower than ONNX Runtime."""

    def __init__(self, network: nn.Module, size_px: int, device: str = "cpu", dtype: torch.dtype | None = None) -> None:
        """Take a network over, which moves to the device.

        Args:
            network: in inference mode; uint8 [B, S, S, 3] -> features float [B, F], or these and a feature map float
                [B, C, H, W].
            size_px: side of the pictures, S.
            device: as torch names it.
            dtype: None takes float16 on CUDA, float32 elsewhere.
        """
        self.device = device
        is_cuda = device.startswith("cuda")
        self._size_px = size_px
        self._batch = CUDA_BATCH if is_cuda else 1
        self._dtype = dtype or (torch.float16 if is_cuda else torch.float32)
        self._network = network.to(device)
        for module in network.modules():
            if isinstance(module, HALVED):
                module.to(self._dtype)
        self._run = self._network
        if is_cuda:
            self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            self._run = self._compiled()

    def extract(self, images: Images) -> Vectors:
        """See Extractor."""
        return np.concatenate([_numpy(features)[:count] for count, (features, _) in self._outputs(images)])

    def extract_with_maps(self, images: Images) -> tuple[Vectors, Vectors]:
        """See Extractor."""
        features, maps = [], []
        for count, (of_run, feature_map) in self._outputs(images):
            if feature_map is None or feature_map.ndim != 4:
                raise UsageError("network: has no feature map; take a built-in encoder")
            features.append(_numpy(of_run)[:count])
            maps.append(_numpy(feature_map.permute(0, 2, 3, 1))[:count])
        return np.concatenate(features), np.concatenate(maps)

    @torch.inference_mode()
    def _outputs(self, images: Images) -> list[tuple[int, Outputs]]:
        """Pictures in each run and what came out; nothing waits for the device before all runs are queued."""
        results = []
        for start in range(0, len(images), self._batch):
            chunk = images[start : start + self._batch]
            count = len(chunk)
            if count < self._batch:
                chunk = np.concatenate([chunk, np.zeros((self._batch - count, *chunk.shape[1:]), np.uint8)])
            with self._precision():
                given = self._run(torch.from_numpy(chunk).to(self.device, non_blocking=True))
            results.append((count, (given, None) if isinstance(given, Tensor) else given))
        return results

    def _precision(self) -> contextlib.AbstractContextManager[object]:
        """In which layers run."""
        if self._dtype == torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(self.device.partition(":")[0], self._dtype)

    @torch.inference_mode()
    def _compiled(self) -> nn.Module:
        """The compiled network, or the plain one where no compiler works."""
        blank = torch.zeros(self._batch, self._size_px, self._size_px, 3, dtype=torch.uint8, device=self.device)
        with self._precision():
            return compiled_or_plain(self._network, lambda compiled: compiled(blank))


def _numpy(x: Tensor) -> Vectors:
    return x.float().cpu().numpy()
