"""Every metric of mekiki, in one typed list; docs/operations.md includes this file.

Names follow https://prometheus.io/docs/practices/naming/.
"""

import math
from collections.abc import Mapping

from prometheus_client import Counter, Gauge, Histogram

RECORDS = Counter("mekiki_records_total", "Log records handled, by topic and outcome", ["topic", "outcome"])
IMAGES_CUT = Counter("mekiki_images_cut_total", "Images whose objects were written to the object index")
OBJECTS_BEHIND = Gauge(
    "mekiki_objects_behind", "Records of images.v1 that the objects worker has read and not used yet"
)
IMAGES_INDEXED = Counter("mekiki_images_indexed_total", "Images written to the index")
EXAMPLES = Counter("mekiki_examples_total", "Training examples, by outcome (learned, repeated)", ["outcome"])
DRIFTS = Counter("mekiki_tag_drifts_total", "Tags whose progressive loss rose; each is posted on the drift topic")
TAGS_COLD = Gauge("mekiki_tags_cold", "Rare tags that wait on disk beyond the budget of tags in memory")
TAG_OPERATIONS = Counter(
    "mekiki_tag_operations_total", "Operations on tags, by outcome (done, refused, repeated)", ["kind", "outcome"]
)
STAGE_SECONDS = Counter("mekiki_stage_seconds_total", "Busy time of an ingest step", ["stage"])
QUEUED_BYTES = Gauge("mekiki_queued_bytes", "Encoded picture bytes waiting inside the ingest worker")
SLOW_PICTURES = Gauge("mekiki_slow_pictures", "Pictures that take their own time and wait for their decoding")
UNREADABLE = Gauge(
    "mekiki_unreadable", "1 while a partition stands at a batch that cannot be read", ["topic", "partition"]
)
STALLED = Gauge("mekiki_stalled_partitions", "Partitions with unread records and no progress, by topic", ["topic"])
PAIRS = Counter("mekiki_pairs_total", "Preference pairs learned by the ranker")
MODEL_VERSION = Gauge("mekiki_model_version", "Version of the model in use", ["model"])
TAGS_KNOWN = Gauge("mekiki_tags_known", "Tags the learner knows")
TAG_QUALITY = Gauge("mekiki_tag_quality", "Prequential quality of the tag learner", ["metric"])
REQUESTS = Counter("mekiki_requests_total", "Search API requests", ["route", "status"])
REQUEST_SECONDS = Histogram(
    "mekiki_request_seconds", "Search API latency", ["route"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0),
)  # fmt: skip


def show_quality(figures: Mapping[str, float]) -> None:
    """Set the gauges of the tag learner's quality, where there is a figure already."""
    for name, value in figures.items():
        if math.isfinite(value):
            TAG_QUALITY.labels(name).set(value)
