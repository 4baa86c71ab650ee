"""The encoder's promise: unit vectors, the same bits in every batch, a version that names what they depend on."""

from pathlib import Path

import numpy as np
import pytest

from models.encoders import Encoder, load_encoder
from models.encoders.base import Images, check_images
from models.encoders.raw_features import unpack
from models.encoders.registry.folders import DEFAULT, EncoderFolders
from models.encoders.registry.manifest import Manifest
from models.errors import ConfigurationError, UsageError


def test_keeps_the_protocol(encoder: Encoder, images: Images) -> None:
    assert isinstance(encoder, Encoder)
    assert (encoder.name, encoder.dimension, encoder.device) == ("efficientnet-lite0", 512, "cpu")
    vectors = encoder.embed(images[:5])
    assert vectors.shape == (5, 512) and vectors.dtype == np.float32
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-6
    raw = encoder.encode(images[:5])
    assert raw.shape == (5, encoder.raw_bytes) and raw.dtype == np.uint8 and encoder.raw_bytes <= 3_000
    assert encoder.embed(images[:0]).shape == (0, 512)


def test_what_is_projected_later_is_the_same_to_the_bit(encoder: Encoder, images: Images) -> None:
    kept = [row.tobytes() for row in encoder.encode(images[:20])]
    later = encoder.project(np.frombuffer(b"".join(reversed(kept)), np.uint8).reshape(20, -1))[::-1]
    assert np.array_equal(later, encoder.embed(images[:20]))


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
    parts = EncoderFolders().manifest(DEFAULT).parts
    means, kept = regions.mean(axis=(1, 2)), unpack(encoder.encode(images[:3]), parts)[:, :1280]
    assert np.abs(means - kept).max() < means.max() / 255


def test_flat_pictures_have_finite_vectors(encoder: Encoder) -> None:
    flat = np.stack([np.full((224, 224, 3), value, np.uint8) for value in (0, 127, 255)])
    assert np.isfinite(encoder.embed(flat)).all()


def test_version_names_what_vectors_depend_on() -> None:
    manifest = EncoderFolders().manifest(DEFAULT)
    assert len(manifest.version) == 16 and int(manifest.version, 16) >= 0
    files = manifest.files
    other_weights = manifest.model_copy(update={"files": files | {"weights.pth": "0" * 64}})
    other_projection = manifest.model_copy(update={"files": files | {"projection.safetensors": "0" * 64}})
    other_pixels = manifest.model_copy(update={"input": manifest.input.model_copy(update={"fit": "crop"})})
    others = (other_weights, other_projection, other_pixels)
    assert len({manifest.version, *(other.version for other in others)}) == 4
    assert other_projection.network_version == manifest.network_version
    assert len({manifest.network_version, other_weights.network_version, other_pixels.network_version}) == 3
    faces = manifest.model_copy(update={"input": manifest.input.model_copy(update={"cut": "face"})})
    assert faces.network_version not in {manifest.network_version, other_pixels.network_version}
    assert faces.preprocessing.cut == "face"
    assert Manifest(name="a", network="b").network_version == "ee4f2b8ac2b98733"  # as before faces could be cut out
    said = manifest.model_copy(update={"name": "other", "about": "other", "made_from": {"seed": 1}})
    assert said.version == manifest.version


def test_other_arrays_are_refused_with_a_sentence(encoder: Encoder) -> None:
    for images in (np.zeros((2, 3, 224, 224), np.uint8), np.zeros((1, 224, 224, 3), np.float32)):
        for ask in (lambda given: check_images(given, 224), encoder.embed, encoder.encode, encoder.embed_with_regions):
            with pytest.raises(UsageError, match="prepared"):
                ask(images)  # type: ignore[operator]


def test_an_encoder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="'mine': expected one of efficientnet-lite0"):
        load_encoder("onnx", "mine", EncoderFolders(tmp_path))
