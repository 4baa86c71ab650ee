"""`mekiki encoder train`, as a person uses it: beside the service, after it was stopped, and where it cannot."""

import json

import cv2
import numpy as np
import onnxruntime
import pytest

from tests.cluster import wait_for
from tests.e2e.conftest import Service, drawing, run_cli

PICTURES = 30


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """A service of its own with pictures of two tags."""
    folder = tmp_path_factory.mktemp("train")
    pictures = folder / "pictures"
    pictures.mkdir()
    for number in range(PICTURES):
        (pictures / f"{number}.png").write_bytes(drawing(number))
    running = Service(folder / "data").start()
    for number in range(PICTURES):
        running.post("/v1/images", (pictures / f"{number}.png").read_bytes(), id=f"p/{number}")
    wait_for(lambda: running.get("/v1/status").json()["images"] >= PICTURES, "pictures")
    yield running
    if running.process.poll() is None:
        running.stop()


def test_an_autoencoder_is_trained_beside_the_service_and_after_it(taught, tmp_path):
    out, sheet = tmp_path / "mine", tmp_path / "sheet.png"
    arguments = ("encoder", "train", "autoencoder", "--size", "32", "--latent", "8", "--epochs", "2", "--device", "cpu")
    said = taught.run(*arguments, "--out", str(out), "--sheet", str(sheet))
    assert said.returncode == 0, said.stderr
    assert "autoencoder-32-8" in said.stderr
    session = onnxruntime.InferenceSession(str(out / "network.onnx"), providers=["CPUExecutionProvider"])
    (vector,) = session.run(["features"], {"images": np.zeros((1, 32, 32, 3), np.uint8)})
    assert vector.shape == (1, 8)
    facts = json.loads((out / "trained.json").read_text())
    assert facts["training"]["pictures"] + facts["training"]["held_out"] == PICTURES
    assert cv2.imread(str(sheet)) is not None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "sheet.png"]
    assert taught.stop() == 0
    said = taught.run(*arguments, "--target", "features", "--out", str(tmp_path / "second"))
    assert said.returncode == 0, said.stderr
    assert json.loads((tmp_path / "second" / "trained.json").read_text())["training"]["target"] == "features"


@pytest.mark.parametrize(("arguments", "code", "words"), [
    (("autoencoder", "--size", "57"), 2, "--size 57: expected a multiple of 16 from 96 to 224, or of 4 below"),
    (("autoencoder",), 78, "start `mekiki up` and post some"),
    (("autoencoder", "--target", "tags"), 2, "'pixels', 'features'"),
])  # fmt: skip
def test_what_cannot_be_trained_is_one_sentence_and_leaves_nothing(tmp_path, arguments, code, words):
    said = run_cli(
        "encoder", "train", *arguments, "--out", str(tmp_path / "out"), MEKIKI_DATA_DIR=str(tmp_path / "data")
    )
    assert (said.returncode, "Traceback" in said.stderr) == (code, False), said.stderr
    assert words in " ".join(said.stderr.replace("│", " ").split())
    assert not list(tmp_path.glob("out*"))
