"""Autoencoders: they learn, and what is written is what was trained."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from models.encoders import EncoderFolders, load_encoder
from models.encoders.load import load_extractor
from models.encoders.networks.autoencoder import PictureEncoder, latents_of, pixel_decoder
from models.encoders.networks.build import build_network
from models.encoders.training.autoencoder import AutoencoderOptions, FrozenEncoder, train_autoencoder
from models.encoders.training.data.augmentation import augmented
from models.encoders.training.export import manifest_of, write_files
from models.encoders.training.loop import Recipe
from models.encoders.training.sheet import draw_sheet
from models.errors import ConfigurationError, UsageError
from models.judging.precision import rank_me
from models.preprocess import fit_square
from tests.unit.models.encoders.training.shapes import Shapes, silent


def options(**asked):
    recipe = Recipe(epochs=asked.pop("epochs", 12), batch=8, rate=4e-3)
    return AutoencoderOptions(**({"size_px": 24, "latent": 12, "recipe": recipe, "device": "cpu"} | asked))


def seen(images):
    """A frozen encoder of six numbers: mean and deviation of colours."""
    flat = images.reshape(len(images), -1, 3).astype(np.float32)
    return np.concatenate([flat.mean(axis=1), flat.std(axis=1)], axis=1)


@pytest.mark.parametrize("gray", [False, True])
def test_pixels_are_made_again_better_than_before(tmp_path: Path, gray):
    done = train_autoencoder(Shapes(), tmp_path / "run", options(gray=gray), silent)
    assert min(done.course.held_out) < 0.3 * done.course.start
    assert done.made.shape == done.shown.shape
    assert done.trained.training["position"] == "images/0 at 7"


def test_features_are_predicted_better_than_by_their_mean(tmp_path: Path):
    frozen = FrozenEncoder(seen, 6)
    done = train_autoencoder(Shapes(90), tmp_path / "run", options(target="features", epochs=25), silent, frozen)
    assert min(done.course.held_out) < 0.5  # what knows nothing has 1
    assert done.made is None


def test_served_are_latents_that_are_centred_and_evened_out(tmp_path: Path):
    """Half whitened: before, one direction had nearly all there was."""
    source = Shapes(90)
    done = train_autoencoder(source, tmp_path / "run", options(epochs=2), silent)
    latents = latents_of(done.encoder, np.stack([fit_square(image, 24) for image in source.load(source.ids)]))
    served = done.projection.apply(latents)
    assert np.allclose(np.linalg.norm(served, axis=1), 1, atol=1e-5)
    assert (
        np.linalg.norm(served.mean(axis=0))
        < 0.2
        < 0.9
        < np.linalg.norm(latents.mean(axis=0)) / np.median(np.linalg.norm(latents, axis=1))
    )
    assert rank_me(served) > 1.2 * rank_me(latents)


def test_a_changed_picture_shows_the_same_elsewhere_and_is_the_same_by_the_same_chance():
    white = torch.full((4, 24, 24, 3), 255, dtype=torch.uint8)
    assert torch.equal(augmented(white, np.random.default_rng(0)), white)
    shapes = torch.from_numpy(np.stack([fit_square(image, 24) for image in Shapes(12).load(Shapes(12).ids)]))
    once, again, other = (augmented(shapes, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(once, again) and not torch.equal(once, other)
    assert once.shape == shapes.shape and once.dtype == torch.uint8
    inked = [(255 - part.float()).amax(dim=3).gt(20).float().mean(dim=(1, 2)) for part in (shapes, once)]
    assert ((inked[1] / inked[0] > 0.3) & (inked[1] / inked[0] < 2)).all()  # a fifth larger or smaller, partly outside


def test_a_run_that_was_stopped_goes_on_with_its_pictures_and_ends_with_the_same_weights(tmp_path: Path):
    class Stop(Exception):
        pass

    def stop(what, done, total):
        if what == "epoch 3":
            raise Stop

    asked = options(epochs=4)
    calm = train_autoencoder(Shapes(), tmp_path / "calm", asked, silent).encoder.state_dict()
    with pytest.raises(Stop):
        train_autoencoder(Shapes(), tmp_path / "run", asked, stop)
    later = Shapes(80)
    again = train_autoencoder(later, tmp_path / "run", asked, silent).encoder.state_dict()
    assert not later.asked
    assert all(torch.equal(calm[name], again[name]) for name in calm)


def test_the_same_seed_gives_the_same_weights_and_another_others(tmp_path: Path):
    def trained(name, seed):
        asked = options(recipe=Recipe(epochs=2, batch=8, seed=seed))
        return train_autoencoder(Shapes(), tmp_path / name, asked, silent).encoder.state_dict()

    one, same, other = trained("a", 1), trained("b", 1), trained("c", 2)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(("size", "latent", "gray"), [(56, 128, False), (56, 128, True), (112, 196, False)])
def test_graph_and_weights_give_the_numbers_of_the_network(tmp_path: Path, size, latent, gray):
    torch.manual_seed(3)
    done = train_autoencoder(Shapes(20), tmp_path / "run", options(epochs=1), silent)
    encoder = PictureEncoder(size_px=size, latent=latent, gray=gray).eval()
    arguments = {"size_px": size, "latent": latent, "gray": gray}
    trained = replace(done.trained, arguments=arguments, size_px=size, features=(("latent", latent),))
    files = write_files(encoder, trained, tmp_path / "made", {})
    images = np.random.default_rng(0).integers(0, 256, (3, size, size, 3), np.uint8)
    with torch.no_grad():
        expected = encoder(torch.from_numpy(images)).numpy()
    folders = EncoderFolders(tmp_path / "encoders")
    manifest = folders.install(manifest_of(trained, "mine"), files)
    for backend in ("onnx", "torch"):
        found = load_extractor(manifest, folders, backend).extract(images)
        assert np.allclose(found, expected, atol=1e-4), backend
    served = load_encoder("onnx", "mine", folders)
    lengths = np.linalg.norm(expected, axis=1, keepdims=True)
    assert ((served.embed(images) * expected / lengths).sum(axis=1) > 0.999).all()
    assert sorted(path.name for path in folders.path("mine").iterdir()) == [
        "manifest.json", "network.onnx", "weights.safetensors"
    ]  # fmt: skip


def test_the_deep_shape_grows_back_to_its_size():
    made = pixel_decoder(112, 196)(torch.zeros(1, 196))
    assert made.shape == (1, 3, 112, 112)


@pytest.mark.parametrize("size", [57, 100, 8, 0])
def test_a_size_that_does_not_halve_is_refused(size):
    with pytest.raises(UsageError, match=r"--size .* expected a multiple of 16 from 96 to 224, or of 4 below"):
        PictureEncoder(size_px=size, latent=8)


def test_weights_that_are_not_finite_are_not_written(tmp_path: Path):
    done = train_autoencoder(Shapes(20), tmp_path / "run", options(epochs=1), silent)
    with torch.no_grad():
        next(done.encoder.parameters()).fill_(float("nan"))
    with pytest.raises(UsageError, match="expected finite numbers; lower --rate"):
        write_files(done.encoder, done.trained, tmp_path / "made", {})
    assert not (tmp_path / "made").exists()


def test_a_kind_that_is_not_ours_is_one_sentence():
    with pytest.raises(ConfigurationError, match="expected one of autoencoder"):
        build_network("transformer", {})
    with pytest.raises(ConfigurationError, match="with its arguments"):
        build_network("autoencoder", {"sides": 3})


def test_a_sheet_shows_each_picture_above_what_was_made_of_it(tmp_path: Path):
    pictures = np.full((9, 20, 20, 3), 10, np.uint8)
    made = np.full((9, 20, 20, 3), 200, np.uint8)
    draw_sheet(pictures, made, tmp_path / "sheet.png")
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert (sheet[4 + 10, 4 + 10] == 10).all()
    assert (sheet[4 + 24 + 10, 4 + 10] == 200).all()
    assert (sheet == 10).all(axis=2).sum() == 9 * 400
