"""A worker that stores offsets before the state that they stand for: what the long test must notice. No test itself.

Run as `python -m tests.faults.offsets_first work ingest|tags`. In mid-stream, between the two, it leaves a file and
stops working, to be killed there.
"""

import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from stream.environment import load_settings
from stream.index.process.remote import RemoteIndex
from stream.learn import tagger_state
from stream.learn.tags import TagsWorker
from stream.log.record import Record
from stream.process import configure_process
from stream.settings import Settings
from stream.workers import run_ingest, run_tags

BETWEEN = "between"  # the file
MID_STREAM = 5  # batches until then


def _stopper(data_path: Path) -> Callable[[], None]:
    calls = iter(range(MID_STREAM + 1))

    def stop() -> None:
        if next(calls) == MID_STREAM:
            (data_path / BETWEEN).touch()
            threading.Event().wait()

    return stop


def ingest(settings: Settings) -> None:
    """Offsets, then images."""
    write, stop = RemoteIndex.write, _stopper(settings.data_path)

    def offsets_first(index: RemoteIndex, records: Sequence[Any], offsets: Sequence[Any]) -> None:
        write(index, [], offsets)
        if any(record.payload for record in records):
            stop()
        write(index, records, [])

    RemoteIndex.write = offsets_first
    run_ingest(settings)


def tags(settings: Settings) -> None:
    """The offset of examples, then what is learned from them."""
    learn, open_state, stop = TagsWorker.learn, tagger_state.open_tagger, _stopper(settings.data_path)
    opened: list[tagger_state.OpenTagger] = []

    def remembered(settings: Settings) -> tagger_state.OpenTagger:
        opened.append(open_state(settings))
        return opened[-1]

    def offsets_first(worker: TagsWorker, records: Sequence[Record]) -> None:
        if records:
            opened[-1].offsets = [worker.parts.reader.stored_offset("examples", 0, records[-1].offset + 1)]
            opened[-1].checkpoint()
            stop()
        learn(worker, records)

    tagger_state.open_tagger = remembered
    TagsWorker.learn = offsets_first
    run_tags(settings)


if __name__ == "__main__":
    configure_process(load_settings())
    {"ingest": ingest, "tags": tags}[sys.argv[-1]](load_settings())
