"""`mekiki tag|click`: what a person says of pictures, into the log; and what came of it.

A tag for a picture that nobody posted waits for it, as the log promises; the person is told so, for most have mistyped.
"""

import unicodedata
import uuid
from contextlib import closing
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from admin.connect import Api, client_settings
from admin.console import out, print_error, shown
from admin.options import DataDir, TimeoutS, Wait
from admin.people.importing.commas import split, to_be_split
from admin.people.importing.send import SOURCE, known, sentence
from admin.people.importing.waiting import until
from models.errors import ConfigurationError, InfrastructureError, NotFoundError, PolicyError, UsageError
from models.tagging.memory.names import normalise_tag
from stream.events.codec import Envelope, identity_hash
from stream.events.schema import Event, PairClicked, TagsApplied, TagsRemoved
from stream.log.produce import LogWriter
from stream.log.tail import LogTail
from stream.settings import Settings

NOT_THERE = {"decoding": "still being decoded", "deleted": "deleted", "waiting": "nobody posted it"}


def tag(
    image_id: str,
    tags: Annotated[list[str], typer.Argument(metavar="TAG...")],
    remove: Annotated[bool, typer.Option("--remove", help="Take the tags off instead.")] = False,
    complete: Annotated[bool, typer.Option("--complete", help="With these the picture's list is exhaustive.")] = False,
    split_commas: Annotated[
        bool | None, typer.Option("--split-commas/--keep-commas", help="Whether `cat, dog` is two tags.")
    ] = None,
    wait: Wait = True,
    timeout_s: TimeoutS = 10.0,
    data_dir: DataDir = None,
) -> None:
    """Tag a picture, or take tags off it."""
    said = split(tags) if to_be_split(tags, split_commas) else tuple(tags)
    for name in said:
        _check_tag(name)
    settings = client_settings(data_dir)
    api = _api(settings, wait)
    about = _known(api, image_id)
    if about is not None and about["state"] == "deleted":
        raise NotFoundError(f"image {about['image_id']!r}: deleted, nothing was said of it; post it again first")
    image_id = image_id_of(image_id, about)
    fields: dict[str, Any] = {"image_id": image_id, "tags": said, "by": SOURCE}
    try:
        event: Event = TagsRemoved(**fields) if remove else TagsApplied(**fields, complete=complete)
    except ValidationError as error:
        raise UsageError(sentence(error)) from None
    done = f"{'removed from' if remove else 'tagged'} {shown(image_id)}: {', '.join(said)}"
    if api is None:
        send(settings, event)
    else:
        with closing(LogTail(settings, ["examples"])) as examples:
            event_id = send(settings, event)
            done += _came_of(api, examples, Envelope(event_id, SOURCE, event), image_id, timeout_s)
    out.print(done, markup=False, soft_wrap=True)


def click(
    preferred_id: str, over_id: str, wait: Wait = True, timeout_s: TimeoutS = 2.0, data_dir: DataDir = None
) -> None:
    """Say that of two pictures you prefer the first; after the first eight, clicks are learned some at a time."""
    if preferred_id == over_id:
        raise UsageError(f"{preferred_id} twice: expected two pictures; name the other one")
    settings = client_settings(data_dir)
    api = _api(settings, wait)
    names = []
    for image_id in (preferred_id, over_id):
        about = _known(api, image_id)
        if api is not None and (about is None or about["state"] != "there"):
            why = NOT_THERE[about["state"] if about is not None else "waiting"]
            raise NotFoundError(f"image {image_id!r}: {why}; a click needs two pictures that are searchable")
        names.append(image_id_of(image_id, about))
    try:
        event = PairClicked(preferred=names[0], over=names[1], session_id="cli")
    except ValidationError as error:
        raise UsageError(sentence(error)) from None
    with closing(LogWriter(settings, SOURCE)) as writer:
        offset = writer.send_now(event)
    done = f"preferred {shown(names[0])} over {shown(names[1])}"
    if api is not None:
        try:
            until(lambda: _learned(api, "ranker", "clicks/0") > offset, timeout_s, "click")
            done += "; learned"
        except InfrastructureError:
            done += "; in the log, learned together with the next clicks"
    out.print(done, markup=False, soft_wrap=True)


def send(settings: Settings, event: Event) -> str:
    """Put one event into the log, where it is durable on return; its id."""
    event_id = str(uuid.uuid4())
    with closing(LogWriter(settings, SOURCE)) as writer:
        writer.send_event(event, event_id=event_id)
        writer.flush()
    return event_id


def image_id_of(asked: str, about: dict[str, Any] | None) -> str:
    """The id as it was posted; composed, where nobody posted it."""
    return unicodedata.normalize("NFC", asked) if about is None else str(about["image_id"])


def _came_of(api: Api, examples: LogTail, said: Envelope, image_id: str, timeout_s: float) -> str:
    """What came of tags that were sent, for people.

    Raises:
        NotFoundError: nobody posted the picture.
        InfrastructureError: it is not known in time.
    """
    identity, offsets = identity_hash(said), [-1]

    def applied() -> str:
        about = _known(api, image_id)
        return about["state"] if about is not None and identity in about["events"] else ""

    def learned() -> bool:
        offsets.extend(record.offset for record in examples.poll() if record.key == image_id.encode())
        return -1 < offsets[-1] < _learned(api, "tagger", "examples/0")

    state = until(applied, timeout_s, f"image {image_id!r}: posted, but not on the picture")
    if state == "decoding":
        return "; waits until the picture is decoded"
    if state != "there":
        raise NotFoundError(
            f"image {image_id!r}: nobody posted it, the tags wait for it; post it, or take them back with `mekiki dlq "
            "give-up`"
        )
    until(learned, timeout_s, f"image {image_id!r}: the tags are changed, but not learned")
    return "; learned"


def _learned(api: Api, model: str, place: str) -> int:
    """Up to where in a partition the served model has learned."""
    return int(api.get("/v1/status")["offsets"].get(model, {}).get(place, 0))


def _known(api: Api | None, image_id: str) -> dict[str, Any] | None:
    if len(image_id) > 256 or not image_id.isprintable():
        return None  # the event says what is wrong with it
    found: dict[str, Any] | None = known(api, [image_id]).get(image_id)
    return found


def _api(settings: Settings, wait: bool) -> Api | None:
    """Whom to ask what came of it; nobody where a person does not want to know."""
    if not wait:
        return None
    try:
        return Api(settings)
    except ConfigurationError:
        print_error("no search API to ask what came of it; it is sent")
        return None


def _check_tag(name: str) -> None:
    try:
        normalise_tag(name)
    except PolicyError as error:
        raise UsageError(str(error)) from None
