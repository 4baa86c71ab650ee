"""I1: images per second from the log to the index, embedded, beside the bare encoder before and after in one run."""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from admin.connect import Api
from admin.operators.embedded import EmbeddedService
from benchmarks.drawings import drawing, encoded
from models.encoders import load_encoder
from models.encoders.base import Encoder
from stream.environment import load_settings
from stream.events.schema import ImagePosted, TagsApplied
from stream.log.produce import LogWriter
from stream.process import configure_process

POLL_S = 0.1
DEADLINE_S = 600.0


def run(images: int) -> dict[str, Any]:
    """Post everything at once and wait until the index has it."""
    with tempfile.TemporaryDirectory(prefix="mekiki-bench-") as folder:
        settings = load_settings(data_dir=Path(folder))
        settings = settings.model_copy(update={"serve": settings.serve.model_copy(update={"port": 0})})
        configure_process(settings)
        encoder = load_encoder(cache_dir=settings.cache_path)
        contents = [encoded(seed) for seed in range(images)]
        pixels = np.stack([drawing(seed) for seed in range(128)])
        with EmbeddedService(settings) as service:
            bare = [_bare(encoder, pixels)]
            seconds = _stream(service, contents)
            bare.append(_bare(encoder, pixels))
    rate, encoder_rate = images / seconds, statistics.mean(bare)
    return {
        "id": "I1",
        "images": images,
        "images_per_second": round(rate, 1),
        "encoder_images_per_second": round(encoder_rate, 1),
        "ingest_over_encoder": round(rate / encoder_rate, 3),
    }


def _bare(encoder: Encoder, pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> float:
    encoder.embed(pixels[:32])
    started_s = time.perf_counter()
    for start in range(0, len(pixels), 32):
        encoder.embed(pixels[start : start + 32])
    return len(pixels) / (time.perf_counter() - started_s)


def _stream(service: EmbeddedService, contents: list[bytes]) -> float:
    api, writer = Api(service.settings), LogWriter(service.settings, "mekiki/bench")
    started_s = time.perf_counter()
    for number, content in enumerate(contents):
        writer.send_event(ImagePosted(image_id=f"bench-{number}", content=content))
        if number % 4 == 0:
            writer.send_event(TagsApplied(image_id=f"bench-{number}", tags=(f"tag {number % 100}", "bench")))
    writer.flush()
    while int(api.get("/v1/status")["images"]) < len(contents):
        if time.perf_counter() - started_s > DEADLINE_S:
            raise TimeoutError("bench: not everything was indexed in time; see the logs folder")
        time.sleep(POLL_S)
    writer.close()
    api.close()
    return time.perf_counter() - started_s
