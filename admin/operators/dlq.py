"""`mekiki dlq list|show|replay|drop|skip|give-up|resume`: records no step could take, why, and their way back."""

from collections.abc import Iterator
from contextlib import closing
from typing import Annotated, Any

import typer
from kafka import TopicPartition

from admin.connect import Api, client_settings
from admin.console import out, print_error, print_json, print_table
from admin.operators.letters.reasons import reason_of
from admin.operators.letters.shown import name_of, show_by_reason
from admin.options import AsJson, DataDir
from models.errors import UsageError
from stream.events.schema import WaitingEnded
from stream.log.dead_letter import REPLAYED, DeadLetter, read_dead_letter
from stream.log.produce import LogWriter
from stream.log.reading.consume import LogReader
from stream.log.reading.positions import position_of
from stream.log.topics import describe_topics
from stream.log.unreadable.batches import UnreadableBatch, read_at
from stream.log.unreadable.skips import UNREADABLE, Skip, skip_headers
from stream.settings import Settings
from stream.stopped import note_stopped, stopped_workers

app = typer.Typer(help="Dead letters: records that no step could take.", no_args_is_help=True)
TOPICS = ("images", "operations", "clicks")
SHOWN_BYTES = 2_000  # of a value in `show`


def read_all(settings: Settings) -> list[DeadLetter]:
    """All dead letters that were not replayed, oldest first."""
    shorts = tuple(f"{topic}.dlq" for topic in TOPICS)
    letters: dict[str, DeadLetter] = {}
    with closing(LogReader(settings, shorts, "dlq-reader", lambda: ())) as reader:
        ends = {short: reader.partitions(short) for short in shorts}
        while True:
            records = reader.poll(0.2)
            for record in records:
                letter = read_dead_letter(record.topic.removesuffix(".dlq"), record)
                if letter is not None:
                    letters.setdefault(letter.id, letter)  # a worker that died may have written it twice
                else:
                    letters.pop(dict(record.headers).get(REPLAYED, b"").decode(), None)
            done = all(reader.caught_up(short, p) for short, count in ends.items() for p in range(count))
            if not records and done:
                return sorted(letters.values(), key=lambda letter: letter.timestamp_ms)


@app.command(name="list")
def list_letters(
    waiting: Annotated[bool, typer.Option("--waiting", help="Images that are not there, and what waits.")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Dead letters by reason, each with what to do about it; or what waits for images that are not there."""
    if waiting:
        _list_waiting(client_settings(data_dir), as_json)
        return
    letters = read_all(client_settings(data_dir))
    if as_json:
        print_json([_row(letter) for letter in letters])
        return
    if not letters:
        out.print("no dead letters")
        return
    show_by_reason(letters)


def _list_waiting(settings: Settings, as_json: bool) -> None:
    images = list(read_waiting(settings))
    if as_json:
        print_json(images)
        return
    if not images:
        out.print("nothing waits for an image")
        return
    caption = "post what is not there, or `mekiki dlq give-up`; what is being decoded comes by itself"
    names = ("image_id", "events", "decoding", "partition", "offset")
    rows = ([str(image[name]) for name in names] for image in images)
    print_table(rows, "image", "events", "being decoded", "partition", "offset of the oldest", caption=caption)


def read_waiting(settings: Settings) -> Iterator[dict[str, Any]]:
    """Images that are not there and that events wait for, as the API shows them."""
    api, cursor = Api(settings), None
    while True:
        page = api.get("/v1/waiting", limit=1_000, cursor=cursor)
        yield from page["images"]
        cursor = page["cursor"]
        if cursor is None:
            return


def _row(letter: DeadLetter) -> dict[str, Any]:
    named = {"name": name_of(letter), "remedy": reason_of(letter.reason).remedy}
    same = ("id", "topic", "origin", "reason", "text", "timestamp_ms")
    return (
        named
        | {name: getattr(letter, name) for name in same}
        | {
            "key": None if letter.key is None else letter.key.decode(errors="replace"),
            "value_bytes": letter.cut_bytes or len(letter.value or b""),
        }
    )


def _find(letters: list[DeadLetter], wanted: str) -> DeadLetter:
    found = [letter for letter in letters if letter.id.startswith(wanted)]
    if len(found) != 1:
        raise UsageError(f"dead letter {wanted}: found {len(found)}; `mekiki dlq list` shows the ids")
    return found[0]


@app.command()
def show(letter_id: str, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """One dead letter with headers and the beginning of its value."""
    letter = _find(read_all(client_settings(data_dir)), letter_id)
    document = _row(letter) | {
        "headers": {name: value.decode(errors="replace") for name, value in letter.headers},
        "value": (letter.value or b"")[:SHOWN_BYTES].decode(errors="replace"),
    }
    if as_json:
        print_json(document)
        return
    for name, value in document.items():
        out.print(f"{name}: {value}", markup=False, soft_wrap=True)


@app.command()
def replay(
    letter_ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Replay all of them.")] = False,
    reason: Annotated[str | None, typer.Option(help="Only those with this reason code.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Post dead letters again as they were, once what was wrong is mended."""
    settings = client_settings(data_dir)
    letters = _chosen("replay", read_all(settings), letter_ids, everything=everything, reason=reason)
    for letter in letters:
        if letter.cut_bytes:
            print_error(
                f"dead letter {letter.id}: its {letter.cut_bytes} bytes did not fit; they stand in {letter.topic} at "
                f"{letter.origin} only, post them again"
            )
        elif letter.reason == UNREADABLE:
            print_error(f"dead letter {letter.id}: there are no bytes to replay; have its producer post them again")
    letters = [letter for letter in letters if not letter.cut_bytes and letter.reason != UNREADABLE]
    with closing(LogWriter(settings, "mekiki/cli")) as writer:
        for letter in letters:
            writer.send(letter.topic, letter.key, letter.value, letter.headers)
            writer.flush()
            writer.send(f"{letter.topic}.dlq", letter.key, None, [(REPLAYED, letter.id.encode())])
            writer.flush()
    out.print(f"replayed {len(letters)} dead letters")


@app.command()
def drop(
    letter_ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Drop all of them.")] = False,
    reason: Annotated[str | None, typer.Option(help="Only those with this reason code.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Take dead letters off the list that nobody will mend; the log keeps them as long as it keeps anything."""
    settings = client_settings(data_dir)
    letters = _chosen("drop", read_all(settings), letter_ids, everything=everything, reason=reason)
    with closing(LogWriter(settings, "mekiki/cli")) as writer:
        for letter in letters:
            writer.send(f"{letter.topic}.dlq", letter.key, None, [(REPLAYED, letter.id.encode())])
        writer.flush()
    out.print(f"dropped {len(letters)} dead letters")


def _chosen(
    command: str, letters: list[DeadLetter], ids: list[str] | None, *, everything: bool, reason: str | None
) -> list[DeadLetter]:
    """The letters that a command is for."""
    if ids:
        letters = [_find(letters, wanted) for wanted in ids]
    elif not everything and reason is None:
        raise UsageError(f"dlq {command}: expected ids, --reason or --all")
    return letters if reason is None else [letter for letter in letters if letter.reason == reason]


@app.command()
def skip(
    topic: Annotated[str, typer.Argument(help="images, operations or clicks.")],
    partition: int,
    offset: Annotated[int, typer.Argument(help="Where the worker says that it stands.")],
    data_dir: DataDir = None,
) -> None:
    """Go past a batch of the log that cannot be read, now and in every replay; what stood there is lost."""
    settings = client_settings(data_dir)
    if topic not in TOPICS:
        raise UsageError(f"topic {topic}: expected {', '.join(TOPICS)}; of other topics nothing may be left out")
    described = describe_topics(settings, (topic,))[topic]
    if not 0 <= partition < described.partitions:
        raise UsageError(f"partition {partition} of {topic}: expected 0 to {described.partitions - 1}; see the log")
    if offset < 0:
        raise UsageError(f"offset {offset}: expected 0 or more; see the log")
    place = f"offset {offset} of {topic} {partition}"
    at = TopicPartition(described.name, partition)
    found = read_at(settings, {at: offset}).get(at)
    if not isinstance(found, UnreadableBatch):
        what = "nothing stands there" if found != offset else "it can be read"
        raise UsageError(f"{place}: expected a batch that cannot be read, {what}; the log of the worker names it")
    text = f"{place} to {found.end - 1}: cannot be read ({found.why}); an operator let it pass"
    headers = skip_headers(Skip(described.topic_id, partition, offset), position_of(0, offset), text)
    with closing(LogWriter(settings, "mekiki/cli")) as writer:
        writer.send(f"{topic}.dlq", None, None, headers)
        writer.flush()
    out.print(f"{topic} {partition}: goes on at offset {found.end}", highlight=False)


@app.command(name="give-up")
def give_up(
    image_ids: Annotated[list[str] | None, typer.Argument(metavar="[IMAGE_ID]...")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All images that something waits for.")] = False,
    data_dir: DataDir = None,
) -> None:
    """No longer wait for images: what waits for them becomes dead letters."""
    settings = client_settings(data_dir)
    if bool(image_ids) == everything:
        raise UsageError("dlq give-up: expected image ids or --all; `mekiki dlq list --waiting` shows them")
    ids = [image["image_id"] for image in read_waiting(settings)] if everything else image_ids or []
    with closing(LogWriter(settings, "mekiki/cli")) as writer:
        for image_id in ids:
            writer.send_event(WaitingEnded(image_id=image_id))
        writer.flush()
    out.print(f"gave up on {len(ids)} images")


@app.command()
def resume(data_dir: DataDir = None) -> None:
    """Let a worker go on that stopped because too many records were dead, once what was wrong is mended."""
    data_path = client_settings(data_dir).data_path
    stopped = stopped_workers(data_path)
    note_stopped(data_path, {})
    out.print(f"{', '.join(stopped)}: going on" if stopped else "nothing is stopped")
