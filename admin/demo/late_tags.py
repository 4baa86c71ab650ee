"""Tags that are new in the middle of the stream: how soon they are searchable, and how soon they find pictures."""

import functools
import threading
from typing import Any
from urllib.parse import quote

import numpy as np

from admin.connect import Api
from admin.demo.events import Plan
from admin.demo.measure import percentiles
from admin.demo.session import wait_until
from stream.events.schema import TagsApplied
from stream.log.produce import LogWriter

POLL_S = 0.1  # while the stream runs: looking costs the service the cores that are being measured ...
EARLIEST_S = 0.3  # ... and before this there is nothing to be seen
HIT_AMONG = 10  # first results looked at
SINGLE_EVENTS = 10  # events of a late tag that are posted singly


class LateTags(threading.Thread):
    """Introduces the late tags while the stream runs, one event at a time, and watches them become searchable.

    The main thread fills `indexed_ids`; its other attributes are this thread's until it has ended.
    """

    def __init__(self, api: Api, writer: LogWriter, plan: Plan, indexed_ids: set[str]) -> None:
        super().__init__(name="late tags", daemon=True)
        self._api = api
        self._writer = writer
        self._plan = plan
        self._indexed_ids = indexed_ids
        self.ms_to_searchable: list[float] = []
        self.events_to_first_hit: dict[str, int | None] = {}
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Tag by tag."""
        try:
            for tag in self._plan.late:
                self._introduce(tag)
        except BaseException as error:  # noqa: BLE001 - raised again by the main thread
            self.failure = error

    def figures(self) -> dict[str, Any]:
        """What was measured, for the report; call it once the thread has ended."""
        hits = list(self.events_to_first_hit.values())
        found = [hit for hit in hits if hit is not None]
        return {
            "tags": len(hits),
            "searchable": len(self.ms_to_searchable),
            "hit": len(found),
            "events_to_first_hit": {"p50": float(np.median(found)) if found else None, "each": hits},
            "ms_to_searchable": percentiles(self.ms_to_searchable)
            | {"each": [round(ms) for ms in self.ms_to_searchable]},
        }

    def _introduce(self, tag: str) -> None:
        pictures = self._plan.late[tag]
        ready = [image_id for image_id in pictures if image_id in self._indexed_ids][:SINGLE_EVENTS]
        self.events_to_first_hit[tag] = None
        number = 0
        for number, image_id in enumerate(ready, start=1):
            self._post(image_id, tag)
            self._writer.flush()
            learned = functools.partial(self._has_learned, tag, number)
            waited_ms = wait_until(learned, f"learning {tag!r}", poll_s=POLL_S, earliest_s=EARLIEST_S)
            if number == 1:
                self.ms_to_searchable.append(waited_ms)
            if self._hit(tag, set(ready[:number])):
                self.events_to_first_hit[tag] = number
                break
        done = set(ready[:number])
        for image_id in pictures:
            if image_id not in done:
                wait_until(functools.partial(self._indexed_ids.__contains__, image_id), f"posting {image_id}", 120)
                self._post(image_id, tag)
        self._writer.flush()

    def _has_learned(self, tag: str, pictures: int) -> bool:
        """A search by the tag answers, from so many pictures; the count is cheap and asked first."""
        if int(self._api.get(f"/v1/tags/{quote(tag, safe='')}")["count"]) < pictures:
            return False
        return bool(self._api.get("/v1/search/tag", tag=tag, limit=1)["results"])

    def _post(self, image_id: str, tag: str) -> None:
        self._writer.send_event(TagsApplied(image_id=image_id, tags=(tag,), by="a person with a new word"))

    def _hit(self, tag: str, tagged: set[str]) -> bool:
        """Among the first results is a picture that has the tag in truth, but that nobody has tagged with it yet."""
        page = self._api.get("/v1/search/tag", tag=tag, limit=HIT_AMONG + len(tagged))
        fresh = [r["image_id"] for r in page["results"] if r["image_id"] not in tagged][:HIT_AMONG]
        return any(tag in self._plan.posted[i].tags for i in fresh if i in self._plan.posted)
