"""Images a second of the encoder by batch, how near its vectors are to those of the CPU, and the limit of decoding."""

import os
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from admin.demo.measure import encoder_rate
from benchmarks.drawings import drawing, encoded
from models.encoders import load_encoder
from stream.pictures.decode_pool import Decoded, DecodePool

BATCHES = {"cuda": (1, 8, 32, 64, 128, 256, 512), "cpu": (1, 8)}
IMAGES = {"cuda": 2048, "cpu": 16}
FILES = {"cuda": 1024, "cpu": 32}
PASSES = 3
COMPARED = 32
SOURCES = 64  # different drawings


def run(device: str) -> Iterator[tuple[str, Any]]:
    """`load_s` has compiling in it; each run on CUDA takes 64 pictures, so smaller batches waste some."""
    started_s = time.perf_counter()
    encoder = load_encoder("torch" if device == "cuda" else "onnx")
    yield "load_s", time.perf_counter() - started_s
    yield "runs_on", encoder.device
    sources = np.stack([drawing(seed) for seed in range(SOURCES)])
    for batch in BATCHES[device]:
        pixels = np.resize(sources, (max(batch, min(IMAGES[device], batch * 32)), *sources.shape[1:]))
        yield f"images_per_second_{batch}", encoder_rate(encoder, pixels, batch, range(PASSES))
    compared = sources[:COMPARED]
    cosines = (encoder.embed(compared) * load_encoder("onnx").embed(compared)).sum(axis=1)
    yield "least_cosine_to_cpu", float(cosines.min())


def decode(device: str) -> Iterator[tuple[str, Any]]:
    """Files of 224 pixels, PNG and JPEG by turns, through as many decoding children as there are cores.

    Raises:
        RuntimeError: one was not decoded.
    """
    workers = len(os.sched_getaffinity(0))
    files = [encoded(seed % SOURCES) for seed in range(FILES[device])]
    with DecodePool(workers) as pool:
        pool.decode_many(files[: 2 * workers])
        started_s = time.perf_counter()
        answers = pool.decode_many(files)
        taken_s = time.perf_counter() - started_s
    if not all(isinstance(answer, Decoded) for answer in answers):
        raise RuntimeError("a drawing was not decoded")
    yield "children", workers
    yield "images_per_second", len(files) / taken_s
