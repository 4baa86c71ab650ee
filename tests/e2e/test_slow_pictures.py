"""Pictures that take a decoder long: others do not wait for them."""

import struct
import zlib

from kafka import KafkaProducer

from tests.cluster import wait_for
from tests.e2e.conftest import drawing
from tests.e2e.test_bad_input import image

SIDE_PX = 5_000


def slow_png(shade):
    """25 megapixels with alpha in 100 KB, a second of work."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    packer, row = zlib.compressobj(9), b"\0" + bytes([shade, 0, 0, 128]) * SIDE_PX
    rows = b"".join(packer.compress(row) for _ in range(SIDE_PX)) + packer.flush()
    header = struct.pack(">IIBBBBB", SIDE_PX, SIDE_PX, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_a_good_picture_is_there_before_six_slow_ones_and_they_come_too(service):
    names = [f"slow-{n}" for n in range(6)]
    records = [image(name, slow_png(number)) for number, name in enumerate(names)]
    assert all(len(value) < 900_000 for _, _, value, _ in records)
    producer = KafkaProducer(bootstrap_servers=service.bootstrap)
    for topic, key, value, headers in [*records, image("good-behind-slow", drawing(77))]:
        producer.send(f"mekiki.{topic}.v1", value, key=key.encode(), headers=headers)
    producer.flush(30)
    producer.close(timeout=5)
    wait_for(lambda: service.has("good-behind-slow"), "the good picture")
    waiting = {one["image_id"] for one in service.get("/v1/waiting").json()["images"]}
    assert len(waiting & set(names)) >= 3, "the good picture waited for slow ones"
    wait_for(lambda: all(service.has(name) for name in names), "the slow pictures")
    assert service.get("/v1/images/slow-3").json()["width_px"] == SIDE_PX
