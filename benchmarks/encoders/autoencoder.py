"""N1b: an autoencoder's neighbours beside those of the same network without training, and of the frozen encoder.

Of each network the vectors that are served: the projection of its latents is fitted on the pictures it learned from.
"""

import resource
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.encoders.neighbours import precision_by_tag
from benchmarks.encoders.openmoji import OpenMoji
from models.encoders.load import load_encoder
from models.encoders.networks.autoencoder import PictureEncoder, latents_of
from models.encoders.projection import fit_projection
from models.encoders.training.autoencoder import (
    AutoencoderOptions,
    FrozenEncoder,
    Target,
    train_autoencoder,
)
from models.encoders.training.data.split import held_out
from models.encoders.training.loop import Recipe
from models.preprocess import fit_square

HELD_OUT = 0.2
EPOCHS: dict[Target, int] = {"pixels": 40, "features": 100}  # pictures that change are not learned by heart so soon


def run() -> dict[str, Any]:
    """Losses of both targets, and P@5 of each encoder's vectors on held-out pictures."""
    torch.set_num_threads(1)  # layers this small are slower on two that wait for each other
    source = OpenMoji()
    apart = held_out(source.ids, source.looks, seed=0, share=HELD_OUT)
    tags = [source.tags[name] for name in source.ids]
    size = AutoencoderOptions.size_px
    small = np.stack([fit_square(source.pixels[name], size) for name in source.ids])
    encoder = load_encoder("onnx")
    vectors = {"pixels_themselves": small.reshape(len(small), -1).astype(np.float32)}
    vectors["frozen_encoder"] = encoder.embed(np.stack([source.pixels[name] for name in source.ids]))
    torch.manual_seed(0)
    untrained = latents_of(PictureEncoder(size_px=size, latent=AutoencoderOptions.latent).eval(), small)
    learned_from = np.setdiff1d(np.arange(len(small)), apart)
    vectors["random_network_itself"] = untrained
    vectors["random_network"] = fit_projection(untrained[learned_from], [untrained.shape[1]], untrained.shape[1]).apply(
        untrained
    )
    figures: dict[str, Any] = {"images": len(source.ids), "held_out": len(apart)}
    for target, epochs in EPOCHS.items():
        options = AutoencoderOptions(target=target, recipe=Recipe(epochs=epochs), held_out=HELD_OUT)
        frozen = FrozenEncoder(encoder.embed, encoder.dimension) if target == "features" else None
        with tempfile.TemporaryDirectory() as folder:
            done = train_autoencoder(source, Path(folder), options, lambda *_: None, frozen)
        vectors[target] = done.projection.apply(latents_of(done.encoder, small))
        course = done.course
        losses = {
            "loss_start": course.start, "loss_end": course.losses[-1], "heldout_loss": course.held_out[course.best],
        }  # fmt: skip
        figures |= losses if target == "pixels" else {f"features_{name}": loss for name, loss in losses.items()}
    figures |= {f"p_at_5_{name}": precision_by_tag(of_one, tags, apart) for name, of_one in vectors.items()}
    return figures | {"peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}
