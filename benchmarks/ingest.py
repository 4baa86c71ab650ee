"""I1: images per second from the log to the index, embedded, beside the bare encoder before and after in one run."""

import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from admin.connect import Api
from admin.demo.measure import encoder_rate
from admin.operators.embedded import EmbeddedService
from benchmarks.drawings import drawing, encoded
from models.encoders import load_encoder
from stream.environment import load_settings
from stream.events.schema import ImagePosted, TagsApplied
from stream.log.produce import LogWriter
from stream.process import configure_process

POLL_S = 0.1
DEADLINE_S = 600.0


def run(images: int) -> dict[str, Any]:
    """Post everything at once and wait until the index has it."""
    with tempfile.TemporaryDirectory(prefix="mekiki-bench-") as folder:
        settings = load_settings(data_dir=Path(folder), serve={"port": 0})
        configure_process(settings)
        encoder = load_encoder(cache_dir=settings.cache_path)
        contents = [encoded(seed) for seed in range(images)]
        pixels = np.stack([drawing(seed) for seed in range(128)])
        with EmbeddedService(settings) as service:
            bare = [encoder_rate(encoder, pixels, 32)]
            seconds = _stream(service, contents)
            bare.append(encoder_rate(encoder, pixels, 32))
    rate, bare_rate = images / seconds, statistics.mean(bare)
    return {
        "id": "I1",
        "images": images,
        "images_per_second": round(rate, 1),
        "encoder_images_per_second": round(bare_rate, 1),
        "ingest_over_encoder": round(rate / bare_rate, 3),
    }


def _stream(service: EmbeddedService, contents: list[bytes]) -> float:
    with closing(Api(service.settings)) as api, closing(LogWriter(service.settings, "mekiki/bench")) as writer:
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
        return time.perf_counter() - started_s
