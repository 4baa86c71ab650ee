"""Small things in large pictures, with everything running: found by themselves, gone with their picture."""

import json

import cv2
import numpy as np
import psutil
import pytest

from tests.cluster import wait_for
from tests.e2e.conftest import Service

SIDE = 480


def shape(kind):
    """A drawing uint8 [160, 160, 3] on white."""
    canvas = np.full((160, 160, 3), 255, np.uint8)
    if kind == "star":
        angles = np.arange(10) * np.pi / 5
        radius = np.where(np.arange(10) % 2, 30, 75)
        points = np.stack([80 + radius * np.sin(angles), 80 - radius * np.cos(angles)], axis=1).astype(np.int32)
        cv2.fillPoly(canvas, [points], (0, 190, 255))
        cv2.polylines(canvas, [points], True, (0, 0, 0), 5)
    else:
        cv2.rectangle(canvas, (10, 40), (150, 120), (200, 60, 30), -1)
        cv2.circle(canvas, (50, 80), 25, (255, 255, 255), -1)
        cv2.rectangle(canvas, (10, 40), (150, 120), (0, 0, 0), 5)
    return canvas


def scene(seed, *things):
    """Things of 110 pixels in corners of a texture, as PNG."""
    noise = np.random.default_rng(seed).integers(40, 140, (SIDE, SIDE, 3)).astype(np.uint8)
    canvas = cv2.GaussianBlur(noise, (0, 0), 2)
    for at, thing in zip(((20, 330), (340, 40)), things, strict=False):
        small = cv2.resize(thing, (110, 110), interpolation=cv2.INTER_AREA)
        inside = (small < 250).any(axis=2)
        canvas[at[0] : at[0] + 110, at[1] : at[1] + 110][inside] = small[inside]
    return cv2.imencode(".png", canvas)[1].tobytes()


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    service = Service(tmp_path_factory.mktemp("objects") / "data", MEKIKI_OBJECTS__PER_IMAGE="12").start()
    things = {"objects/stars": (shape("star"),), "objects/ticket": (shape("ticket"),), "objects/empty": ()}
    for seed, (image_id, shapes) in enumerate(things.items()):
        post(service, image_id, scene(seed, *shapes))
    for image_id in things:
        wait_for(lambda i=image_id: objects_of(service, i)["state"] == "there", f"the objects of {image_id}", 60)
    yield service
    assert service.stop() == 0


def post(service, image_id, content):
    assert service.post("/v1/images", content=content, id=image_id, wait="searchable").status_code == 201


def objects_of(service, image_id):
    return service.get(f"/v1/images/{image_id.replace('/', '%2F')}/objects", all=True).json()


def found(service, kind):
    query = cv2.imencode(".png", shape(kind))[1].tobytes()
    page = service.post("/v1/search/image", content=query, objects=True, limit=200).json()
    return {one["image_id"]: one for one in page["results"] if one["image_id"].startswith("objects/")}


def test_a_thing_in_a_corner_is_found_with_its_box(scenes):
    page = found(scenes, "star")
    assert max(page, key=lambda name: page[name]["score"]) == "objects/stars"
    left, top, width, height = page["objects/stars"]["box"]
    assert abs(left + width / 2 - (330 + 55) / SIDE) < 0.12
    assert abs(top + height / 2 - (20 + 55) / SIDE) < 0.12
    page = found(scenes, "ticket")
    assert max(page, key=lambda name: page[name]["score"]) == "objects/ticket"


def test_its_objects_go_with_a_picture_and_come_with_another(scenes):
    post(scenes, "objects/stars", scene(9, shape("ticket")))
    assert found(scenes, "star")["objects/stars"]["score"] < 0.5
    wait_for(lambda: objects_of(scenes, "objects/stars")["state"] == "there", "its new objects", 60)
    assert found(scenes, "ticket")["objects/stars"]["box"] is not None
    scenes.cli("images", "delete", "objects/ticket", "--yes")
    assert "objects/ticket" not in found(scenes, "ticket")


@pytest.mark.long
def test_the_worker_is_started_again_and_goes_on(scenes):
    service = psutil.Process(json.loads((scenes.data_dir / "service.json").read_text())["pid"])
    (worker,) = [one for one in service.children() if one.cmdline()[-1] == "objects"]
    worker.kill()
    post(scenes, "objects/late", scene(11, shape("star")))
    wait_for(lambda: objects_of(scenes, "objects/late")["state"] == "there", "the objects", 90)
    assert found(scenes, "star")["objects/late"]["box"] is not None
