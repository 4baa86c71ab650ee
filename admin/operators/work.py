"""`mekiki work ingest|objects|tags|ranking`: one worker of the service as a process."""

import typer

from stream.environment import load_settings
from stream.settings import Settings

app = typer.Typer(help="Run one worker against MEKIKI_KAFKA__* and MEKIKI_QDRANT__*.", no_args_is_help=True)


def _settings() -> Settings:
    from stream.process import configure_process

    settings = load_settings()
    configure_process(settings)
    return settings


@app.command()
def ingest() -> None:
    """Images and tags: decode, embed, index; examples for the tag learner."""
    from stream.workers import run_ingest

    run_ingest(_settings())


@app.command()
def objects() -> None:
    """Pictures to parts that are found by themselves; behind ingest."""
    from stream.workers import run_objects

    run_objects(_settings())


@app.command()
def tags() -> None:
    """Examples to tag weights."""
    from stream.workers import run_tags

    run_tags(_settings())


@app.command()
def ranking() -> None:
    """Clicks to a ranker."""
    from stream.workers import run_ranking

    run_ranking(_settings())


@app.command(hidden=True)
def index() -> None:
    """Own the embedded index."""
    from stream.workers import run_index

    run_index(_settings())
