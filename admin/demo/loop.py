"""The whole loop, embedded: the encoder alone, the stream, single pictures, quality, clicks, searches.

In: a plan of events. Out: the report, as `mekiki demo --json` writes it. Raises InfrastructureError when the service
does not get on within its deadlines.
"""

import random
import statistics
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress

from admin.connect import Api
from admin.demo import clicks, measure
from admin.demo.events import Plan
from admin.demo.screen import draw
from admin.demo.session import SOURCE, Session
from admin.demo.streaming import stream_everything
from admin.operators.embedded import EmbeddedService
from stream.build import build_encoder, open_index
from stream.log.produce import LogWriter
from stream.process import tune_process
from stream.settings import Settings

TRICKLE = 40
SEARCHES = 200
BENCH_IMAGES = 256
BENCH_BATCH = 32

Report = dict[str, Any]


def run(settings: Settings, plan: Plan, bar: Progress, *, seed: int, sheet: Path | None) -> Report:
    """Start the service, measure, draw the contact sheet if one is wanted, and stop the service."""
    encoder = build_encoder(settings)
    with (
        EmbeddedService(settings) as service,
        closing(Api(service.settings)) as api,
        closing(open_index(service.settings)) as index,
        closing(LogWriter(service.settings, SOURCE)) as writer,
    ):
        tune_process(settings.blas_threads)
        report = _measure(Session(service.settings, api, index, writer, plan, encoder, bar, seed))
        if sheet is not None:
            draw(api, plan, sheet)
    return report


def _measure(session: Session) -> Report:
    plan = session.plan
    pixels = np.stack([item.pixels for item in list(plan.posted.values())[:BENCH_IMAGES]])

    def bare_encoder(text: str) -> float:
        passes = session.track(text, range(measure.ENCODER_PASSES))
        return measure.encoder_rate(session.encoder, pixels, BENCH_BATCH, passes)

    before = bare_encoder("the encoder alone")
    rate, streamed = stream_everything(session)
    after = bare_encoder("the encoder alone, again")
    encoder_rate = statistics.harmonic_mean([before, after])  # as many pictures each time
    chance = random.Random(session.seed)
    items = list(plan.posted.values())
    alone = session.track("one at a time", chance.sample(items, TRICKLE))
    trickled = measure.trickle(session.api, session.writer, alone)
    held_out = session.track("evaluating held-out pictures", plan.held_out)
    heldout = measure.held_out_quality(session.api, plan, held_out)
    tags_known = int(session.api.get("/v1/status")["tags"])
    ranker = clicks.click_by_taste(session)
    searches = chance.sample(items, min(SEARCHES, len(items)))
    searched = measure.search_latencies(session.api, session.track("searching", searches))
    return {
        **streamed,
        "images_per_second": round(rate, 1),
        "encoder_images_per_second": round(encoder_rate, 1),
        "ingest_over_encoder": round(rate / encoder_rate, 3),
        "post_to_searchable_ms": measure.percentiles(trickled),
        "tags_known": tags_known,
        "heldout": heldout,
        "ranker": ranker,
        "search_ms": measure.percentiles(searched),
        "device": session.encoder.device,
        "seed": session.seed,
    }
