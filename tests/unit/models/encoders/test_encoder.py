"""Both runtimes, one promise: unit vectors, the same bits in every batch, the same numbers on every device."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from models.encoders import INPUT_SIZE_PX, Encoder, load_encoder
from models.encoders.base import FEATURES, Images, check_images
from models.encoders.efficientnet.network import EfficientNetLite0, load_network, same_padding
from models.encoders.projected import ProjectedEncoder, encoder_version
from models.encoders.projection import SHIPPED, Projection
from models.encoders.sessions.onnx_extractor import OnnxExtractor, cached_graph
from models.encoders.sessions.torch_extractor import TorchExtractor
from models.errors import ConfigurationError, StorageUnavailableError, UsageError
from tests.pretended_device import DEVICE, Pretending

# Cosine of the vectors of one picture by two runtimes, at least. Half the network's numbers are rounded to 11 bits in
# float16; the projection divides by small singular values and makes that visible.
FLOAT32_COSINE = 0.99999
FLOAT16_COSINE = 0.999


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def encoder(cache_dir: Path) -> Encoder:
    return load_encoder("onnx", cache_dir=cache_dir)


@pytest.fixture(scope="module")
def images() -> Images:
    """64 pictures with edges, gradients and flat areas."""
    rng = np.random.default_rng(0)
    size = INPUT_SIZE_PX
    images = np.empty((64, size, size, 3), np.uint8)
    ramp = np.linspace(0, 1, size)[:, None, None]
    for image in images:
        image[:] = rng.integers(0, 256, 3) * ramp + rng.integers(0, 256, 3) * (1 - ramp)
        for _ in range(6):
            y, x, h, w = rng.integers(0, size, 2).tolist() + rng.integers(5, 120, 2).tolist()
            image[y : y + h, x : x + w] = rng.integers(0, 256, 3)
    return images


def cosines(one: Encoder, other: Encoder, images: Images) -> np.ndarray:
    return np.asarray((one.embed(images) * other.embed(images)).sum(axis=1))


def test_keeps_the_protocol(encoder: Encoder, images: Images) -> None:
    assert isinstance(encoder, Encoder)
    assert (encoder.name, encoder.dimension, encoder.device) == ("efficientnet-lite0", 512, "cpu")
    vectors = encoder.embed(images[:5])
    assert vectors.shape == (5, 512) and vectors.dtype == np.float32
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-6
    assert encoder.features(images[:5]).shape == (5, FEATURES)
    assert encoder.embed(images[:0]).shape == (0, 512)
    assert [array.shape for array in encoder.embed_with_regions(images[:0])] == [(0, 512), (0, 7, 7, 1280)]


def test_a_picture_has_the_same_bits_in_every_batch(encoder: Encoder, images: Images) -> None:
    alone = np.concatenate([encoder.embed(images[i : i + 1]) for i in range(len(images))])
    for size in (2, 3, 5, 8, 13, 16, 21, 32, 33, 63, 64):
        start = (size * 7) % (len(images) - size + 1)
        assert np.array_equal(encoder.embed(images[start : start + size]), alone[start : start + size]), size


def test_bits_do_not_depend_on_threads(encoder: Encoder, images: Images, cache_dir: Path) -> None:
    for threads in (1, 4):
        other = load_encoder("onnx", cache_dir=cache_dir, threads=threads)
        assert np.array_equal(other.embed(images[:9]), encoder.embed(images[:9]))


def test_regions_belong_to_the_vector(encoder: Encoder, images: Images) -> None:
    vectors, regions = encoder.embed_with_regions(images[:3])
    assert regions.shape == (3, 7, 7, 1280) and regions.dtype == np.float32
    assert np.array_equal(vectors, encoder.embed(images[:3]))
    assert np.abs(regions.mean(axis=(1, 2)) - encoder.features(images[:3])[:, :1280]).max() < 1e-5


def test_torch_and_onnx_agree(encoder: Encoder, images: Images, cache_dir: Path) -> None:
    by_torch = load_encoder("torch", cache_dir=cache_dir)
    assert by_torch.version == encoder.version
    if by_torch.device == "cpu":
        assert cosines(encoder, by_torch, images[:12]).min() >= FLOAT32_COSINE
        relative = by_torch.features(images[:12]) - encoder.features(images[:12])
        assert np.abs(relative).max() < 1e-3
    else:
        assert cosines(encoder, by_torch, images).min() >= FLOAT16_COSINE
    _, regions = by_torch.embed_with_regions(images[:2])
    assert regions.shape == (2, 7, 7, 1280)


def test_half_precision_stays_within_its_tolerance(encoder: Encoder, images: Images) -> None:
    half = ProjectedEncoder(TorchExtractor("cpu", torch.float16), Projection.load(SHIPPED))
    assert cosines(encoder, half, images[:3]).min() >= FLOAT16_COSINE


def test_everything_the_network_meets_is_on_its_device(images: Images) -> None:
    with Pretending():
        there = TorchExtractor(DEVICE)
        features, maps = there.extract_with_maps(images[:2])
    assert np.array_equal(features, TorchExtractor("cpu").extract(images[:2]))
    assert maps.shape == (2, 7, 7, 1280)


def test_folded_and_plain_network_agree(images: Images) -> None:
    with torch.inference_mode():
        plain = load_network()(torch.from_numpy(images[:2])).features.numpy()
    assert np.abs(plain - TorchExtractor("cpu").extract(images[:2])).max() < 1e-3


def test_padding_is_tensorflows() -> None:
    assert same_padding(224, 3, 2) == (0, 1)
    assert same_padding(56, 5, 2) == (1, 2)
    assert same_padding(7, 3, 1) == (1, 1)
    assert same_padding(7, 1, 1) == (0, 0)


def test_features_are_means_and_deviations_of_the_named_blocks(images: Images) -> None:
    network = load_network()
    seen: dict[int, torch.Tensor] = {}
    for number, block in enumerate(network._blocks):
        block.register_forward_hook(lambda _, __, output, number=number: seen.update({number: output}))
    with torch.inference_mode():
        features, feature_map = network(torch.from_numpy(images[:2]))
    expected = [feature_map.mean(dim=(2, 3))]
    for number in (4, 10, 14, 15):
        flat = seen[number].flatten(2)
        expected += [flat.mean(dim=2), flat.std(dim=2, correction=0)]
    assert torch.allclose(features, torch.cat(expected, dim=1), atol=1e-4)


def test_version_names_weights_preprocessing_and_projection(
    encoder: Encoder, cache_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = Projection.load(SHIPPED)
    other = Projection(shipped.centre + np.float32(0.1), shipped.matrix)
    other.save(tmp_path / "other.safetensors")
    assert load_encoder("onnx", tmp_path / "other.safetensors", cache_dir=cache_dir).version != encoder.version
    assert len(encoder.version) == 16 and int(encoder.version, 16) >= 0
    assert encoder_version(shipped) == encoder.version
    monkeypatch.setattr("models.encoders.projected.PREPROCESSING", "another")
    assert encoder_version(shipped) != encoder.version


def test_several_processes_may_write_the_graph_at_once(encoder: Encoder, cache_dir: Path, tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from models.encoders.sessions.onnx_extractor import cached_graph; "
        "print(cached_graph(pathlib.Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "new")]
    writers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    paths = {writer.communicate()[0].strip() for writer in writers}
    assert all(writer.returncode == 0 for writer in writers)
    (path,) = paths
    assert [file.name for file in (tmp_path / "new").iterdir()] == [Path(path).name]
    assert Path(path).read_bytes() == cached_graph(cache_dir).read_bytes()


def test_a_cached_graph_runs_without_torch(encoder: Encoder, cache_dir: Path) -> None:
    code = (
        "import sys, pathlib, numpy; from models.encoders import load_encoder; "
        "load_encoder('onnx', cache_dir=pathlib.Path(sys.argv[1])).embed(numpy.zeros((1, 224, 224, 3), 'uint8')); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(cache_dir)], check=False).returncode == 0


def test_flat_pictures_have_finite_vectors(encoder: Encoder) -> None:
    flat = np.stack([np.full((INPUT_SIZE_PX, INPUT_SIZE_PX, 3), value, np.uint8) for value in (0, 127, 255)])
    assert np.isfinite(encoder.embed(flat)).all()


def test_wrong_input_is_refused_with_a_sentence(encoder: Encoder, tmp_path: Path) -> None:
    for images in (np.zeros((2, 3, 224, 224), np.uint8), np.zeros((1, 224, 224, 3), np.float32)):
        with pytest.raises(UsageError, match="fit_square"):
            check_images(images)  # type: ignore[arg-type]
    (tmp_path / "broken.onnx").write_bytes(b"not a graph")
    with pytest.raises(ConfigurationError, match="delete it"):
        OnnxExtractor(tmp_path / "broken.onnx")
    with pytest.raises(ConfigurationError, match="encoder fit"):
        load_encoder("onnx", tmp_path / "missing.safetensors", cache_dir=tmp_path)
    with pytest.raises(StorageUnavailableError, match="MEKIKI_CACHE_DIR"):
        cached_graph(tmp_path / "broken.onnx" / "folder")


def test_the_weights_file_names_every_parameter() -> None:
    expected = {name for name in EfficientNetLite0().state_dict() if not name.endswith("num_batches_tracked")}
    assert len(expected) == 49 * 5 + 2  # 49 convolutions, each with four numbers per channel of its norm; the classes
