"""Trains an autoencoder on the service's pictures, and puts it into a folder.

In: options. Out: the folder. Raises what models.encoders.training.autoencoder does, and ConfigurationError.
"""

from pathlib import Path

from admin.console import errors_out
from admin.operators.encoders.pictures import stream_pictures
from admin.operators.encoders.running import finished, run_folder, shown_progress
from models.encoders.efficientnet.outputs import PARTS
from models.encoders.load import load_extractor
from models.encoders.networks.autoencoder import map_side
from models.encoders.training.autoencoder import AutoencoderOptions, FrozenEncoder, train_autoencoder
from models.encoders.training.export import write_result
from models.encoders.training.sheet import draw_sheet
from stream.settings import Settings


def train_and_write(options: AutoencoderOptions, out: Path, sheet: Path | None, settings: Settings) -> None:
    """Train, write the encoder and, if asked for, a sheet of held-out pictures with their reconstructions."""
    map_side(options.size_px)  # a mistake is said before anything is read
    frozen = None
    if options.target == "features":
        extractor = load_extractor(cache_dir=settings.cache_path, threads=settings.encoder.threads)
        frozen = FrozenEncoder(extractor.extract, PARTS)
    with stream_pictures(settings) as source, shown_progress() as report:
        done = train_autoencoder(source, run_folder(out), options, report, frozen)
    write_result(done.encoder, done.trained, out)
    if sheet is not None and done.made is not None:
        draw_sheet(done.shown, done.made, sheet)
    elif sheet is not None:
        errors_out.print(f"no sheet {sheet}: the target features makes no pictures; take --target pixels for one")
    finished(out, done.trained, done.course)
