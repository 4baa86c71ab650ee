"""Which machine this is: its device, driver, torch, cores, and the commit that is measured.

In: "cuda" or "cpu". Out: plain facts. Fails with ConfigurationError where there is no such device.
"""

import os
import platform
import shutil
import subprocess
import warnings
from pathlib import Path
from typing import Any

from models.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[2]


def facts_of(device: str) -> dict[str, Any]:
    """Facts for a report.

    Raises:
        ConfigurationError: torch is not installed, or finds no GPU though one is asked for.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that NumPy is not there: it comes with the wheels
            import torch
    except ImportError as error:
        raise ConfigurationError("package torch: not installed; run it with a Python that has torch") from error
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigurationError(
            "device cuda: expected a GPU that torch can use; run this where there is one, or try it with --device cpu"
        )
    on_gpu = device == "cuda"
    return {
        "device": torch.cuda.get_device_name(0) if on_gpu else f"{platform.machine()} CPU",
        "memory_mb": torch.cuda.get_device_properties(0).total_memory // 2**20 if on_gpu else None,
        "driver": _said("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader") if on_gpu else None,
        "cuda": torch.version.cuda if on_gpu else None,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "commit": _commit(),
    }


def _commit() -> str | None:
    """With a `+` where files differ from it; None where git does not say."""
    commit = _said("git", "-C", str(ROOT), "rev-parse", "HEAD")
    changed = _said("git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no")
    return f"{commit}+" if commit and changed else commit


def _said(*command: str) -> str | None:
    """What a program said; None where it is not there or fails."""
    if shutil.which(command[0]) is None:
        return None
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    return done.stdout.strip() or None if done.returncode == 0 else None
