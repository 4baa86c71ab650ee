"""The ONNX graph as a file that is kept between runs. torch is imported only when the graph has to be written first.

In: a folder. Out: the path of the graph. Raises StorageUnavailableError for a folder that cannot be written,
ConfigurationError when the weights are missing.
"""

import contextlib
import os
import tempfile
import warnings
from pathlib import Path

from models.encoders.efficientnet.outputs import LITE0, Variant
from models.encoders.efficientnet.weights import weights_sha256
from models.errors import StorageUnavailableError

GRAPH = "graph-2"  # change it whenever onnx_graph.py writes other nodes: cached files are keyed by it
DEFAULT_CACHE = Path("~/.cache/mekiki")


def cached_graph(variant: Variant = LITE0, cache_dir: Path | None = None) -> Path:
    """The graph file, written on first use; several processes may ask for it at once.

    Raises:
        ConfigurationError: the weights are missing.
        StorageUnavailableError: the folder cannot be written.
    """
    folder = (cache_dir or DEFAULT_CACHE).expanduser()
    path = folder / f"{variant.name}-{GRAPH}-{weights_sha256(variant)[:16]}.onnx"
    if not path.exists():
        model = _serialised_graph(variant)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _write_atomically(path, model)
        except OSError as error:
            raise StorageUnavailableError(
                f"cache folder {folder}: expected to be writable; free some space or set MEKIKI_CACHE_DIR"
            ) from error
    return path


def _serialised_graph(variant: Variant) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of torch and onnx, about each other's internals
        from models.encoders.efficientnet.network import load_network
        from models.encoders.efficientnet.onnx_graph import build_graph

        return bytes(build_graph(load_network(variant)).SerializeToString())


def _write_atomically(path: Path, content: bytes) -> None:
    """A reader sees no file or the whole file; of several writers the last one wins, with the same bytes."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
        raise
