"""`mekiki demo`: the whole loop on real pictures, embedded; prints what it measured."""

from __future__ import annotations

import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.progress import Progress

from admin.connect import Api
from admin.console import out, progress, write_json
from admin.demo.events import Plan, Posted
from admin.demo.taste import Pair
from admin.operators.embedded import EmbeddedService
from models.encoders.base import Encoder
from models.errors import InfrastructureError
from stream.environment import load_settings
from stream.events.codec import encode
from stream.events.schema import ImagePosted, TagsApplied
from stream.index.contract import VectorIndex
from stream.log.produce import LogWriter
from stream.settings import Settings

SEED = 20240229
IN_FLIGHT = 192  # pictures posted ahead of the index: the pipeline is full, and nobody waits long
LOOK_S = 0.3  # between two looks at the index: a look costs the service the cores that are being measured
LAST = 48  # pictures, a batch, before the end; the end is measured, so that it is looked for ...
LAST_LOOK_S = 0.03  # ... as often as this
TRICKLE = 40
TRAINING_PAIRS = 3_000
HELD_OUT_PAIRS = 1_000
SEARCHES = 200
BENCH_IMAGES = 256
BENCH_BATCH = 32

Report = dict[str, Any]


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command()(demo)


def demo(
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
    sheet: Annotated[Path | None, typer.Option(help="Draw a contact sheet into this PNG.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Keep index and state here; otherwise nothing stays.")] = None,
    pictures: Annotated[int | None, typer.Option(min=200, help="Stream only so many pictures.")] = None,
    seed: Annotated[int, typer.Option(help="Of the order of events and of the clicks.")] = SEED,
) -> None:
    """Stream the OpenMoji pictures with tags and simulated clicks through the whole service, and measure it."""
    from stream.process import configure_process

    kept = nullcontext(str(data_dir)) if data_dir is not None else tempfile.TemporaryDirectory(prefix="mekiki-demo-")
    with kept as folder, progress() as bar:
        settings = load_settings(data_dir=Path(folder))
        settings = settings.model_copy(update={"serve": settings.serve.model_copy(update={"port": 0})})
        configure_process(settings)
        report, plan = _run(settings, bar, pictures, seed, sheet)
    if json_file is not None:
        write_json(json_file, report)
    from admin.demo.screen import show

    show(out, report, plan, sheet)


def _run(settings: Settings, bar: Progress, pictures: int | None, seed: int, sheet: Path | None) -> tuple[Report, Plan]:
    from admin.demo import events as demo_events
    from stream.process import tune_process
    from stream.workers import build_encoder, open_index

    task = bar.add_task("drawing pictures", total=None, note="OpenMoji, CC BY-SA 4.0")

    def drawn(done: int, total: int) -> None:
        bar.update(task, completed=done, total=total)

    posted = demo_events.prepare(pictures, drawn)
    plan = demo_events.plan(posted, seed)
    encoder = build_encoder(settings)
    with EmbeddedService(settings) as service:
        api, index = Api(service.settings), open_index(service.settings)
        writer = LogWriter(service.settings, "mekiki/demo")
        tune_process()
        try:
            report = _measure(_Run(service, api, index, writer, plan, bar, encoder, seed))
            if sheet is not None:
                from admin.demo.screen import draw

                draw(api, plan, sheet)
        finally:
            writer.close()
            index.close()
            api.close()
    return report, plan


class _Run:
    """One demo in progress."""

    def __init__(
        self,
        service: EmbeddedService,
        api: Api,
        index: VectorIndex,
        writer: LogWriter,
        plan: Plan,
        bar: Progress,
        encoder: Encoder,
        seed: int,
    ) -> None:
        self.service, self.api, self.index, self.writer = service, api, index, writer
        self.plan, self.bar, self.encoder, self.seed = plan, bar, encoder, seed

    def step(self, text: str, total: int, note: str = "") -> Callable[[], None]:
        """A new bar; call what comes back once per piece of work."""
        task = self.bar.add_task(text, total=total, note=note)
        return lambda: self.bar.advance(task)

    def indexed(self) -> int:
        """Images in the index now, by the index itself: through the API it costs the cores three times as much."""
        return self.index.count()


def _measure(run: _Run) -> Report:
    from admin.demo import measure

    pixels = np.stack([item.pixels for item in list(run.plan.posted.values())[:BENCH_IMAGES]])

    def bare_encoder(text: str) -> float:
        done = run.step(text, measure.ENCODER_PASSES)
        return measure.encoder_rate(run.encoder, pixels, BENCH_BATCH, done)

    before = bare_encoder("the encoder alone")
    streamed = _stream(run)
    after = bare_encoder("the encoder alone, again")
    encoder_rate = statistics.harmonic_mean([before, after])  # as many pictures each time
    chance = random.Random(run.seed)
    items = list(run.plan.posted.values())
    trickled = measure.trickle(run.api, run.writer, chance.sample(items, TRICKLE), run.step("one at a time", TRICKLE))
    done = run.step("judging held-out pictures", len(run.plan.held_out))
    heldout = measure.held_out_quality(run.api, run.plan, done)
    tags_known = int(run.api.get("/v1/status")["tags"])
    ranker = _clicks(run)
    searches = chance.sample(items, min(SEARCHES, len(items)))
    searched = measure.search_latencies(run.api, searches, run.step("searching", len(searches)))
    rate = streamed["images_posted"] / streamed["seconds"]
    return {
        "images_posted": streamed["images_posted"],
        "images_indexed": streamed["images_indexed"],
        "dead_letters": streamed["dead_letters"],
        "dead_letters_planted": streamed["planted"],
        "seconds": round(streamed["seconds"], 2),
        "images_per_second": round(rate, 1),
        "encoder_images_per_second": round(encoder_rate, 1),
        "ingest_over_encoder": round(rate / encoder_rate, 3),
        "post_to_searchable_ms": measure.percentiles(trickled),
        "tags_known": tags_known,
        "heldout": heldout,
        "new_tag": streamed["new_tag"],
        "ranker": ranker,
        "search_ms": measure.percentiles(searched),
        "device": run.encoder.device,
        "seed": run.seed,
    }


def _stream(run: _Run) -> dict[str, Any]:
    """Post everything, never far ahead of the index; the late tags come from the middle on."""
    from admin.demo import measure
    from admin.operators.dlq import read_all

    plan, writer = run.plan, run.writer
    images = sum(isinstance(event, ImagePosted) for event in plan.events)
    task = run.bar.add_task("streaming", total=images, note="")
    indexed_ids: set[str] = set()
    posted_ids: list[str] = []
    late = measure.LateTags(
        Api(run.service.settings), LogWriter(run.service.settings, "mekiki/demo"), plan, indexed_ids
    )
    planted = _plant(writer)
    ready = [(event, encode(event, source="mekiki/demo")) for event in plan.events]
    started_s = time.perf_counter()
    pause = threading.Event()
    indexed = 0

    def look() -> int:
        found = run.indexed()
        indexed_ids.update(posted_ids[: max(0, found - IN_FLIGHT // 2)])  # partitions finish out of order
        run.bar.update(task, completed=found, note=f"{found / (time.perf_counter() - started_s):.0f} images/s")
        return found

    def has_room() -> bool:
        nonlocal indexed
        indexed = look()
        return len(posted_ids) - indexed < IN_FLIGHT

    for event, (key, value, headers) in ready:
        writer.send(event.topic, key, value, headers)
        if isinstance(event, ImagePosted):
            posted_ids.append(event.image_id)
            if len(posted_ids) - indexed >= IN_FLIGHT:
                writer.flush()
                pause.wait(LOOK_S)
                measure.wait_until(has_room, "indexing", 300, poll_s=LOOK_S)
            if len(posted_ids) == images // 2:
                late.start()
    writer.flush()
    measure.wait_until(lambda: look() >= images - LAST, "indexing", 300, poll_s=LOOK_S / 3)
    measure.wait_until(lambda: look() >= images, "indexing everything", 300, poll_s=LAST_LOOK_S)
    seconds = time.perf_counter() - started_s
    indexed_ids.update(posted_ids)
    late.join(timeout=300)
    if late.failure is not None or late.is_alive():
        raise InfrastructureError(f"demo: the late tags were not learned ({late.failure}); see the logs folder")
    _settle(run)
    hits = list(late.events_to_first_hit.values())
    found = [hit for hit in hits if hit is not None]
    return {
        "images_posted": images,
        "images_indexed": int(run.api.get("/v1/status")["images"]),
        "dead_letters": len(read_all(run.service.settings)),
        "planted": planted,
        "seconds": seconds,
        "new_tag": {
            "tags": len(hits),
            "searchable": len(late.ms_to_searchable),
            "hit": len(found),
            "events_to_first_hit": {"p50": float(np.median(found)) if found else None, "each": hits},
            "ms_to_searchable": measure.percentiles(late.ms_to_searchable)
            | {"each": [round(ms) for ms in late.ms_to_searchable]},
        },
    }


def _plant(writer: LogWriter) -> int:
    """Three records that must become dead letters."""
    writer.send_event(ImagePosted(image_id="planted-1", content=b"this is no picture"))
    writer.send_event(TagsApplied(image_id="planted-2-never-posted", tags=("ghost",)))
    writer.send("images", b"planted-3", b"{", [("content-type", b"application/json")])
    writer.flush()
    return 3


def _settle(run: _Run) -> None:
    """Wait until the tag learner has seen everything and serves it."""
    from admin.demo.measure import wait_until
    from admin.operators.status import lags

    def caught_up() -> bool:
        found = lags(run.service.settings)
        return all(found[topic]["records"] == 0 for topic in ("images", "tags", "examples"))

    wait_until(caught_up, "learning the last tags", 120, poll_s=0.2)


def _clicks(run: _Run) -> dict[str, Any]:
    from admin.demo import measure
    from admin.demo.taste import click_pairs, taste_of

    held_out = set(run.plan.held_out)
    tastes = {image_id: _taste(taste_of, item) for image_id, item in run.plan.posted.items()}
    known = {image_id: taste for image_id, taste in tastes.items() if image_id not in held_out}
    unseen = {image_id: taste for image_id, taste in tastes.items() if image_id in held_out}
    training = click_pairs(known, TRAINING_PAIRS, seed=run.seed)
    test: list[Pair] = click_pairs(unseen, HELD_OUT_PAIRS, seed=run.seed + 1, random_share=0.0)
    before = measure.pair_accuracy(run.api, test)
    done = run.step("clicking by a hidden taste", 1, note=f"{TRAINING_PAIRS} pairs, one in ten at random")
    measure.click_and_learn(run.api, run.writer, training)
    done()
    after = measure.pair_accuracy(run.api, test)
    return {"pairs": len(training), "pair_accuracy_before": before, "pair_accuracy_after": after}


def _taste(judge: Callable[..., float], item: Posted) -> float:
    return judge(item.picture.tags, item.pixels)
