"""`mekiki encoder train ...`: encoders of one's own, learned from what the service has."""

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

from admin.connect import client_settings
from admin.options import DataDir

app = typer.Typer(no_args_is_help=True, help="Train an encoder from the service's own pictures.")

NewName: TypeAlias = Annotated[
    str, typer.Option("--as", help="Name of the new encoder; a run that was stopped goes on with the same options.")
]
Epochs: TypeAlias = Annotated[int, typer.Option(min=1, help="Times that each picture is learned from, at most.")]
BatchSize: TypeAlias = Annotated[int, typer.Option("--batch", min=2, help="Pictures in a step.")]
Rate: TypeAlias = Annotated[float, typer.Option(min=0.0, help="Of learning, at its highest.")]
Seed: TypeAlias = Annotated[int, typer.Option(min=0, help="Of everything random.")]
Device: TypeAlias = Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="auto takes a GPU where there is one.")]


@app.command()
def autoencoder(
    name: NewName = "autoencoder",
    size: Annotated[int, typer.Option(help="Side of the pictures in pixels: 112 for the deep shape, 56.")] = 56,
    latent: Annotated[int, typer.Option(min=2, max=4096, help="Length of the vectors.")] = 128,
    gray: Annotated[bool, typer.Option(help="Leave colours out.")] = False,
    target: Annotated[
        Literal["pixels", "features"], typer.Option(help="What is made again: the picture, or what the encoder sees.")
    ] = "pixels",
    sheet: Annotated[Path | None, typer.Option(help="PNG of pictures and what is made of them.")] = None,
    epochs: Epochs = 40,
    batch: BatchSize = 64,
    rate: Rate = 1e-3,
    seed: Seed = 0,
    device: Device = "auto",
    data_dir: DataDir = None,
) -> None:
    """Without labels: pictures through a few numbers and back."""
    from admin.operators.encoders.training.autoencoders import train_and_install
    from models.encoders.training.autoencoder import AutoencoderOptions
    from models.encoders.training.loop import Recipe

    recipe = Recipe(epochs=epochs, batch=batch, rate=rate, seed=seed)
    options = AutoencoderOptions(size, latent, gray, target, recipe, device)
    train_and_install(options, name, sheet, client_settings(data_dir))


@app.command()
def tags(
    name: NewName = "tags",
    most: Annotated[
        int, typer.Option("--tags", min=2, help="The most frequent tags are learned, so many at most.")
    ] = 5000,
    asymmetric: Annotated[bool, typer.Option("--asymmetric", help="A loss that forgets easy negatives.")] = False,
    epochs: Epochs = 20,
    body_epochs: Annotated[int, typer.Option(min=1, help="As --epochs, with the last blocks of the body.")] = 4,
    batch: BatchSize = 64,
    rate: Rate = 1e-3,
    seed: Seed = 0,
    device: Device = "auto",
    data_dir: DataDir = None,
) -> None:
    """From tags: a head on the frozen network, then its last blocks too; the better of the two is written."""
    from admin.operators.encoders.training.tagging import train_and_install
    from models.encoders.training.loop import Recipe
    from models.encoders.training.tags import BODY_RATE, TagOptions

    head = Recipe(epochs=epochs, batch=batch, rate=rate, weight_decay=0.0, seed=seed)
    body = Recipe(epochs=body_epochs, batch=batch, rate=rate * BODY_RATE, seed=seed)
    train_and_install(TagOptions(most, asymmetric, head, body, device), name, client_settings(data_dir))


@app.command()
def taste(
    name: NewName = "taste",
    network: Annotated[
        Literal["body", "small-cnn"],
        typer.Option(help="The frozen network's last blocks, or a small network from nothing."),
    ] = "body",
    cut: Annotated[
        Literal["none", "face"],
        typer.Option(help="Learn from faces cut out of drawings, and serve them so (extra `faces`)."),
    ] = "none",
    ratings: Annotated[
        Path | None,
        typer.Option(help='JSON lines {"id": "a", "rating": 4} or {"order": ["best", "last"]}, instead of clicks.'),
    ] = None,
    epochs: Epochs = 20,
    body_epochs: Annotated[int, typer.Option(min=1, help="As --epochs, with the last blocks of the body.")] = 6,
    batch: Annotated[int, typer.Option("--batch", min=2, help="Pairs in a step.")] = 256,
    rate: Rate = 1e-3,
    seed: Seed = 0,
    device: Device = "auto",
    data_dir: DataDir = None,
) -> None:
    """From clicks or ratings: RankNet through a network; written where it orders unseen pictures better than before."""
    from admin.operators.encoders.training.tasting import train_and_install
    from models.encoders.training.loop import Recipe
    from models.encoders.training.taste import BODY_RATE, TasteOptions

    head = Recipe(epochs=epochs, batch=batch, rate=rate, weight_decay=0.1, patience=6, seed=seed)
    body = Recipe(epochs=body_epochs, batch=batch, rate=rate * BODY_RATE, weight_decay=0.05, patience=3, seed=seed)
    train_and_install(
        TasteOptions(network, "face" if cut == "face" else "", head, body, device),
        name,
        ratings,
        client_settings(data_dir),
    )
