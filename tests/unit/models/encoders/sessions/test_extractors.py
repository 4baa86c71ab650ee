"""Ways to run one network: the same numbers on every device, within its tolerance."""

from pathlib import Path

import numpy as np
import pytest
import torch

from models.encoders import Encoder, load_encoder
from models.encoders.base import Images
from models.encoders.efficientnet.network import fold_batch_norms, load_network
from models.encoders.projected import ProjectedEncoder
from models.encoders.projection import Projection
from models.encoders.registry.folders import DEFAULT, SHIPPED, EncoderFolders
from models.encoders.sessions.onnx_extractor import OnnxExtractor
from models.encoders.sessions.torch_extractor import TorchExtractor
from models.errors import ConfigurationError
from tests.pretended_device import DEVICE, Pretending

# Cosine of the vectors of one picture by two runtimes, at least. Half the network's numbers are rounded to 11 bits in
# float16; the projection divides by small singular values and makes that visible.
FLOAT32_COSINE = 0.99999
FLOAT16_COSINE = 0.999


def by_torch(device: str = "cpu", dtype: torch.dtype | None = None) -> TorchExtractor:
    return TorchExtractor(fold_batch_norms(load_network()), 224, device, dtype)


def cosines(one: Encoder, other: Encoder, images: Images) -> np.ndarray:
    return np.asarray((one.embed(images) * other.embed(images)).sum(axis=1))


def test_torch_and_onnx_agree(encoder: Encoder, images: Images, cache_dir: Path) -> None:
    in_torch = load_encoder("torch", cache_dir=cache_dir)
    assert in_torch.version == encoder.version
    if in_torch.device == "cpu":
        assert cosines(encoder, in_torch, images[:12]).min() >= FLOAT32_COSINE
        steps = in_torch.encode(images[:12])[:, 72:].astype(int) - encoder.encode(images[:12])[:, 72:]
        assert np.abs(steps).max() <= 1 and np.abs(steps).mean() < 1e-2  # behind the heads of nine parts
    else:
        assert cosines(encoder, in_torch, images).min() >= FLOAT16_COSINE
    _, regions = in_torch.embed_with_regions(images[:2])
    assert regions.shape == (2, 7, 7, 1280)


def test_half_precision_stays_within_its_tolerance(encoder: Encoder, images: Images) -> None:
    manifest = EncoderFolders().manifest(DEFAULT)
    half = ProjectedEncoder(manifest, by_torch(dtype=torch.float16), Projection.load(SHIPPED, sum(manifest.parts)))
    assert cosines(encoder, half, images[:3]).min() >= FLOAT16_COSINE


def test_everything_the_network_meets_is_on_its_device(images: Images) -> None:
    with Pretending():
        features, maps = by_torch(DEVICE).extract_with_maps(images[:2])
    assert np.array_equal(features, by_torch().extract(images[:2]))
    assert maps.shape == (2, 7, 7, 1280)


def test_a_file_that_is_no_graph_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"not a graph")
    with pytest.raises(ConfigurationError, match="ONNX Runtime cannot run it"):
        OnnxExtractor(tmp_path / "broken.onnx")
