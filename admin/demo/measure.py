"""What the demo measures of the running service, over Kafka and HTTP alone."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from admin.connect import Api
from admin.demo.events import Plan, Posted
from admin.demo.openmoji import rasterise
from admin.demo.taste import Pair
from models.encoders.base import Encoder
from models.errors import InfrastructureError, NotFoundError
from models.evaluate import label_ranking_average_precision, macro_average_precision, precision_at
from models.ranking.ranknet import LAST_BLOCK
from stream.events.schema import ImagePosted, PairClicked, TagsApplied
from stream.log.produce import LogWriter

POLL_S = 0.01  # between two looks at the service while a latency is being measured
GENTLE_POLL_S = 0.1  # while the stream runs: looking costs the service the cores that are being measured ...
EARLIEST_S = 0.3  # ... and before this there is nothing to be seen
DEADLINE_S = 30.0
MIN_PICTURES = 5  # a tag is judged from this many training pictures on
HIT_AMONG = 10  # first results looked at
ENCODER_PASSES = 5  # before the stream and after it: together about as long as the stream itself
SINGLE_EVENTS = 10  # events of a late tag that are posted singly


def percentiles(values_ms: Sequence[float]) -> dict[str, float]:
    """p50 and p95."""
    return {"p50": round(float(np.percentile(values_ms, 50)), 1), "p95": round(float(np.percentile(values_ms, 95)), 1)}


def encoder_rate(encoder: Encoder, pixels: npt.NDArray[np.uint8], batch: int, done: Callable[[], None]) -> float:
    """Images per second of the bare encoder, after a warm-up.

    All of `ENCODER_PASSES`, slow seconds and fast ones, as the rate of the stream has them: one pass differs from the
    next by 6 % on a shared machine.
    """
    encoder.embed(pixels[:batch])
    started_s = time.perf_counter()
    for _ in range(ENCODER_PASSES):
        for start in range(0, len(pixels), batch):
            encoder.embed(pixels[start : start + batch])
        done()
    return ENCODER_PASSES * len(pixels) / (time.perf_counter() - started_s)


def wait_until(
    condition: Callable[[], bool],
    what: str,
    deadline_s: float = DEADLINE_S,
    *,
    poll_s: float = POLL_S,
    earliest_s: float = 0.0,
) -> float:
    """Milliseconds until the condition holds; looked for from `earliest_s` on, every `poll_s`.

    Raises:
        InfrastructureError: it does not within the deadline.
    """
    started_s = time.perf_counter()
    pause = threading.Event()
    pause.wait(earliest_s)
    while True:
        if condition():
            return (time.perf_counter() - started_s) * 1000
        if time.perf_counter() - started_s > deadline_s:
            raise InfrastructureError(f"demo: {what} did not happen within {deadline_s:.0f} s; see the logs folder")
        pause.wait(poll_s)


def is_searchable(api: Api, image_id: str) -> bool:
    """The image is found by a search of its own neighbourhood."""
    try:
        api.get(f"/v1/search/id/{quote(image_id)}", limit=1)
    except NotFoundError:
        return False
    return True


def trickle(api: Api, writer: LogWriter, posted: Sequence[Posted], on_done: Callable[[], None]) -> list[float]:
    """Post pictures one at a time; milliseconds from the post to being searchable."""
    latencies = []
    for number, item in enumerate(posted):
        image_id = f"trickle-{number}"
        content = rasterise(item.picture, 200, "png")
        started_s = time.perf_counter()
        writer.send_event(ImagePosted(image_id=image_id, content=content, media_type="image/png"))
        writer.flush()
        wait_until(lambda i=image_id: is_searchable(api, i), f"indexing {image_id}")  # type: ignore[misc]
        latencies.append((time.perf_counter() - started_s) * 1000)
        on_done()
    return latencies


class LateTags(threading.Thread):
    """Introduces the late tags while the stream runs, one event at a time, and watches them become searchable."""

    def __init__(self, api: Api, writer: LogWriter, plan: Plan, posted_ids: set[str]) -> None:
        super().__init__(name="late tags", daemon=True)
        self._api = api
        self._writer = writer
        self._plan = plan
        self._there = posted_ids
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

    def _introduce(self, tag: str) -> None:
        pictures = self._plan.late[tag]
        ready = [image_id for image_id in pictures if image_id in self._there][:SINGLE_EVENTS]
        self.events_to_first_hit[tag] = None
        for number, image_id in enumerate(ready, start=1):
            self._post(image_id, tag)
            learned = functools.partial(self._has_learned, tag, number)
            waited_ms = wait_until(learned, f"learning {tag!r}", poll_s=GENTLE_POLL_S, earliest_s=EARLIEST_S)
            if number == 1:
                self.ms_to_searchable.append(waited_ms)
            if self.events_to_first_hit[tag] is None and self._hit(tag, set(ready[:number])):
                self.events_to_first_hit[tag] = number
                break
        done = set(ready[:number]) if ready else set()
        for image_id in pictures:
            if image_id not in done:
                wait_until(lambda i=image_id: i in self._there, f"posting {image_id}", 120)  # type: ignore[misc]
                self._post(image_id, tag, flush=False)
        self._writer.flush()

    def _has_learned(self, tag: str, pictures: int) -> bool:
        """A search by the tag answers, from so many pictures; the count is cheap and asked first."""
        try:
            if int(self._api.get(f"/v1/tags/{quote(tag, safe='')}")["count"]) < pictures:
                return False
            return bool(self._api.get("/v1/search/tag", tag=tag, limit=1)["results"])
        except NotFoundError:
            return False

    def _post(self, image_id: str, tag: str, *, flush: bool = True) -> None:
        self._writer.send_event(TagsApplied(image_id=image_id, tags=(tag,), by="a person with a new word"))
        if flush:
            self._writer.flush()

    def _hit(self, tag: str, tagged: set[str]) -> bool:
        """Among the first results is a picture that has the tag in truth, but that nobody has tagged with it yet."""
        page = self._api.get("/v1/search/tag", tag=tag, limit=HIT_AMONG + len(tagged))
        fresh = [r["image_id"] for r in page["results"] if r["image_id"] not in tagged][:HIT_AMONG]
        return any(tag in self._plan.posted[i].tags for i in fresh if i in self._plan.posted)


def held_out_quality(api: Api, plan: Plan, on_done: Callable[[], None]) -> dict[str, Any]:
    """LRAP, mAP and P@5 of the predicted tags of pictures nobody tagged."""
    judged = sorted(tag for tag, count in plan.counts.items() if count >= MIN_PICTURES)
    column = {tag: number for number, tag in enumerate(judged)}
    truth, scores = [], []
    for image_id in plan.held_out:
        item = plan.posted[image_id]
        wanted = [column[tag] for tag in set(item.tags) if tag in column]
        on_done()
        if not wanted:
            continue
        answer = api.post("/v1/predict", content=item.content, limit=100_000, min_images=MIN_PICTURES)
        row = np.zeros(len(judged))
        for predicted in answer["tags"]:
            if predicted["tag"] in column:
                row[column[predicted["tag"]]] = predicted["probability"]
        scores.append(row)
        truth.append(np.isin(np.arange(len(judged)), wanted))
    y_true, y_score = np.array(truth), np.array(scores)
    return {
        "lrap": round(label_ranking_average_precision(y_true, y_score), 4),
        "map": round(macro_average_precision(y_true, y_score), 4),
        "p_at_5": round(precision_at(y_true, y_score, 5), 4),
        "images": len(truth),
        "tags": int(y_true.any(axis=0).sum()),
    }


def pair_accuracy(api: Api, pairs: Sequence[Pair]) -> float:
    """Share of pairs the ranker orders as the person does; a tie counts one half."""
    ids = sorted({image_id for pair in pairs for image_id in (pair.preferred, pair.over)})
    scores: dict[str, float] = {}
    for start in range(0, len(ids), 500):
        for row in api.post("/v1/rank", json_body={"image_ids": ids[start : start + 500]})["ranked"]:
            scores[row["image_id"]] = row["score"]
    won = [np.sign(scores[pair.preferred] - scores[pair.over]) for pair in pairs]
    return round(float(np.mean([(sign + 1) / 2 for sign in won])), 4)


def click_and_learn(api: Api, writer: LogWriter, pairs: Sequence[Pair]) -> None:
    """Post clicks and wait until the published ranker has learned from them, but for an unfinished last block."""
    before = int(api.get("/v1/status")["pairs_seen"])
    for pair in pairs:
        writer.send_event(PairClicked(preferred=pair.preferred, over=pair.over, session_id="demo"))
    writer.flush()
    wait_until(
        lambda: int(api.get("/v1/status")["pairs_seen"]) > before + len(pairs) - LAST_BLOCK, "learning the clicks", 120
    )


def search_latencies(api: Api, posted: Sequence[Posted], on_done: Callable[[], None]) -> list[float]:
    """Milliseconds of a similar-image search by uploaded picture, over HTTP."""
    latencies = []
    for item in posted:
        started_s = time.perf_counter()
        api.post("/v1/search/image", content=item.content, limit=20)
        latencies.append((time.perf_counter() - started_s) * 1000)
        on_done()
    return latencies
