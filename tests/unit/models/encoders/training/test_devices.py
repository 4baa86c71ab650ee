"""Each training keeps everything on its device, and what it gives back is on the CPU."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.encoders.training import autoencoder, tags, taste
from models.encoders.training.autoencoder import AutoencoderOptions, FrozenEncoder, train_autoencoder
from models.encoders.training.loop import Recipe
from models.encoders.training.tags import TagOptions, train_tags
from models.encoders.training.taste import Preferences, TasteOptions, train_taste
from models.ranking.pairs import Pair
from tests.pretended_device import CUDA, DEVICE, Pretending
from tests.unit.models.encoders.training.shapes import Shapes, silent

SHORT = Recipe(epochs=1, batch=16)


@pytest.fixture(params=["pretended", CUDA])
def device(request, monkeypatch):
    """What trainings are told of their device."""
    if request.param == "cuda":
        yield "cuda"
        return
    for module in (autoencoder, tags, taste):
        monkeypatch.setattr(module, "device_of", lambda _: torch.device(DEVICE))
    with Pretending():
        yield "auto"


def assert_here(*modules):
    for module in modules:
        assert {value.device.type for value in module.state_dict().values()} == {"cpu"}


def seen(images):
    return images.reshape(len(images), -1, 3).mean(axis=1).astype(np.float32)


@pytest.mark.parametrize(("size", "target"), [(24, "pixels"), (24, "features"), (96, "pixels")])
def test_an_autoencoder(tmp_path: Path, device, size, target):
    options = AutoencoderOptions(size_px=size, latent=8, target=target, recipe=SHORT, device=device)
    frozen = FrozenEncoder(seen, 3) if target == "features" else None
    done = train_autoencoder(Shapes(24), tmp_path / "run", options, silent, frozen)
    assert_here(done.encoder)
    assert (done.made is None) == (target == "features")


@pytest.mark.parametrize("asymmetric", [False, True])
def test_tags(tmp_path: Path, device, asymmetric):
    source = Shapes(24)
    options = TagOptions(asymmetric=asymmetric, recipe=SHORT, body=SHORT, device=device, threads=1)
    done = train_tags(source, source.tags, tmp_path / "run", options, silent)
    assert_here(*done.candidates.values())


@pytest.mark.parametrize("network", ["small-cnn", "body"])
def test_taste(tmp_path: Path, device, network):
    source = Shapes(24)
    pairs = [Pair(one, other) for one, other in itertools.combinations(source.ids, 2)]
    options = TasteOptions(network, recipe=SHORT, body=SHORT, device=device, held_out=0.25, threads=1)
    done = train_taste(source, Preferences(pairs), tmp_path / "run", options, silent)
    assert_here(*done.candidates.values())


@pytest.mark.filterwarnings("ignore:for .* copying from a non-meta")  # how the pretended device looks to torch
def test_a_run_that_was_stopped_goes_on_there(tmp_path: Path, device):
    def stop(what, done, total):
        if what == "epoch 2":
            raise InterruptedError

    options = AutoencoderOptions(size_px=24, latent=8, recipe=replace(SHORT, epochs=2), device=device)
    with pytest.raises(InterruptedError):
        train_autoencoder(Shapes(24), tmp_path / "run", options, stop)
    done = train_autoencoder(Shapes(24), tmp_path / "run", options, silent)
    assert len(done.course.losses) == 2
    assert_here(done.encoder)
