"""Runs the network on a CPU with ONNX Runtime.

Comes in: the cached graph file. Goes out: raw features. torch is imported only when the graph has to be written first.

One picture per run, one thread per run, several runs at once. On two cores this is the fastest way (219 pictures a
second, against 140 for batches on two threads: a picture's activations stay in the cache, and threads never wait for
each other), and a picture's numbers cannot depend on its batch or on the number of threads.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import onnxruntime  # type: ignore[import-untyped]

from models.encoders.base import NAME, Images, Vectors
from models.encoders.efficientnet.weights import weights_sha256
from models.errors import ConfigurationError, StorageUnavailableError

GRAPH = "graph-1"  # change it whenever onnx_graph.py writes other nodes: cached files are keyed by it
DEFAULT_CACHE = Path("~/.cache/mekiki")

T = TypeVar("T")


class OnnxExtractor:
    """The network on CPU threads; safe to call from several threads at once."""

    def __init__(self, graph_path: Path, *, threads: int | None = None) -> None:
        """Open a graph that `cached_graph` wrote.

        Raises:
            ConfigurationError: ONNX Runtime cannot read the file.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors; the warnings concern nodes it optimised away
        try:
            self._session = onnxruntime.InferenceSession(str(graph_path), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise ConfigurationError(
                f"graph {graph_path}: expected an ONNX file of ours; delete it and start again"
            ) from error
        self.device = "cpu"
        self.threads = threads or _usable_cores()
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="encode")

    def extract(self, images: Images) -> Vectors:
        """uint8 [B, 224, 224, 3] -> raw features float32 [B, 2608]."""

        def run(image: Images) -> Vectors:
            features: Vectors = self._session.run(["features"], {"images": image[None]})[0]
            return features

        return np.concatenate(self._each(run, images))

    def extract_with_maps(self, images: Images) -> tuple[Vectors, Vectors]:
        """The same, and the last feature map float32 [B, 7, 7, 1280]."""

        def run(image: Images) -> tuple[Vectors, Vectors]:
            features, feature_map = self._session.run(["features", "feature_map"], {"images": image[None]})
            return features, np.ascontiguousarray(feature_map.transpose(0, 2, 3, 1))

        features, maps = zip(*self._each(run, images), strict=True)
        return np.concatenate(features), np.concatenate(maps)

    def _each(self, run: Callable[[Images], T], images: Images) -> list[T]:
        if len(images) == 1:
            return [run(images[0])]
        return list(self._pool.map(run, images))


def _usable_cores() -> int:
    """What this process may use; a container's share, where the system tells."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cached_graph(cache_dir: Path | None = None) -> Path:
    """The graph file, written on first use; several processes may ask for it at once.

    Raises:
        ConfigurationError: the weights are missing.
        StorageUnavailableError: the folder cannot be written.
    """
    folder = (cache_dir or DEFAULT_CACHE).expanduser()
    path = folder / f"{NAME}-{GRAPH}-{weights_sha256()[:16]}.onnx"
    if not path.exists():
        model = _serialised_graph()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _write_atomically(path, model)
        except OSError as error:
            raise StorageUnavailableError(
                f"cache folder {folder}: expected to be writable; free some space or set MEKIKI_CACHE_DIR"
            ) from error
    return path


def _serialised_graph() -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of torch and onnx, about each other's internals
        from models.encoders.efficientnet.network import load_network
        from models.encoders.efficientnet.onnx_graph import build_graph

        return bytes(build_graph(load_network()).SerializeToString())


def _write_atomically(path: Path, content: bytes) -> None:
    """Whoever looks sees no file or the whole file; of several writers the last one wins with the same bytes."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
        raise
