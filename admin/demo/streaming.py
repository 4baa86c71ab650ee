"""The stream: all pictures and tags, never far ahead of the index; the late tags come from the middle on."""

import threading
import time
from dataclasses import dataclass, field
from typing import Any

from admin.connect import Api
from admin.demo.late_tags import LateTags
from admin.demo.session import SOURCE, Session, wait_until
from admin.operators.dlq import read_all
from admin.operators.status import lags
from models.errors import InfrastructureError
from stream.events.codec import encode
from stream.events.schema import ImagePosted, TagsApplied
from stream.log.produce import LogWriter

IN_FLIGHT = 192  # pictures posted ahead of the index: the pipeline is full, and nobody waits long
LOOK_S = 0.3  # between two looks at the index: a look costs the service the cores that are being measured
LAST = 48  # pictures, a batch, before the end; the end is measured, so that it is looked for ...
LAST_LOOK_S = 0.03  # ... as often as this
DEADLINE_S = 300.0


@dataclass
class _Flow:
    """Pictures posted and indexed so far. `indexed_ids` is read by the thread of the late tags, which only looks."""

    session: Session
    images: int
    task: Any
    started_s: float = field(default_factory=time.perf_counter)
    posted_ids: list[str] = field(default_factory=list)
    indexed_ids: set[str] = field(default_factory=set)
    indexed: int = 0

    def look(self) -> int:
        """Images in the index now, by the index itself: through the API it costs the cores three times as much."""
        self.indexed = self.session.index.count()
        self.indexed_ids.update(self.posted_ids[: max(0, self.indexed - IN_FLIGHT // 2)])  # partitions are unordered
        rate = self.indexed / (time.perf_counter() - self.started_s)
        self.session.bar.update(self.task, completed=self.indexed, note=f"{rate:.0f} images/s")
        return self.indexed

    def has_room(self) -> bool:
        """Whether another picture may be posted."""
        return len(self.posted_ids) - self.look() < IN_FLIGHT


def stream_everything(session: Session) -> tuple[float, dict[str, Any]]:
    """Post the plan's events and wait until all is indexed and learned: images a second, and figures for the report.

    Raises:
        InfrastructureError: it is not within the deadline, or a late tag was not learned.
    """
    plan, writer = session.plan, session.writer
    images = sum(isinstance(event, ImagePosted) for event in plan.events)
    planted = _plant(writer)
    ready = [(event, encode(event, source=SOURCE)) for event in plan.events]
    flow = _Flow(session, images, session.bar.add_task("streaming", total=images, note=""))
    late = LateTags(Api(session.settings), LogWriter(session.settings, SOURCE), plan, flow.indexed_ids)
    pause = threading.Event()
    for event, (key, value, headers) in ready:
        writer.send(event.topic, key, value, headers)
        if not isinstance(event, ImagePosted):
            continue
        flow.posted_ids.append(event.image_id)
        if len(flow.posted_ids) - flow.indexed >= IN_FLIGHT:
            writer.flush()
            pause.wait(LOOK_S)
            wait_until(flow.has_room, "indexing", DEADLINE_S, poll_s=LOOK_S)
        if len(flow.posted_ids) == images // 2:
            late.start()
    writer.flush()
    wait_until(lambda: flow.look() >= images - LAST, "indexing", DEADLINE_S, poll_s=LOOK_S / 3)
    wait_until(lambda: flow.look() >= images, "indexing everything", DEADLINE_S, poll_s=LAST_LOOK_S)
    seconds = time.perf_counter() - flow.started_s
    flow.indexed_ids.update(flow.posted_ids)
    late.join(timeout=DEADLINE_S)
    if late.failure is not None or late.is_alive():
        raise InfrastructureError(f"demo: the late tags were not learned ({late.failure}); see the logs folder")
    wait_until(lambda: _is_learned(session), "learning the last tags", 120, poll_s=0.2)
    indexed = int(session.api.get("/v1/status")["images"])
    return images / seconds, {
        "images_posted": images,
        "images_indexed": indexed,
        "dead_letters": len(read_all(session.settings)),
        "dead_letters_planted": planted,
        "seconds": round(seconds, 2),
        "new_tag": late.figures(),
    }


def _plant(writer: LogWriter) -> int:
    """Three records that must become dead letters."""
    writer.send_event(ImagePosted(image_id="planted-1", content=b"this is no picture"))
    writer.send_event(TagsApplied(image_id="planted-2", tags=("a sentence is no tag " * 9,)))
    writer.send("images", b"planted-3", b"{", [("content-type", b"application/json")])
    writer.flush()
    return 3


def _is_learned(session: Session) -> bool:
    """The tag learner has read everything."""
    found = lags(session.settings)
    return all(found[topic]["records"] == 0 for topic in ("images", "operations", "examples"))
