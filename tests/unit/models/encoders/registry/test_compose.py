"""Any ONNX network becomes one graph from pictures to features: preprocessing and pooling against NumPy's."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from models.encoders.registry.compose import composed
from models.encoders.registry.manifest import Input, Output
from models.encoders.registry.trial import unlike_pictures
from models.encoders.sessions.onnx_extractor import OnnxExtractor

S = 16
IMAGES = unlike_pictures(S)


def passing(shape, kind=TensorProto.FLOAT, opset=17):
    """A network that gives what it takes, under the name `given`, and lets nothing else out."""
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["given"])], "passing",
        [helper.make_tensor_value_info("x", kind, shape)], [helper.make_tensor_value_info("given", kind, None)],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8
    return model


def run(model: onnx.ModelProto, given: Input, *outputs: Output) -> np.ndarray:
    return OnnxExtractor(composed(model, given, outputs), threads=1).extract(IMAGES)


def pooled(pixels: np.ndarray) -> np.ndarray:
    """Mean, deviation and maximum of [N, C, H, W]."""
    flat = pixels.reshape(*pixels.shape[:2], -1)
    return np.concatenate([flat.mean(2), flat.std(2), flat.max(2)], axis=1)


MAP = Output(kind="map", pool=("mean", "deviation", "max"))


@pytest.mark.parametrize("opset", [11, 12, 13, 17, 18, 21])
def test_mean_deviation_and_order_of_channels(opset):
    given = Input(size_px=S, mean=(10, 20, 30), deviation=(2, 4, 8), bgr=True)
    pixels = (IMAGES[..., ::-1].astype(np.float32) - [10, 20, 30]) / [2, 4, 8]
    found = run(passing([1, 3, S, S], opset=opset), given, MAP)
    assert np.allclose(found, pooled(pixels.transpose(0, 3, 1, 2)), rtol=1e-4, atol=1e-3)


def test_gray_is_the_brightness():
    gray = (IMAGES.astype(np.float32) @ np.float32([0.299, 0.587, 0.114]))[:, None]
    found = run(passing(["N", 1, "H", "W"]), Input(size_px=S, gray=True), MAP)
    assert np.allclose(found, pooled(gray / 255), rtol=1e-4, atol=1e-4)


def test_channels_last_in_bytes():
    given = Input(size_px=S, layout="nhwc", deviation=(1,))
    found = run(passing([1, S, S, 3], TensorProto.UINT8), given, Output())
    assert np.array_equal(found, IMAGES.reshape(len(IMAGES), -1).astype(np.float32))


def test_tokens_give_their_first_and_what_the_others_have_in_common():
    given = Input(size_px=S, deviation=(1,))
    model = passing([1, 3, S, S])
    model.graph.node.append(helper.make_node("Flatten", ["given"], ["flat"], axis=2))
    shape = helper.make_tensor("shape", TensorProto.INT64, [3], [1, S * S, 3])
    model.graph.initializer.append(shape)
    model.graph.node.append(helper.make_node("Reshape", ["given", "shape"], ["tokens"]))
    found = run(model, given, Output(name="tokens", kind="tokens", pool=("first", "mean"), skip=2))
    tokens = IMAGES.transpose(0, 3, 1, 2).reshape(len(IMAGES), S * S, 3).astype(np.float32)
    assert np.allclose(found, np.concatenate([tokens[:, 0], tokens[:, 2:].mean(1)], axis=1), rtol=1e-5)
