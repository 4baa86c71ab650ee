"""`mekiki encoder`: encoders are made, taken, listed and shown; what is wrong with one is said in a sentence."""

import json
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner

from admin.operators.encoders.command import app
from models.encoders import EncoderFolders, load_encoder
from models.encoders.registry.trial import unlike_pictures
from models.errors import ConfigurationError, UsageError

SIZE_PX = 32


def call(data_dir: Path, *arguments: object) -> str:
    """What the command prints.

    Raises:
        MekikiError: what `mekiki` says in one sentence.
    """
    result = CliRunner().invoke(app, [*map(str, arguments), "--data-dir", str(data_dir)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def network(weights: np.ndarray, inputs: list[int] | None = None) -> onnx.ModelProto:
    """A convolution with a ReLU: `pixels` [1, 3, 32, 32] -> `map` [1, C, 16, 16]."""
    node = helper.make_node("Conv", ["pixels", "w"], ["sums"], strides=[2, 2])
    graph = helper.make_graph(
        [node, helper.make_node("Relu", ["sums"], ["map"])], "small",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, inputs or [1, 3, SIZE_PX, SIZE_PX])],
        [helper.make_tensor_value_info("map", TensorProto.FLOAT, None)], [numpy_helper.from_array(weights, "w")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return model


WEIGHTS = np.random.default_rng(0).standard_normal((8, 3, 2, 2)).astype(np.float32)
MANIFEST = {
    "name": "small", "about": "eight filters", "licence": "MIT", "network": "any.onnx",
    "input": {"size_px": SIZE_PX, "fit": "letterbox", "mean": [128, 120, 110], "deviation": [64]},
    "outputs": [{"kind": "map", "pool": ["mean", "deviation", "max"]}],
}  # fmt: skip


@pytest.fixture
def given(tmp_path):
    """Writes a graph and a manifest; the arguments that take them."""

    def write(model: onnx.ModelProto | bytes | None = None, **changed: object) -> list[object]:
        made = network(WEIGHTS) if model is None else model
        (tmp_path / "any.onnx").write_bytes(made if isinstance(made, bytes) else made.SerializeToString())
        (tmp_path / "m.json").write_text(json.dumps(MANIFEST | changed))
        return ["import", tmp_path / "any.onnx", "--manifest", tmp_path / "m.json"]

    return write


def test_a_network_of_anybodys_is_an_encoder_like_any_other(tmp_path, given):
    said = call(tmp_path, *given())
    assert "encoder small" in said and "pictures/s" in said and "24 features" in said
    folders = EncoderFolders(tmp_path / "encoders")
    encoder = load_encoder("onnx", "small", folders)
    images = unlike_pictures(SIZE_PX)
    pixels = (images.astype(np.float32) - np.float32([128, 120, 110])) / 64
    sums = np.zeros((len(images), 8, 16, 16), np.float32)
    for y in range(2):
        for x in range(2):
            sums += np.einsum("bhwc,oc->bohw", pixels[:, y::2, x::2], WEIGHTS[:, :, y, x])
    kept = np.maximum(sums, 0).reshape(len(images), 8, -1)
    expected = np.concatenate([kept.mean(2), kept.std(2), kept.max(2)], axis=1)
    vectors = encoder.embed(images)
    lengths = np.linalg.norm(expected, axis=1, keepdims=True)
    assert np.abs(vectors - expected / lengths).max() < 0.01  # a byte a feature
    listed = {row["name"]: row for row in json.loads(call(tmp_path, "list", "--json"))}
    assert listed["small"]["version"] == encoder.version and listed["small"]["features"] == 24
    assert listed["efficientnet-lite0"]["serves"] and not listed["small"]["serves"]
    assert json.loads(call(tmp_path, "show", "small"))["input"]["fit"] == "letterbox"


def test_a_projection_is_fitted_on_an_operators_own_folder(tmp_path, given):
    call(tmp_path, *given())
    folder = tmp_path / "pictures"
    (folder / "deep").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(12):
        image = cv2.GaussianBlur(rng.integers(0, 255, (90, 120, 3), np.uint8), (0, 0), 1 + number)
        cv2.imwrite(str(folder / ("deep" if number % 2 else "") / f"{number}.png"), image)
    (folder / "notes.txt").write_text("no picture")
    (folder / "empty.jpg").write_bytes(b"")
    call(tmp_path, "fit", "--of", "small", "--pictures", folder, "--as", "mine", "--dimension", "8")
    folders = EncoderFolders(tmp_path / "encoders")
    encoder, plain = load_encoder("onnx", "mine", folders), load_encoder("onnx", "small", folders)
    assert encoder.dimension == 8 and encoder.version != plain.version
    assert encoder.network_version == plain.network_version
    with pytest.raises(UsageError, match="'mine': is there already; choose another name"):
        call(tmp_path, "fit", "--of", "small", "--pictures", folder, "--as", "mine", "--dimension", "8")
    with pytest.raises(UsageError, match="expected at most the 24 features"):
        call(tmp_path, "fit", "--of", "small", "--pictures", folder, "--as", "other", "--dimension", "25")


def test_a_folder_without_pictures_is_an_error_of_the_caller(tmp_path, given):
    call(tmp_path, *given())
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="expected pictures in it"):
        call(tmp_path, "fit", "--of", "small", "--pictures", tmp_path / "empty", "--as", "mine")


def external() -> onnx.ModelProto:
    model = network(WEIGHTS)
    model.graph.initializer[0].data_location = TensorProto.EXTERNAL
    model.graph.initializer[0].external_data.add(key="location", value="weights.bin")
    return model


def custom() -> onnx.ModelProto:
    model = network(WEIGHTS)
    model.graph.node[1].op_type, model.graph.node[1].domain = "MyRelu", "com.mine"
    model.opset_import.append(helper.make_opsetid("com.mine", 1))
    return model


@pytest.mark.parametrize(("model", "changed", "said"), [
    (external(), {}, "weights 'w' are in another file"),
    (custom(), {}, "ONNX Runtime cannot run it"),
    (network(WEIGHTS * np.nan), {}, "weights 'w' hold NaN"),
    (network(WEIGHTS * 0), {}, "gives the same for pictures that have nothing in common"),
    (network(WEIGHTS).SerializeToString()[:300], {}, "expected an ONNX file"),
    (b"", {}, "expected an ONNX file"),
    (b"\x80\x04pickle", {}, "expected an ONNX file"),
    (None, {"input": {"size_px": 48}}, r"shape \[1, 3, 32, 32\]: expected \[1, 3, 48, 48\]"),
    (None, {"input": {"size_px": SIZE_PX, "name": "images"}}, "input 'images': expected the only input"),
    (None, {"input": {"size_px": SIZE_PX, "deviation": [0]}}, "deviation: expected no 0"),
    (None, {"input": {"size_px": SIZE_PX, "gray": True}}, r"expected \[1, 1, 32, 32\]"),
    (None, {"outputs": [{"name": "tokens", "kind": "tokens", "pool": ["first"]}]}, "output 'tokens'"),
    (None, {"outputs": [{"kind": "map"}]}, "pool of a map: expected one way at least"),
    (None, {"outputs": [{"kind": "map", "pool": ["first"]}]}, "expected no 'first' of a map"),
    (None, {"parts": [9]}, r"parts \[9\]: expected 24 together"),
    (None, {"parts": [4000]}, "expected at most 3000 bytes"),
    (None, {"name": "../up"}, "name: String should match"),
    (None, {"name": "efficientnet-lite0"}, "is there already"),
    (network(WEIGHTS, [0, 3, 0, 0]), {"input": {"size_px": 1}}, "greater than or equal to 8"),
    (None, {"colour": 1}, "colour: Extra inputs"),
], ids=range(20))  # fmt: skip
def test_what_is_wrong_is_said_and_nothing_is_left(tmp_path, given, model, changed, said):
    with pytest.raises((ConfigurationError, UsageError), match=said) as caught:
        call(tmp_path, *given(model, **changed))
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "encoders").glob("*")) + list((tmp_path / "encoders").glob(".*"))


def test_a_file_that_was_swapped_or_cut_is_noticed(tmp_path, given):
    call(tmp_path, *given())
    path = tmp_path / "encoders" / "small" / "network.onnx"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ConfigurationError, match=r"is not the one that manifest\.json describes"):
        call(tmp_path, "show", "small")
    with pytest.raises(ConfigurationError, match=r"is not the one that manifest\.json describes"):
        load_encoder("onnx", "small", EncoderFolders(tmp_path / "encoders"))
    (tmp_path / "encoders" / "small" / "manifest.json").write_text("{")
    assert "Invalid JSON" in call(tmp_path, "list", "--json")


def test_encoders_are_judged_on_an_operators_own_pictures(tmp_path, given):
    call(tmp_path, *given())
    folder, rng = tmp_path / "pictures", np.random.default_rng(0)
    folder.mkdir()
    lines = []
    for number in range(60):
        colour = ("red", "green", "blue")[number % 3]
        image = rng.integers(0, 90, (40, 40, 3), np.uint8)
        image[..., 2 - number % 3] += 120  # OpenCV writes blue first
        cv2.imwrite(str(folder / f"{number}.png"), image)
        lines.append(json.dumps({"file": f"{number}.png", "tags": [colour]}))
    (tmp_path / "tags.jsonl").write_text("\n".join(lines))
    plot, figures = tmp_path / "plot.png", tmp_path / "figures.json"
    asked = ("eval", "small", "--pictures", folder, "--tags", tmp_path / "tags.jsonl", "--splits", "2")
    said = call(tmp_path, *asked, "--plot", plot, "--json", figures)
    report = json.loads(figures.read_text())
    (row,) = (row for row in report["rows"] if row["layer"] == "vector")
    assert row["p_at_5"] == row["cosine"] > 0.9 and row["map"] > 0.9  # colours are all there is to see
    assert [row["layer"] for row in report["rows"]][1:] == ["features", "part 1 (8)", "part 2 (8)", "part 3 (8)"]
    assert report["recommended"] == "small" and "Recommended: small" in said
    assert cv2.imread(str(plot)) is not None
    with pytest.raises(UsageError, match="expected both or neither"):
        call(tmp_path, "eval", "small", "--pictures", folder)
