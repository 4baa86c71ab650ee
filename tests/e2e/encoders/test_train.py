"""`mekiki encoder train`, as a person uses it: beside the service, after it was stopped, and where it cannot."""

import base64
import json
from contextlib import closing

import cv2
import numpy as np
import onnxruntime
import pytest

from admin.connect import client_settings
from models.encoders import EncoderFolders, load_encoder
from models.quantise import dequantise, quantise
from stream.build import open_index
from tests.cluster import wait_for
from tests.e2e.conftest import Service, drawing, run_cli

PICTURES = 30
QUICK = ("--epochs", "2", "--device", "cpu")


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """A service of its own with tagged pictures and clicks."""
    running = Service(tmp_path_factory.mktemp("train") / "data").start()
    for number in range(PICTURES):
        running.post("/v1/images", drawing(number), id=f"p/{number}", tags=("even", "odd")[number % 2])
    wait_for(lambda: running.get("/v1/status").json()["images"] >= PICTURES, "pictures")
    for number in range(PICTURES * 6):
        one, other = sorted((number % PICTURES, (number * 7 + 3) % PICTURES))
        if one != other:
            body = {"preferred": f"p/{one}", "over": f"p/{other}", "session_id": "s"}
            assert running.post("/v1/pairs", json=body).status_code == 202
    yield running
    if running.process.poll() is None:
        running.stop()


def trained(service, name, *arguments):
    """Run it; its manifest, what its graph says of a black picture, and what it said of itself."""
    said = service.run("encoder", "train", *arguments, *QUICK, "--as", name)
    assert said.returncode == 0, said.stderr
    manifest = json.loads(service.run("encoder", "show", name).stdout)
    graph = service.data_dir / "encoders" / name / "network.onnx"
    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    size = manifest["input"]["size_px"]
    found = session.run(None, {"images": np.zeros((1, size, size, 3), np.uint8)})
    names = [output.name for output in session.get_outputs()]
    return manifest, dict(zip(names, found, strict=True)), said.stderr


@pytest.mark.long
def test_an_autoencoder_is_trained_beside_the_service_with_a_sheet(taught, tmp_path):
    sheet = tmp_path / "sheet.png"
    manifest, found, said = trained(
        taught, "mine", "autoencoder", "--size", "32", "--latent", "8", "--sheet", str(sheet)
    )
    assert "encoder mine" in said and "autoencoder-32-8" in said
    assert found["features"].shape == (1, 8) and manifest["parts"] == [8]
    assert manifest["made_from"]["pictures"] + manifest["made_from"]["held_out"] == PICTURES
    assert manifest["projection"] in manifest["files"]
    vectors = load_encoder("onnx", "mine", EncoderFolders(taught.data_dir / "encoders")).embed(
        np.stack([np.full((32, 32, 3), shade, np.uint8) for shade in (0, 255)])
    )
    assert vectors.shape == (2, 8) and vectors[0] @ vectors[1] < 0.5  # centred: black and white are not alike
    assert cv2.imread(str(sheet)) is not None
    assert not list((taught.data_dir / "encoders").glob(".*"))
    assert "mine" in taught.run("encoder", "list").stdout
    again = taught.run("encoder", "train", "autoencoder", *QUICK, "--as", "mine")
    assert again.returncode == 2 and "is there already" in again.stderr


@pytest.mark.long
def test_a_projection_is_fitted_on_what_the_index_keeps_and_nothing_else(taught):
    said = taught.run("encoder", "fit", "--from-stream", "--as", "own", "--dimension", "8")
    assert said.returncode == 0, said.stderr
    own, default = (json.loads(taught.run("encoder", "show", name).stdout) for name in ("own", "efficientnet-lite0"))
    assert own["made_from"]["pictures"] == PICTURES
    assert own["network_version"] == default["network_version"] and own["version"] != default["version"]
    folders = EncoderFolders(taught.data_dir / "encoders")
    fitted, serving = load_encoder("onnx", "own", folders), load_encoder("onnx")
    settings = client_settings(taught.data_dir)
    with closing(open_index(settings)) as index:
        found = index.fetch([f"p/{n}" for n in range(PICTURES)], with_vectors=True, with_raw=True).values()
    raw = np.stack([np.frombuffer(base64.b64decode(one.payload.raw), np.uint8) for one in found])
    again = dequantise(quantise(serving.project(raw)))
    assert np.array_equal(again, np.stack([one.vector for one in found]))  # to the bit
    assert fitted.project(raw).shape == (PICTURES, 8)
    more = taught.run("encoder", "fit", "--of", "own", "--from-stream", "--as", "own-again", "--dimension", "8")
    assert more.returncode == 0, more.stderr  # what the default made is of the same network
    few = taught.run("encoder", "fit", "--from-stream", "--as", "large", "--dimension", "100")
    assert few.returncode == 2 and f"pictures {PICTURES}: expected more than the dimension 100" in " ".join(
        few.stderr.split()
    )


@pytest.mark.long
def test_tags_are_trained_from_the_tags_of_the_index(taught):
    manifest, found, said = trained(taught, "by-tags", "tags", "--body-epochs", "1")
    names = json.loads((taught.data_dir / "encoders" / "by-tags" / "tags.json").read_text())
    assert sorted(names) == ["even", "odd"]
    assert found["tags"].shape == (1, 2)
    assert found["features"].shape == (1, sum(manifest["parts"]))
    assert "mAP on held-out pictures: frozen" in said


@pytest.mark.long
def test_taste_is_trained_from_clicks_and_never_replaces_a_better_one(taught):
    _, found, said = trained(taught, "taste", "taste", "--network", "small-cnn")
    assert found["score"].shape == (1,)
    assert "pair accuracy" in said
    weights = taught.data_dir / "encoders" / "taste" / "weights.safetensors"
    before = weights.read_bytes()
    again = taught.run("encoder", "train", "taste", "--network", "small-cnn", *QUICK, "--as", "taste")
    assert again.returncode == 0, again.stderr
    assert "stays as it is" in " ".join(again.stderr.split())
    assert weights.read_bytes() == before
    assert not list((taught.data_dir / "encoders").glob(".*"))


@pytest.mark.long
def test_ratings_take_the_place_of_clicks_and_a_stopped_service_is_enough(taught, tmp_path):
    assert taught.stop() == 0
    ratings = tmp_path / "ratings.jsonl"
    ratings.write_text("\n".join(json.dumps({"id": f"p/{n}", "rating": n % 5}) for n in range(PICTURES)))
    manifest, _, _ = trained(taught, "rated", "taste", "--network", "small-cnn", "--ratings", str(ratings))
    assert manifest["made_from"]["pairs"] > 100
    ratings.write_text('{"id": "p/1"}')
    said = taught.run("encoder", "train", "taste", "--ratings", str(ratings), "--as", "none")
    assert said.returncode == 2
    assert 'ratings.jsonl line 1: expected {"id": "a", "rating": 4} or' in " ".join(said.stderr.split())
    assert not (taught.data_dir / "encoders" / "none").exists()


@pytest.mark.parametrize(("arguments", "code", "words"), [
    (("autoencoder", "--size", "57"), 2, "--size 57: expected a multiple of 16 from 96 to 224, or of 4 below"),
    (("tags",), 78, "start `mekiki up` and post some"),
    (("taste",), 78, "MEKIKI_KAFKA__BOOTSTRAP_SERVERS"),
])  # fmt: skip
def test_what_cannot_be_trained_is_one_sentence_and_leaves_nothing(tmp_path, arguments, code, words):
    said = run_cli("encoder", "train", *arguments, "--as", "none", MEKIKI_DATA_DIR=str(tmp_path / "data"))
    assert (said.returncode, "Traceback" in said.stderr) == (code, False), said.stderr
    assert words in " ".join(said.stderr.split())
    assert not list(tmp_path.glob("data/encoders/*"))
