"""Trains the network of tags on the service's pictures and tags, and makes an encoder of it.

In: options. Out: an encoder's folder, with the names of the tags in `tags.json`. Raises what
models.encoders.training.tags does, and ConfigurationError.
"""

from dataclasses import replace

from admin.console import errors_out
from admin.operators.encoders.training.pictures import stream_pictures
from admin.operators.encoders.training.running import Run, shown_progress
from models.encoders.registry.folders import EncoderFolders
from models.encoders.training.tags import TagOptions, train_tags
from stream.settings import Settings


def train_and_install(options: TagOptions, name: str, settings: Settings) -> None:
    """Train, make an encoder of the better of the two steps, and say how good both are."""
    run = Run(EncoderFolders(settings.encoders_path), name)
    options = replace(options, threads=settings.encoder.threads)
    with stream_pictures(settings) as source, shown_progress() as report:
        done = train_tags(source, source.tags, run.folder, options, report)
    kept = done.trained.training["kept"]
    figures = ", ".join(f"{name} {figure:.3f}" for name, figure in done.map.items())
    errors_out.print(f"{len(done.tags)} tags; mAP on held-out pictures: {figures}; kept: {kept}")
    run.finish(done.network, done.trained, done.courses[kept], documents={"tags.json": list(done.tags)})
