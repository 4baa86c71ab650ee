"""Ways to run one network: the same numbers on every device, within its tolerance."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from models.encoders import Encoder, load_encoder
from models.encoders.base import Images
from models.encoders.efficientnet.network import EfficientNetLite, fold_batch_norms, load_network
from models.encoders.efficientnet.outputs import VARIANTS
from models.encoders.networks.body import FrozenBlocks
from models.encoders.networks.build import build_network
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


TWINS: list[tuple[str, dict[str, Any], int]] = [
    ("autoencoder", {"size_px": 56, "latent": 16}, 56),
    ("autoencoder", {"size_px": 96, "latent": 16, "gray": True}, 96),
    ("tags", {"tags": 5}, 224),
    ("taste", {}, 224),
    ("small-cnn", {}, 80),
]


def by_torch(device: str = "cpu", dtype: torch.dtype | None = None) -> TorchExtractor:
    return TorchExtractor(fold_batch_norms(load_network()), 224, device, dtype)


def twin(kind: str, arguments: dict[str, Any]) -> nn.Module:
    torch.manual_seed(0)
    return build_network(kind, arguments)


def cosines(one: Encoder, other: Encoder, images: Images) -> np.ndarray:
    return np.asarray((one.embed(images) * other.embed(images)).sum(axis=1))


@pytest.mark.gpu
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


@pytest.mark.parametrize(("kind", "arguments", "size_px"), TWINS)
def test_trained_networks_run_in_half_precision_too(
    images: Images, kind: str, arguments: dict[str, Any], size_px: int
) -> None:
    given = np.ascontiguousarray(images[:2, :size_px, :size_px])
    whole = TorchExtractor(twin(kind, arguments), size_px).extract(given)
    half = TorchExtractor(twin(kind, arguments), size_px, dtype=torch.float16).extract(given)
    lengths = np.linalg.norm(whole, axis=1) * np.linalg.norm(half, axis=1)
    assert ((whole * half).sum(axis=1) / lengths).min() >= FLOAT16_COSINE


def test_the_frozen_blocks_run_in_half_precision_too(images: Images) -> None:
    whole, half = (
        TorchExtractor(FrozenBlocks(load_network()).eval(), 224, dtype=dtype).extract_with_maps(images[:2])
        for dtype in (torch.float32, torch.float16)
    )
    for one, other in zip(whole, half, strict=True):
        assert (one * other).sum() / np.linalg.norm(one) / np.linalg.norm(other) >= FLOAT16_COSINE


@pytest.mark.parametrize("name", ["efficientnet-lite0", "efficientnet-lite2"])  # another size, and odd paddings
def test_everything_the_network_meets_is_on_its_device(images: Images, name: str) -> None:
    variant = VARIANTS[name]

    def extractor(device: str) -> TorchExtractor:
        return TorchExtractor(fold_batch_norms(EfficientNetLite(variant).eval()), variant.size_px, device)

    given = np.resize(images, (2, variant.size_px, variant.size_px, 3))
    torch.manual_seed(0)
    with Pretending():
        features, maps = extractor(DEVICE).extract_with_maps(given)
    torch.manual_seed(0)
    assert np.array_equal(features, extractor("cpu").extract(given))
    assert maps.shape == (2, *variant.map_shape)


@pytest.mark.parametrize(("kind", "arguments", "size_px"), TWINS)
def test_everything_a_trained_network_meets_is_on_its_device(
    images: Images, kind: str, arguments: dict[str, Any], size_px: int
) -> None:
    given = np.ascontiguousarray(images[:2, :size_px, :size_px])
    with Pretending():
        features = TorchExtractor(twin(kind, arguments), size_px, DEVICE).extract(given)
    assert np.array_equal(features, TorchExtractor(twin(kind, arguments), size_px).extract(given))


def test_a_file_that_is_no_graph_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"not a graph")
    with pytest.raises(ConfigurationError, match="ONNX Runtime cannot run it"):
        OnnxExtractor(tmp_path / "broken.onnx")
