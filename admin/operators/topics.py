"""`mekiki topics create|describe|grow`."""

import time
from contextlib import closing
from typing import Annotated

import typer

from admin.connect import client_settings, running_service
from admin.console import out, print_json, print_table, progress
from admin.options import AsJson, DataDir
from models.errors import UsageError
from stream.events.codec import encode
from stream.events.schema import TopicGrown
from stream.log.produce import LogWriter
from stream.log.reading.announced import read_growth
from stream.log.topics import SHAPES, TopicDescription, add_partitions, create_topics, describe_topics

app = typer.Typer(help="The topics of the log.", no_args_is_help=True)


@app.command()
def create(data_dir: DataDir = None) -> None:
    """Create the topics that are missing."""
    created = create_topics(client_settings(data_dir))
    out.print("\n".join(f"created {name}" for name in created) or "all topics are there already", markup=False)


@app.command()
def describe(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Names, ids, partitions."""
    described = describe_topics(client_settings(data_dir), tuple(shape.name for shape in SHAPES))
    if as_json:
        print_json({short: topic.__dict__ for short, topic in described.items()})
        return
    rows = ((topic.name, topic.topic_id, str(topic.partitions)) for topic in described.values())
    print_table(rows, "topic", "id", "partitions")


@app.command()
def grow(
    partitions: Annotated[int, typer.Argument(min=2, max=1000, help="How many images.v1 is to have.")],
    before: Annotated[
        int | None, typer.Option("--from", min=1, help="How many it had, where somebody has added them already.")
    ] = None,
    notice_s: Annotated[
        float, typer.Option(min=0, help="How long producers may need to see new partitions: their metadata.max.age.ms.")
    ] = 30.0,
    data_dir: DataDir = None,
) -> None:
    """Give images.v1 more partitions, also while producers and workers run; safe to repeat after Ctrl-C."""
    settings = client_settings(data_dir)
    running = running_service(settings.data_path)
    if running is not None and running.bootstrap_servers == settings.kafka.bootstrap_servers:
        raise UsageError(
            f"topics grow {partitions}: the log of `mekiki up` begins anew with every start; set "
            f"MEKIKI_KAFKA__PARTITIONS={partitions} and start it again"
        )
    images = describe_topics(settings, ("images",))["images"]
    sizes = read_growth(settings, images.topic_id) or (before or images.partitions,)
    _check_size(images, partitions, sizes)
    with closing(LogWriter(settings, "mekiki/cli")) as writer:
        if sizes[-1] != partitions:
            sizes = (*sizes, partitions)
            event = TopicGrown(topic_id=images.topic_id, partitions=sizes)
            writer.send_event(event)  # before anything is on the new ones: a reader that meets them knows
            writer.flush()
        if partitions > images.partitions:
            add_partitions(settings, "images", partitions)
        if len(sizes) > 1:
            _wait_for_producers(notice_s)
            _mark(writer, TopicGrown(topic_id=images.topic_id, partitions=sizes))
    out.print(f"images.v1 has {partitions} partitions; workers take up the new ones once they have read the old ones")


def _check_size(images: TopicDescription, partitions: int, sizes: tuple[int, ...]) -> None:
    most = max(images.partitions, sizes[-1])
    if partitions < most:
        raise UsageError(f"topics grow {partitions}: images.v1 has {most} partitions; they can only become more")
    if sizes[0] > images.partitions:
        raise UsageError(f"--from {sizes[0]}: images.v1 has {images.partitions} partitions; name how many it had")


def _mark(writer: LogWriter, event: TopicGrown) -> None:
    """Put a mark behind all that was written by the old division."""
    key, value, headers = encode(event, source="mekiki/cli")
    for partition in range(event.partitions[-2]):
        writer.send("images", key, value, headers, partition=partition)
    writer.flush()


def _wait_for_producers(notice_s: float) -> None:
    """Until then a producer may put an event of an image into the partition of before; it is read first."""
    until_s = time.monotonic() + notice_s
    with progress() as bar:
        task = bar.add_task("producers notice the new partitions", total=notice_s, note="")
        while (left_s := until_s - time.monotonic()) > 0:
            time.sleep(min(left_s, 0.2))
            bar.update(task, completed=notice_s - max(0.0, until_s - time.monotonic()))
