"""Thirty images of an index, each with a vector and hashes of its own."""

from stream.index.payload import IndexRecord
from tests.fakes import payload, unit

COUNT = 30


def record(number, **known):
    return IndexRecord(f"i{number}", 1, payload(sha256=f"{number:064x}", **known), unit(number))


def ids(answer):
    return [found.hit.image_id for found in answer.results]
