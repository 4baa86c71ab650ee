"""What tags and taste learn from: the maps that the frozen blocks of EfficientNet-Lite0 make, kept as rows.

In: pictures. Out: rows of maps float16 [7, 7, 192] and of the features read off before them float32 [304], 20 KB a
picture; and their batches as tensors. Raises ConfigurationError (weights are missing), StorageUnavailableError (no
room).
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.encoders.base import Extractor, Images
from models.encoders.efficientnet.network import load_network
from models.encoders.networks.body import FEATURES, FROZEN_TAPS, MAP_SHAPE, FrozenBlocks, LastBlocks
from models.encoders.sessions.onnx_extractor import OnnxExtractor
from models.encoders.sessions.torch_extractor import TorchExtractor
from models.encoders.training.data.files import disk_errors
from models.encoders.training.data.pictures import Part
from models.encoders.training.data.rows import RowFile
from models.encoders.training.export import export_onnx
from models.errors import StorageUnavailableError

PARTS = (Part("taps", (FROZEN_TAPS,), np.float32), Part("maps", (*MAP_SHAPE[1:], MAP_SHAPE[0]), np.float16))
AT_ONCE = 64  # pictures through the last blocks where nothing is learned

Kept = Sequence[RowFile]


class Body:
    """The network in its two halves, and what runs the frozen one."""

    def __init__(self, folder: Path, device: torch.device, threads: int | None = None) -> None:
        """Write the frozen half's graph into a run's folder, where it runs on a CPU.

        Raises:
            ConfigurationError, StorageUnavailableError: see the module.
        """
        network = load_network()
        self.device = device
        self.frozen, self.last = FrozenBlocks(network), LastBlocks(network)
        self._extractor: Extractor
        if device.type != "cpu":
            self._extractor = TorchExtractor(FrozenBlocks(load_network()).eval(), 224, str(device))
        else:
            with disk_errors(folder):
                folder.mkdir(parents=True, exist_ok=True)
            path = folder / "frozen.onnx"
            export_onnx(self.frozen, 224, path, ("features", "feature_map"))
            self._extractor = OnnxExtractor(path, threads=threads)

    def compute(self, images: Images) -> list[NDArray[np.floating]]:
        """Arrays for `PARTS` of pictures uint8 [n, 224, 224, 3]."""
        taps, maps = self._extractor.extract_with_maps(images)
        return [taps, maps.astype(np.float16)]

    def features(self, kept: Kept, rows: Sequence[int]) -> NDArray[np.float32]:
        """Raw features float32 [n, 2608] of rows, as the whole frozen network gives them."""
        self.last.to(self.device).eval()  # not in inference mode: weights that move in it can never be trained
        found = np.empty((len(rows), FEATURES), np.float32)
        with torch.inference_mode():
            for start in range(0, len(rows), AT_ONCE):
                batch = to_tensors([part.read(rows[start : start + AT_ONCE]) for part in kept], self.device)
                found[start : start + AT_ONCE] = self.last(*batch).cpu().numpy()
        return found


def to_tensors(kept: Sequence[NDArray[np.floating]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Taps float [B, 304] and maps float [B, 192, 7, 7] of rows as they are kept."""
    taps, maps = kept
    return torch.from_numpy(taps).to(device), torch.from_numpy(maps).to(device).float().permute(0, 3, 1, 2)


def check_room(folder: Path, count: int) -> None:
    """Refuse before hours of work what the disk cannot hold.

    Raises:
        StorageUnavailableError: see the module.
    """
    needed = count * (sum(RowFile(folder, part.shape, part.dtype).row_bytes for part in PARTS) + 4 * FEATURES)
    existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise StorageUnavailableError(
            f"training folder {folder}: expected {needed // 2**20} MB of room for {count} pictures, has "
            f"{free // 2**20} MB; free some space or choose another"
        )
