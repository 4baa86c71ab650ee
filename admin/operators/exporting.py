"""Replays the examples up to a point and writes what the tagger knew there.

In: settings, an offset. Out: a table and its manifest. Raises what stream.learn.replay and stream.export.tags do, and
StorageUnavailableError where there is no room for the replay.
"""

from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory

from admin.connect import running_service
from admin.console import progress
from models.errors import StateLostError, StorageUnavailableError
from stream.export.table import Format, load_arrow
from stream.export.tags import Manifest, check_free, write_tags
from stream.learn.replay import TOPIC, replay
from stream.learn.tagger_state import open_tagger
from stream.log.reading.consume import LogReader
from stream.settings import Settings


def export_tags(settings: Settings, at: int | None, path: Path, format: Format) -> Manifest:
    """Write the table of the records before offset `at`, or of all that there are; see the module."""
    check_free(path)
    if format == "parquet":
        load_arrow()
    running = running_service(settings.data_path)
    embedded = running is not None and running.bootstrap_servers == settings.kafka.bootstrap_servers
    with ExitStack() as stack:
        reader = stack.enter_context(closing(LogReader(settings, (TOPIC,), "export", lambda: ())))
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="mekiki-export-")))
        state = stack.enter_context(closing(open_tagger(settings.model_copy(update={"data_dir": folder}))))
        bar = stack.enter_context(progress())
        replaying = bar.add_task("replaying examples.v1", total=at, note="")
        try:
            end = replay(
                reader, state, at=at, embedded=embedded, on_progress=lambda done: bar.update(replaying, completed=done)
            )
        except StateLostError as error:
            raise StorageUnavailableError(f"folder {folder}: {error.__cause__}; free space, or set TMPDIR") from error
        bar.update(replaying, total=end.offset)
        writing = bar.add_task("predicting", total=None, note="")
        return write_tags(
            state, end, path=path, format=format, on_progress=lambda rows: bar.update(writing, completed=rows)
        )
