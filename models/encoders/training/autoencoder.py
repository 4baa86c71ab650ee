"""Trains an autoencoder on pictures without labels.

In: pictures; for the target `features` also the frozen encoder. Out: the encoder half, how it went, reconstructions.
Raises UsageError (too few pictures, a size that does not halve, numbers that are not finite), StorageUnavailableError.

The target `pixels` makes the picture again, as the seeds did. The target `features` makes again what the frozen encoder
sees in the picture, from one that was mirrored, moved, turned and coloured by chance: without that 1,600 pictures are
learned by heart. What both are worth: docs/training.md.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.encoders.base import Images, Vectors
from models.encoders.networks.autoencoder import Autoencoder, PictureEncoder, feature_decoder, latents_of, pixel_decoder
from models.encoders.networks.build import AUTOENCODER
from models.encoders.projection import Projection, fit_projection
from models.encoders.training.data.augmentation import augmented
from models.encoders.training.data.pictures import (
    Part,
    Pictures,
    Plan,
    Recording,
    Report,
    Sample,
    fingerprint,
    keep_rows,
)  # fmt: skip
from models.encoders.training.data.rows import RowFile
from models.encoders.training.data.split import HELD_OUT, batches, chunks
from models.encoders.training.loop import Batch, Course, Recipe, device_of, train
from models.encoders.training.result import Trained
from models.errors import UsageError
from models.preprocess import fit_square

Target = Literal["pixels", "features"]
SHOWN = 16  # held-out pictures on the sheet
AT_ONCE = 256  # pictures evaluated at once
PROJECTED = 20_000  # pictures that the projection is fitted on, at most


@dataclass(frozen=True)
class AutoencoderOptions:
    """What to train."""

    size_px: int = 56
    latent: int = 128
    gray: bool = False
    target: Target = "pixels"
    recipe: Recipe = field(default_factory=lambda: Recipe(epochs=40))
    device: str = "auto"
    held_out: float = HELD_OUT


@dataclass(frozen=True)
class FrozenEncoder:
    """What the frozen encoder does, for who learns from it.

    Attributes:
        embed: uint8 [B, 224, 224, 3] -> unit vectors float32 [B, D].
        dimension: D.
    """

    embed: Callable[[Images], Vectors]
    dimension: int


@dataclass(frozen=True, eq=False)
class TrainedAutoencoder:
    """What came of it.

    Attributes:
        encoder: pictures -> latent.
        projection: of latents, fitted on those of training pictures: centred and half whitened, neighbours are better.
        trained: for its manifest.
        course: losses.
        shown: held-out pictures uint8 [N, S, S, 3].
        made: their reconstructions, likewise; none where features were the target.
    """

    encoder: PictureEncoder
    projection: Projection
    trained: Trained
    course: Course
    shown: Images
    made: Images | None


def train_autoencoder(
    source: Pictures, folder: Path, options: AutoencoderOptions, report: Report, frozen: FrozenEncoder | None = None
) -> TrainedAutoencoder:
    """Train, or go on with what was stopped in this folder of the run.

    Args:
        source: of pictures.
        folder: for what the run keeps; nothing of it is needed afterwards.
        options: see there.
        report: told of progress.
        frozen: whose features are the target.

    Raises:
        UsageError, StorageUnavailableError, CheckpointError: see the module and loop.
    """
    if (options.target == "features") != (frozen is not None):
        raise UsageError(
            "--target features: expected an encoder whose features are made again, and for no other target"
        )
    asked = {name: value for name, value in asdict(options).items() if name != "device"}
    sample = Sample(fingerprint(kind=AUTOENCODER, **asked), options.recipe.seed, options.held_out)
    device = device_of(options.device)
    plan, rows = keep_rows(source, folder, sample, _recording(options, frozen), report)
    with torch.random.fork_rng():
        torch.manual_seed(options.recipe.seed)
        encoder = PictureEncoder(size_px=options.size_px, latent=options.latent, gray=options.gray)
        task = _FeaturesTask(encoder, plan, rows) if frozen is not None else _PixelsTask(
            Autoencoder(encoder, pixel_decoder(options.size_px, options.latent, gray=options.gray)), plan, rows
        )  # fmt: skip
    task.to(device)
    course = train(task, options.recipe, report, checkpoint=folder / "checkpoint.safetensors", run=sample.run)
    shown = rows[0].read(plan.held_out[:SHOWN])
    made = _made_again(task.module, shown) if options.target == "pixels" else None
    encoder = encoder.cpu().eval()
    projection = _projection(encoder, plan, rows[0])
    return TrainedAutoencoder(encoder, projection, _facts(options, plan, course), course, shown, made)


class _PixelsTask:
    """Mean squared error of pixels, 0 to 1."""

    is_even = True

    def __init__(self, module: nn.Module, plan: Plan, rows: Sequence[RowFile]) -> None:
        self.module = module
        self.device = torch.device("cpu")
        self._plan, self._rows = plan, rows

    def to(self, device: torch.device) -> None:
        self.device = device
        self.module.to(device)

    def steps(self, batch: int) -> int:
        return -(-len(self._plan.training) // batch)

    def batches(self, batch: int, chance: np.random.Generator) -> Iterator[Batch]:
        for chunk in chunks(self._plan.training, chance):
            kept = self.read(chunk)
            for places in batches(len(chunk), batch, chance):
                images, *seen = (torch.from_numpy(part[places]).to(self.device) for part in kept)
                yield self.changed(images, chance), *seen

    def changed(self, images: Tensor, chance: np.random.Generator) -> Tensor:
        """Pictures as they are learned from."""
        return images

    def read(self, rows: Any) -> tuple[Any, ...]:
        """Arrays of these rows, one for each part of a batch."""
        return (self._rows[0].read(rows),)

    def loss(self, module: nn.Module, batch: Batch) -> Tensor:
        (images,) = batch
        encoder = self.module.encoder
        assert isinstance(encoder, PictureEncoder)
        return F.mse_loss(module(images).float(), encoder.pixels(images))

    def evaluate(self, module: nn.Module) -> float:
        total = 0.0
        apart = self._plan.held_out
        for start in range(0, len(apart), AT_ONCE):
            rows = apart[start : start + AT_ONCE]
            batch = tuple(torch.from_numpy(part).to(self.device) for part in self.read(rows))
            total += float(self.loss(module, batch)) * len(rows)
        return total / len(apart)


class _FeaturesTask(_PixelsTask):
    """1 less the cosine to the frozen encoder's vector, seen from their mean: 1 is what knows nothing."""

    def __init__(self, encoder: PictureEncoder, plan: Plan, rows: Sequence[RowFile]) -> None:
        super().__init__(Autoencoder(encoder, feature_decoder(encoder.latent, rows[1].shape[0])), plan, rows)
        self._centre = _mean(rows[1], plan)

    def read(self, rows: Any) -> tuple[Any, ...]:
        """See _PixelsTask."""
        images, seen = (part.read(rows) for part in self._rows)
        return images, seen - self._centre

    def changed(self, images: Tensor, chance: np.random.Generator) -> Tensor:
        """See _PixelsTask."""
        return augmented(images, chance)

    def loss(self, module: nn.Module, batch: Batch) -> Tensor:
        images, seen = batch
        return 1 - F.cosine_similarity(module(images).float(), seen).mean()


def _recording(options: AutoencoderOptions, frozen: FrozenEncoder | None) -> Recording:
    """Pictures of the size asked for, and what the frozen encoder sees in them."""
    side = options.size_px
    parts: tuple[Part, ...] = (Part("pictures", (side, side, 3), np.uint8),)
    if frozen is not None:
        parts += (Part("vectors", (frozen.dimension,), np.float32),)

    def compute(images: Images) -> list[Any]:
        small = np.stack([fit_square(image, side) for image in images])
        return [small] if frozen is None else [small, frozen.embed(images)]

    return Recording(parts, compute)


def _mean(vectors: RowFile, plan: Plan) -> Vectors:
    """Of the training rows."""
    every = chunks(plan.training, np.random.default_rng(0))
    total = np.sum([vectors.read(chunk).sum(axis=0, dtype=np.float64) for chunk in every], axis=0)
    return np.asarray(total / len(plan.training), np.float32)


def _projection(encoder: PictureEncoder, plan: Plan, pictures: RowFile) -> Projection:
    rows = plan.training[:: -(-len(plan.training) // PROJECTED)]
    latents = latents_of(encoder, pictures.read(rows))
    return fit_projection(latents, [encoder.latent], min(encoder.latent, len(rows) - 1))


@torch.inference_mode()
def _made_again(module: nn.Module, shown: Images) -> Images:
    made = module(torch.from_numpy(shown).to(next(module.parameters()).device)).float().cpu()
    pixels = (made * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return np.ascontiguousarray(np.broadcast_to(pixels, shown.shape))


def _facts(options: AutoencoderOptions, plan: Plan, course: Course) -> Trained:
    return Trained(
        name=f"autoencoder-{options.size_px}-{options.latent}",
        kind=AUTOENCODER,
        arguments={"size_px": options.size_px, "latent": options.latent, "gray": options.gray},
        size_px=options.size_px,
        features=(("latent", options.latent),),
        training={
            "target": options.target, "pictures": len(plan.training), "held_out": len(plan.held_out),
            "position": plan.position, "recipe": asdict(options.recipe), "course": asdict(course),
        },
    )  # fmt: skip
