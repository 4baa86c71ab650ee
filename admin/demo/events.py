"""The demo's event stream: pictures and tags, interleaved as a real site would send them, seeded.

In: the OpenMoji pictures. Out: a plan - which events in which order, which pictures are never tagged, which ten tags
come only in the second half - and the pictures' bytes.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from admin.openmoji import Picture, load_pictures, rasterise
from stream.events.schema import Event, ImagePosted, TagsApplied

HELD_OUT_SHARE = 0.2
LATE_TAGS = 10
LATE_TAG_PICTURES = (8, 40)  # a late tag is on this many training pictures: rare enough to be news, enough to measure
TAG_DELAY = (1, 40)  # events between a picture and its tags
TAG_EVENTS = (1, 1, 1, 2)  # most people tag a picture in one go
SIZE_PX = 224


@dataclass(frozen=True)
class Posted:
    """A picture as it is posted."""

    picture: Picture
    content: bytes
    media_type: str
    pixels: npt.NDArray[np.uint8]

    @property
    def tags(self) -> tuple[str, ...]:
        """English keywords and the Japanese name."""
        return (*self.picture.tags, self.picture.japanese) if self.picture.japanese else self.picture.tags


@dataclass
class Plan:
    """What will be streamed. `late` maps each late tag to the pictures that get it, in order."""

    posted: dict[str, Posted]
    held_out: list[str]
    late: dict[str, list[str]]
    events: list[Event]
    counts: Counter[str] = field(default_factory=Counter)  # of training pictures a tag


def prepare(limit: int | None, on_done: Callable[[int, int], None]) -> dict[str, Posted]:
    """Rasterise the pictures, one half as PNG, one half as JPEG."""
    pictures = load_pictures()[:limit]

    def one(numbered: tuple[int, Picture]) -> Posted:
        number, picture = numbered
        kind = "png" if number % 2 == 0 else "jpeg"
        content = rasterise(picture, SIZE_PX, "png" if kind == "png" else "jpeg")
        decoded = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        if decoded is None:
            raise RuntimeError(f"{picture.image_id}: not rasterised")
        return Posted(picture, content, f"image/{kind}", np.ascontiguousarray(decoded[:, :, ::-1]).astype(np.uint8))

    posted: dict[str, Posted] = {}
    with ThreadPoolExecutor(2) as pool:
        for done in pool.map(one, enumerate(pictures)):
            posted[done.picture.image_id] = done
            on_done(len(posted), len(pictures))
    return posted


def plan(posted: dict[str, Posted], seed: int) -> Plan:
    """Decide who is held out, which tags come late, and the order of events."""
    chance = random.Random(seed)
    order = sorted(posted)
    chance.shuffle(order)
    held_out = order[: round(HELD_OUT_SHARE * len(order))]
    training = order[len(held_out) :]
    chance.shuffle(order)
    counts: Counter[str] = Counter(tag for image_id in training for tag in set(posted[image_id].tags))
    late = _late_tags(counts, {i: posted[i].tags for i in training}, order, chance)
    events = _interleave(order, set(held_out), set(late), posted, chance)
    return Plan(posted, held_out, late, events, counts)


def _late_tags(
    counts: Counter[str], tags: dict[str, tuple[str, ...]], order: Sequence[str], chance: random.Random
) -> dict[str, list[str]]:
    low, high = LATE_TAG_PICTURES
    candidates = sorted(tag for tag, count in counts.items() if low <= count <= high)
    chosen = chance.sample(candidates, min(LATE_TAGS, len(candidates)))
    first_half = set(order[: len(order) // 2])
    order = sorted(order, key=lambda image_id: image_id not in first_half)  # those already there come first
    return {tag: [image_id for image_id in order if tag in tags.get(image_id, ())] for tag in chosen}


def _interleave(
    order: Sequence[str], held_out: set[str], late: set[str], posted: dict[str, Posted], chance: random.Random
) -> list[Event]:
    """Pictures in order; each one's tags some events later, in one or two events."""
    due: defaultdict[int, list[Event]] = defaultdict(list)
    for number, image_id in enumerate(order):
        item = posted[image_id]
        due[number].insert(0, ImagePosted(image_id=image_id, content=item.content, media_type=item.media_type))
        tags = [tag for tag in item.tags if tag not in late]
        if image_id in held_out or not tags:
            continue
        chance.shuffle(tags)
        parts = min(len(tags), chance.choice(TAG_EVENTS))
        for part in range(parts):
            at = number + chance.randint(*TAG_DELAY)
            by = f"person {chance.randint(1, 50)}"
            due[at].append(TagsApplied(image_id=image_id, tags=tuple(tags[part::parts]), by=by))
    return [event for number in sorted(due) for event in due[number]]
