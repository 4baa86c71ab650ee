"""Trains an autoencoder on the service's pictures, and makes an encoder of it.

In: options. Out: an encoder's folder. Raises what models.encoders.training.autoencoder does, and ConfigurationError.
"""

from pathlib import Path

from admin.console import errors_out
from admin.operators.encoders.training.pictures import stream_pictures
from admin.operators.encoders.training.running import Run, shown_progress
from models.encoders.load import load_encoder
from models.encoders.networks.autoencoder import map_side
from models.encoders.registry.folders import EncoderFolders
from models.encoders.training.autoencoder import AutoencoderOptions, FrozenEncoder, train_autoencoder
from models.encoders.training.sheet import draw_sheet
from stream.settings import Settings


def train_and_install(options: AutoencoderOptions, name: str, sheet: Path | None, settings: Settings) -> None:
    """Train, make the encoder and, if asked for, a sheet of held-out pictures with their reconstructions."""
    run = Run(EncoderFolders(settings.encoders_path), name)
    map_side(options.size_px)  # a mistake is said before anything is read
    frozen = None
    if options.target == "features":
        encoder = load_encoder(cache_dir=settings.cache_path, threads=settings.encoder.threads)
        frozen = FrozenEncoder(encoder.embed, encoder.dimension)
    with stream_pictures(settings) as source, shown_progress() as report:
        done = train_autoencoder(source, run.folder, options, report, frozen)
    if sheet is not None and done.made is not None:
        draw_sheet(done.shown, done.made, sheet)
    elif sheet is not None:
        errors_out.print(f"no sheet {sheet}: the target features makes no pictures; take --target pixels for one")
    run.finish(done.encoder, done.trained, done.course, projection=done.projection)
