"""`mekiki demo`: its options, and which parts it runs. What takes long to import comes only when it is called."""

import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from admin.console import out, progress, write_json
from stream.environment import load_settings

SEED = 20240229


def demo(
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
    sheet: Annotated[Path | None, typer.Option(help="Draw a contact sheet into this PNG.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Keep index and state here; otherwise nothing stays.")] = None,
    pictures: Annotated[int | None, typer.Option(min=200, help="Stream only so many pictures.")] = None,
    seed: Annotated[int, typer.Option(help="Of the order of events and of the clicks.")] = SEED,
) -> None:
    """Stream the OpenMoji pictures with tags and simulated clicks through the whole service, and measure it."""
    from admin.demo.events import plan, prepare
    from admin.demo.loop import run
    from admin.demo.screen import show
    from stream.process import configure_process

    kept = nullcontext(str(data_dir)) if data_dir is not None else tempfile.TemporaryDirectory(prefix="mekiki-demo-")
    with kept as folder, progress() as bar:
        settings = load_settings(data_dir=Path(folder), serve={"port": 0})
        configure_process(settings)
        task = bar.add_task("drawing pictures", total=None, note="OpenMoji, CC BY-SA 4.0")
        posted = prepare(pictures, lambda done, total: bar.update(task, completed=done, total=total))
        planned = plan(posted, seed)
        report = run(settings, planned, bar, seed=seed, sheet=sheet)
    if json_file is not None:
        write_json(json_file, report)
    show(out, report, planned, sheet)
