"""`mekiki tag|click`: what a person says of pictures, into the log."""

from contextlib import closing
from typing import Annotated

import typer

from admin.connect import client_settings
from admin.console import out
from admin.options import DataDir
from admin.people.importing.send import SOURCE
from models.errors import UsageError
from stream.events.schema import Event, PairClicked, TagsApplied, TagsRemoved
from stream.log.produce import LogWriter
from stream.settings import Settings


def tag(
    image_id: str,
    tags: Annotated[list[str], typer.Argument(metavar="TAG...")],
    remove: Annotated[bool, typer.Option("--remove", help="Take the tags off instead.")] = False,
    complete: Annotated[bool, typer.Option("--complete", help="With these the picture's list is exhaustive.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Tag a picture, or take tags off it."""
    event: Event = TagsApplied(image_id=image_id, tags=tuple(tags), by=SOURCE, complete=complete)
    if remove:
        event = TagsRemoved(image_id=image_id, tags=tuple(tags), by=SOURCE)
    send(client_settings(data_dir), event)
    out.print(f"{'removed from' if remove else 'tagged'} {image_id}: {', '.join(tags)}", markup=False)


def click(preferred_id: str, over_id: str, data_dir: DataDir = None) -> None:
    """Say that of two pictures you prefer the first."""
    if preferred_id == over_id:
        raise UsageError(f"{preferred_id} twice: expected two pictures; name the other one")
    send(client_settings(data_dir), PairClicked(preferred=preferred_id, over=over_id, session_id="cli"))
    out.print(f"preferred {preferred_id} over {over_id}", markup=False)


def send(settings: Settings, event: Event) -> None:
    """Put one event into the log; it is durable on return."""
    with closing(LogWriter(settings, SOURCE)) as writer:
        writer.send_event(event)
        writer.flush()
