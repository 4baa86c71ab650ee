"""`mekiki topics create|describe`."""

import typer

from admin.connect import client_settings
from admin.console import out, print_json, print_table
from admin.options import AsJson, DataDir
from stream.log.topics import SHAPES, create_topics, describe_topics

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
