"""N1a: an autoencoder's neighbours beside those of the same network without training, and of the frozen encoder."""

import resource
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.encoders.neighbours import precision_by_tag
from benchmarks.encoders.openmoji import OpenMoji
from models.encoders.base import Images, Vectors
from models.encoders.load import load_encoder, load_extractor
from models.encoders.networks.autoencoder import PictureEncoder
from models.encoders.registry.folders import DEFAULT, EncoderFolders
from models.encoders.training.autoencoder import AutoencoderOptions, FrozenEncoder, Target, train_autoencoder
from models.encoders.training.data.split import held_out
from models.encoders.training.loop import Recipe
from models.preprocess import fit_square

HELD_OUT = 0.2


def run(epochs: int = 40, most: int | None = None) -> dict[str, Any]:
    """Losses of both targets, and P@5 of each encoder on held-out pictures."""
    source = OpenMoji(most)
    apart = held_out(source.ids, source.looks, seed=0, share=HELD_OUT)
    tags = [source.tags[name] for name in source.ids]
    size = AutoencoderOptions.size_px
    small = np.stack([fit_square(source.pixels[name], size) for name in source.ids])
    manifest = EncoderFolders().manifest(DEFAULT)
    frozen = FrozenEncoder(load_extractor(manifest).extract, manifest.parts)
    torch.manual_seed(0)
    untrained = PictureEncoder(size_px=size, latent=AutoencoderOptions.latent)
    figures: dict[str, Any] = {"images": len(source.ids), "held_out": len(apart), "p_at_5": {}}
    precisions = figures["p_at_5"]
    precisions["pixels"] = precision_by_tag(small.reshape(len(small), -1).astype(np.float32), tags, apart)
    precisions["untrained"] = precision_by_tag(vectors_of(untrained, small), tags, apart)
    targets: tuple[Target, ...] = ("pixels", "features")
    for target in targets:
        options = AutoencoderOptions(target=target, recipe=Recipe(epochs=epochs), held_out=HELD_OUT)
        with tempfile.TemporaryDirectory() as folder:
            done = train_autoencoder(
                source, Path(folder), options, lambda *_: None, frozen if target == "features" else None
            )
        precisions[f"target_{target}"] = precision_by_tag(vectors_of(done.encoder, small), tags, apart)
        course = done.course
        figures[f"target_{target}"] = {
            "loss_start": course.start, "loss_end": course.losses[-1], "heldout_loss": course.held_out[course.best],
        }  # fmt: skip
    large = np.stack([source.pixels[name] for name in source.ids])
    precisions["frozen_encoder"] = precision_by_tag(load_encoder("onnx").embed(large), tags, apart)
    return figures | {"peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}


@torch.inference_mode()
def vectors_of(encoder: PictureEncoder, images: Images) -> Vectors:
    """Latents float32 [N, L]."""
    encoder.eval()
    return np.concatenate([encoder(torch.from_numpy(images[i : i + 256])).numpy() for i in range(0, len(images), 256)])
