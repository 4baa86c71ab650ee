"""Trains the network of tags on the service's pictures and tags, and puts it into a folder.

In: options. Out: the folder, with the names of the tags in `tags.json`. Raises what models.encoders.training.tags does,
and ConfigurationError.
"""

from dataclasses import replace
from pathlib import Path

from admin.console import errors_out
from admin.operators.encoders.pictures import stream_pictures
from admin.operators.encoders.running import finished, run_folder, shown_progress
from models.encoders.training.export import write_result
from models.encoders.training.tags import TagOptions, train_tags
from stream.settings import Settings


def train_and_write(options: TagOptions, out: Path, settings: Settings) -> None:
    """Train, write the better of the two steps, and say how good both are."""
    options = replace(options, threads=settings.encoder.threads)
    with stream_pictures(settings) as source, shown_progress() as report:
        done = train_tags(source, source.tags, run_folder(out), options, report)
    write_result(done.network, done.trained, out, {"tags.json": list(done.tags)})
    kept = done.trained.training["kept"]
    figures = ", ".join(f"{name} {figure:.3f}" for name, figure in done.map.items())
    errors_out.print(f"{len(done.tags)} tags; mAP on held-out pictures: {figures}; kept: {kept}")
    finished(out, done.trained, done.courses[kept])
