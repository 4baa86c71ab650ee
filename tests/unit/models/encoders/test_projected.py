"""The encoder's promise: unit vectors, the same bits in every batch, a version that names what they depend on."""

from pathlib import Path

import numpy as np
import pytest

from models.encoders import INPUT_SIZE_PX, Encoder, load_encoder
from models.encoders.base import Images, check_images
from models.encoders.efficientnet.outputs import FEATURES
from models.encoders.projected import encoder_version
from models.encoders.projection import SHIPPED, Projection
from models.errors import ConfigurationError, UsageError


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


def test_flat_pictures_have_finite_vectors(encoder: Encoder) -> None:
    flat = np.stack([np.full((INPUT_SIZE_PX, INPUT_SIZE_PX, 3), value, np.uint8) for value in (0, 127, 255)])
    assert np.isfinite(encoder.embed(flat)).all()


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


def test_other_arrays_are_refused_with_a_sentence(encoder: Encoder) -> None:
    for images in (np.zeros((2, 3, 224, 224), np.uint8), np.zeros((1, 224, 224, 3), np.float32)):
        for ask in (check_images, encoder.embed, encoder.features, encoder.embed_with_regions):
            with pytest.raises(UsageError, match="fit_square"):
                ask(images)  # type: ignore[operator]


def test_a_projection_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="encoder fit"):
        load_encoder("onnx", tmp_path / "missing.safetensors", cache_dir=tmp_path)
