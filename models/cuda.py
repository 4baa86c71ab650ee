"""Whether this machine has a GPU that torch can use."""

from __future__ import annotations

from pathlib import Path


def cuda_is_available() -> bool:
    """Asks the driver's device files first: importing torch takes a second and 200 MB."""
    if not any(Path(path).exists() for path in ("/dev/nvidiactl", "/dev/dxg")):
        return False
    import torch

    return torch.cuda.is_available()
