"""C1: which pictures count as near duplicates, on the demo's drawings.

Comes in: how many drawings copies are made of. Goes out: recall on copies by kind; of pairs of different drawings that
are marked, the share that looks the same: whose mean difference at 64 x 64 is at most 12 of 255, one laid onto the part
of the other that fits it best.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from admin.openmoji import load_pictures, rasterise
from models.encoders.base import Encoder
from models.look import Look, are_near, look_of, read_look
from models.preprocess import fit_square
from search.duplicates import AGREE
from stream.build import build_encoder
from stream.environment import load_settings

VISIBLE = 12.0  # of 255, mean over all pixels
SMALL_PX = 64
CUTS_PX = (0, 2, 3, 5)  # of a small picture's rim, tried where two are laid onto each other
Pixels = NDArray[np.uint8]


def run(originals: int) -> dict[str, Any]:
    """Recall by kind of copy, marked pairs and their precision: by looks alone, and where embeddings agree as well."""
    encoder = build_encoder(load_settings({}))
    images = [_decoded(rasterise(picture)) for picture in load_pictures()]
    looks = [_look(image) for image in images]
    found: dict[str, list[tuple[bool, bool]]] = {}
    for number in np.random.default_rng(5).choice(len(images), originals, replace=False):
        kinds, copies = zip(*_copies(images[number]), strict=True)
        cosines = _embedded(encoder, copies) @ _embedded(encoder, [images[number]])[0]
        for kind, copy, cosine in zip(kinds, copies, cosines, strict=True):
            near = are_near(_look(copy), looks[number])
            found.setdefault(kind, []).append((near, near and cosine >= AGREE))
    marked = [(a, b) for a, b in itertools.combinations(range(len(looks)), 2) if _plausible(looks[a], looks[b])]
    marked = [(a, b) for a, b in marked if are_near(looks[a], looks[b])]
    same = np.array([_difference(images[a], images[b]) <= VISIBLE for a, b in marked], bool)
    agree = np.array([_cosine(encoder, images[a], images[b]) >= AGREE for a, b in marked], bool)
    return {
        "by looks alone": _summary(found, 0, same),
        "embeddings agree as well": _summary(found, 1, same[agree]),
    }


def _summary(found: dict[str, list[tuple[bool, bool]]], way: int, same: NDArray[np.bool_]) -> dict[str, Any]:
    by_kind = {kind: [one[way] for one in ones] for kind, ones in found.items()}
    return {
        "recall": round(float(np.mean(list(itertools.chain(*by_kind.values())))), 4),
        "by kind": {kind: round(float(np.mean(ones)), 3) for kind, ones in by_kind.items()},
        "pairs marked": len(same),
        "precision": round(float(np.mean(same)), 4) if len(same) else None,
    }


def _embedded(encoder: Encoder, images: Sequence[Pixels]) -> NDArray[np.float32]:
    return encoder.embed(np.stack([fit_square(image) for image in images]))


def _cosine(encoder: Encoder, one: Pixels, other: Pixels) -> float:
    first, second = _embedded(encoder, [one, other])
    return float(first @ second)


def _decoded(data: bytes) -> Pixels:
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB), np.uint8)


def _look(image: Pixels) -> Look:
    look = read_look(look_of(fit_square(image)))
    assert look is not None
    return look


def _plausible(one: Look, other: Look) -> bool:
    return float(np.abs(one.coarse - other.coarse).mean()) < 20


def _copies(image: Pixels) -> Iterator[tuple[str, Pixels]]:
    stored = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    for quality in (40, 60, 80, 95):
        yield f"JPEG {quality}", _decoded(bytes(cv2.imencode(".jpg", stored, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]))
    for factor in (0.25, 0.5, 2.0, 4.0):
        way = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
        yield (
            f"resized {factor:g}",
            np.asarray(cv2.resize(image, None, fx=factor, fy=factor, interpolation=way), np.uint8),
        )
    for share in (0.025, 0.05):
        cut = round(share * len(image))
        yield f"{share:.1%} off a corner", image[cut:, cut:]
        yield f"{share:.1%} off a side", image[:, :-cut]
    cut = round(0.025 * len(image))
    yield "2.5% off each side", image[cut:-cut, cut:-cut]
    over = image.copy()
    cv2.putText(over, "(c) sample", (10, 120), cv2.FONT_HERSHEY_SIMPLEX, 1.1, (60, 60, 60), 3)
    yield "watermark", np.asarray(cv2.addWeighted(over, 0.5, image, 0.5, 0), np.uint8)


def _difference(one: Pixels, other: Pixels) -> float:
    small = [
        np.asarray(cv2.resize(i, (SMALL_PX, SMALL_PX), interpolation=cv2.INTER_AREA), np.uint8) for i in (one, other)
    ]
    pairs = (small, small[::-1])
    return min(float(np.abs(part.astype(int) - whole).mean()) for first, whole in pairs for part in _parts(first))


def _parts(small: Pixels) -> Iterator[Pixels]:
    for left, right, top, bottom in itertools.product(CUTS_PX, repeat=4):
        part = small[top : SMALL_PX - bottom, left : SMALL_PX - right]
        yield np.asarray(cv2.resize(part, (SMALL_PX, SMALL_PX), interpolation=cv2.INTER_LINEAR), np.uint8)
