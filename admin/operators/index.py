"""`mekiki index describe`, and how an embedded index of before comes to be quantised."""

import typer

from admin.connect import Api, client_settings
from admin.console import print_json, print_table, progress
from admin.options import AsJson, DataDir
from stream.settings import Settings

app = typer.Typer(help="The index of the images.", no_args_is_help=True)


@app.command()
def describe(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """How it is kept: quantisation and rescoring; on a server shards, replicas, and what is on disk."""
    described = Api(client_settings(data_dir)).get("/v1/index")
    if as_json:
        print_json(described)
        return
    print_table(
        ((name.replace("_", " "), "-" if value is None else str(value)) for name, value in described.items()),
        "index", "value",
    )  # fmt: skip


def convert_index(settings: Settings) -> None:
    """Quantise an embedded index that was made otherwise, with a bar; before anybody opens it.

    Raises:
        StorageUnavailableError: there is no room for it.
    """
    from stream.build import index_folder, objects_folder
    from stream.index.convert import convert  # the extra `embedded`
    from stream.index.objects import OBJECTS

    with progress() as bar:
        task = bar.add_task("the index is quantised anew", total=None, visible=False, note="")

        def advance(done: int, count: int) -> None:
            bar.update(task, completed=done, total=count, visible=True)

        convert(index_folder(settings), settings.qdrant, advance)
        convert(objects_folder(settings), settings.qdrant, advance, OBJECTS)
