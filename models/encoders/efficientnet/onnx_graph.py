"""Writes the network as an ONNX graph for one picture: what runs on a CPU.

In: `EfficientNetLite` with its weights. Out: a model (Lite0: 13.5 MB) with the input `images` uint8 [1, S, S, 3] and
the outputs `features` float32 [1, F] and `feature_map` float32 [1, 1280, H, W]. Nothing fails.

The graph is put together node by node instead of being traced: batch norms are folded into the convolutions (in
float64), and TensorFlow's uneven padding becomes an attribute of the convolution. A traced graph keeps it as Pad nodes,
which ONNX Runtime cannot fuse into its blocked layout: they and the reordering around them cost 12 % of the time.
"""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from models.encoders.efficientnet.network import EfficientNetLite, MBConv, SameConv, same_padding
from models.encoders.efficientnet.outputs import HEAD_CHANNELS, Variant

OPSET = 17  # the newest whose reductions take their axes as attributes; every ONNX Runtime since 1.15 reads it
IR_VERSION = 8  # the one that came with opset 17


class _Nodes:
    """Nodes and weights of a graph that grows from its input to its outputs."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.constant("zero", np.float32(0))
        self.constant("six", np.float32(6))

    def constant(self, name: str, value: NDArray[np.float32] | np.float32) -> str:
        self.weights.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
        return name

    def add(self, op: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        output = name or f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [output], name=output, **attributes))
        return output

    def convolve(self, x: str, size_px: int, conv: SameConv, bn: nn.BatchNorm2d, gain: float = 1.0) -> tuple[str, int]:
        """Convolution with its batch norm folded in; returns the output's name and height in pixels."""
        weight, bias = _fold(conv, bn)
        kernel, stride = conv.kernel_size[0], conv.stride[0]
        before, after = same_padding(size_px, kernel, stride)
        number = len(self.nodes)
        output = self.add(
            "Conv",
            x,
            self.constant(f"weight_{number}", (weight * gain).astype(np.float32)),
            self.constant(f"bias_{number}", bias.astype(np.float32)),
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[before, before, after, after],
            group=conv.groups,
        )
        return output, -(-size_px // stride)

    def relu6(self, x: str) -> str:
        return self.add("Clip", x, "zero", "six")

    def mean(self, x: str, *, keepdims: bool = False) -> str:
        return self.add("ReduceMean", x, axes=[2, 3], keepdims=int(keepdims))

    def deviation(self, x: str) -> str:
        centred = self.add("Sub", x, self.mean(x, keepdims=True))
        return self.add("Sqrt", self.mean(self.add("Mul", centred, centred)))


def _fold(conv: SameConv, bn: nn.BatchNorm2d) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weight and bias of a convolution that includes the batch norm behind it, in float64."""
    assert bn.running_mean is not None and bn.running_var is not None
    scale = (bn.weight.double() / (bn.running_var.double() + bn.eps).sqrt()).numpy()
    weight: NDArray[np.float64] = conv.weight.double().numpy() * scale[:, None, None, None]
    bias: NDArray[np.float64] = bn.bias.double().numpy() - bn.running_mean.double().numpy() * scale
    return weight, bias


def build_graph(network: EfficientNetLite) -> onnx.ModelProto:
    """The network as an ONNX model for one picture at a time."""
    g = _Nodes()
    x = g.add("Cast", g.add("Transpose", "images", perm=[0, 3, 1, 2]), to=TensorProto.FLOAT)
    x = g.add("Sub", x, g.constant("middle_gray", np.float32(127)))
    x, size_px = g.convolve(
        x, network.variant.size_px, network.conv_stem, network.bn0, gain=1 / 128
    )  # exact: a power of two
    x = g.relu6(x)
    middle: list[str] = []
    for number, block in enumerate(network.blocks):
        assert isinstance(block, MBConv)
        x, size_px = _add_block(g, x, size_px, block)
        if number in network.variant.read_blocks:
            middle += [g.mean(x), g.deviation(x)]
    x, _ = g.convolve(x, size_px, network.conv_head, network.bn1)
    feature_map = g.add("Clip", x, "zero", "six", name="feature_map")
    g.add("Concat", g.mean(feature_map), *middle, name="features", axis=1)
    return _model(g, network.variant, size_px)


def _add_block(g: _Nodes, x: str, size_px: int, block: MBConv) -> tuple[str, int]:
    y = x
    if block.widens:
        y = g.relu6(g.convolve(y, size_px, block.expand_conv, block.bn0)[0])
    y, out_px = g.convolve(y, size_px, block.depthwise_conv, block.bn1)
    y, _ = g.convolve(g.relu6(y), out_px, block.project_conv, block.bn2)
    return (g.add("Add", x, y) if block.is_residual else y), out_px


def _model(g: _Nodes, variant: Variant, map_px: int) -> onnx.ModelProto:
    size = variant.size_px
    graph = helper.make_graph(
        g.nodes,
        variant.name.replace("-", "_"),
        inputs=[helper.make_tensor_value_info("images", TensorProto.UINT8, [1, size, size, 3])],
        outputs=[
            helper.make_tensor_value_info("features", TensorProto.FLOAT, [1, sum(variant.parts)]),
            helper.make_tensor_value_info("feature_map", TensorProto.FLOAT, [1, HEAD_CHANNELS, map_px, map_px]),
        ],
        initializer=g.weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model)
    return model
