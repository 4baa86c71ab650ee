"""What the demo measures of the running service, over Kafka and HTTP alone."""

import functools
import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from admin.connect import Api
from admin.demo.events import Plan, Posted
from admin.demo.session import wait_until
from admin.openmoji import rasterise
from models.encoders.base import Encoder, Images
from models.evaluate import ranking_figures
from stream.events.schema import ImagePosted
from stream.log.produce import LogWriter

MIN_PICTURES = 5  # a tag is evaluated from this many training pictures on
ENCODER_PASSES = 5  # before the stream and after it: together about as long as the stream itself


def percentiles(values_ms: Sequence[float]) -> dict[str, float]:
    """p50 and p95."""
    return {"p50": round(float(np.percentile(values_ms, 50)), 1), "p95": round(float(np.percentile(values_ms, 95)), 1)}


def encoder_rate(encoder: Encoder, pixels: Images, batch: int, passes: Iterable[int] = range(1)) -> float:
    """Images per second of the bare encoder, after a warm-up.

    All of the passes, slow seconds and fast ones, as the rate of the stream has them: one differs from the next by 6 %
    on a shared machine.
    """
    encoder.embed(pixels[:batch])
    started_s, images = time.perf_counter(), 0
    for _ in passes:
        for start in range(0, len(pixels), batch):
            encoder.embed(pixels[start : start + batch])
        images += len(pixels)
    return images / (time.perf_counter() - started_s)


def trickle(api: Api, writer: LogWriter, posted: Iterable[Posted]) -> list[float]:
    """Post pictures one at a time; milliseconds from the post to being searchable."""
    latencies = []
    for number, item in enumerate(posted):
        image_id = f"trickle-{number}"
        content = rasterise(item.picture, 200, "png")
        started_s = time.perf_counter()
        writer.send_event(ImagePosted(image_id=image_id, content=content, media_type="image/png"))
        writer.flush()
        wait_until(functools.partial(api.get, f"/v1/search/id/{image_id}", limit=1), f"indexing {image_id}")
        latencies.append((time.perf_counter() - started_s) * 1000)
    return latencies


def held_out_quality(api: Api, plan: Plan, held_out: Iterable[str]) -> dict[str, Any]:
    """LRAP, mAP and P@5 of the predicted tags of held-out pictures, which were posted without tags."""
    evaluated = sorted(tag for tag, count in plan.counts.items() if count >= MIN_PICTURES)
    column = {tag: number for number, tag in enumerate(evaluated)}
    truth, scores = [], []
    for image_id in held_out:
        item = plan.posted[image_id]
        wanted = [column[tag] for tag in set(item.tags) if tag in column]
        if not wanted:
            continue
        answer = api.post("/v1/predict", content=item.content, limit=100_000, min_images=MIN_PICTURES)
        row = np.zeros(len(evaluated))
        for predicted in answer["tags"]:
            if predicted["tag"] in column:
                row[column[predicted["tag"]]] = predicted["probability"]
        scores.append(row)
        truth.append(np.isin(np.arange(len(evaluated)), wanted))
    y_true, y_score = np.array(truth), np.array(scores)
    figures = {name: round(value, 4) for name, value in ranking_figures(y_true, y_score).items()}
    return figures | {"images": len(truth), "tags": int(y_true.any(axis=0).sum())}


def search_latencies(api: Api, posted: Iterable[Posted]) -> list[float]:
    """Milliseconds of a similar-image search by uploaded picture, over HTTP."""
    latencies = []
    for item in posted:
        started_s = time.perf_counter()
        api.post("/v1/search/image", content=item.content, limit=20)
        latencies.append((time.perf_counter() - started_s) * 1000)
    return latencies
