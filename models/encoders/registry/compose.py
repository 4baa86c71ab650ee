"""Joins an ONNX network of anybody's with its preprocessing and pooling: one graph from pictures to raw features.

In: a model, how pictures come to it, and what is read off it. Out: a model with the input `images` uint8 [1, S, S, 3]
RGB and the output `features` float32 [1, F]. Raises ConfigurationError for a graph that cannot be joined so.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import NodeProto, TensorProto, helper, numpy_helper
from onnx.compose import add_prefix

from models.encoders.registry.manifest import Input, Output
from models.errors import ConfigurationError

OLDEST_OPSET = 11  # whose Slice takes its bounds as inputs; networks of 2019 have it
AXES_AS_INPUT = 18  # the opset from which reductions take their axes so
_BT601 = np.array([0.299, 0.587, 0.114], np.float32).reshape(1, 3, 1, 1)  # red, green, blue, of brightness
_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)
_INSIDE = "network/"


def read_graph(path: Path) -> onnx.ModelProto:
    """The model of a file, complete in itself.

    Raises:
        ConfigurationError: no ONNX, weights elsewhere, NaN among them, or an operator set that is too old.
    """
    try:
        model = onnx.load_model(path, load_external_data=False)
    except (OSError, DecodeError, ValueError) as error:
        raise ConfigurationError(f"graph {path}: expected an ONNX file ({str(error)[:100]}); export it again") from None
    if not model.graph.node:
        raise ConfigurationError(f"graph {path}: expected an ONNX file with a network in it; export it again")
    for tensor in _tensors(model.graph):
        if tensor.data_location == TensorProto.EXTERNAL:
            raise ConfigurationError(
                f"graph {path}: weights {tensor.name!r} are in another file; save the model in one (onnx.save_model "
                "with save_as_external_data=False)"
            )
        if tensor.data_type in _FLOATS and not np.isfinite(numpy_helper.to_array(tensor)).all():
            raise ConfigurationError(f"graph {path}: weights {tensor.name!r} hold NaN or infinity; export it again")
    opset = _opset(model)
    if opset < OLDEST_OPSET:
        raise ConfigurationError(f"graph {path}: opset {opset}: expected {OLDEST_OPSET} or newer; export it again")
    return model


def _tensors(graph: onnx.GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                yield from _tensors(inner)


def _opset(model: onnx.ModelProto) -> int:
    return max((one.version for one in model.opset_import if one.domain in ("", "ai.onnx")), default=0)


def composed(model: onnx.ModelProto, given: Input, outputs: tuple[Output, ...]) -> bytes:
    """The joined graph, serialised.

    Raises:
        ConfigurationError: an input or output is not in the graph, or is of another kind.
    """
    model = add_prefix(model, _INSIDE)  # names of its own may be ours
    graph = _Graph(model)
    graph.feed(given)
    pooled = [value for output in outputs or (Output(),) for value in graph.pooled(output)]
    graph.finish(pooled, given.size_px)
    return bytes(model.SerializeToString())


class _Graph:
    """A graph that gets nodes before its input and behind its outputs."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._graph = model.graph
        self._opset = _opset(model)
        self._before: list[NodeProto] = []
        self._after: list[NodeProto] = []
        self._names = 0

    def _new(self) -> str:
        self._names += 1
        return f"mekiki_{self._names}"

    def _constant(self, value: Any) -> str:
        name = self._new()
        self._graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def _add(self, nodes: list[NodeProto], op: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        output = output or self._new()
        nodes.append(helper.make_node(op, list(inputs), [output], name=output, **attributes))
        return output

    def _reduce(self, op: str, x: str, axes: list[int], *, keepdims: int = 0) -> str:
        if self._opset >= AXES_AS_INPUT:
            return self._add(self._after, op, x, self._constant(np.array(axes, np.int64)), keepdims=keepdims)
        return self._add(self._after, op, x, axes=axes, keepdims=keepdims)

    def feed(self, given: Input) -> None:
        """Pixels to what the network takes, in the place of its input."""
        weights = {tensor.name for tensor in self._graph.initializer}
        inputs = [one for one in self._graph.input if one.name not in weights]
        named = [one for one in inputs if not given.name or one.name == _INSIDE + given.name]
        if len(named) != 1 or len(inputs) != 1:
            there = ", ".join(one.name.removeprefix(_INSIDE) for one in inputs)
            raise ConfigurationError(f"input {given.name!r}: expected the only input of the graph, which has {there}")
        kind = named[0].type.tensor_type.elem_type
        self._check_shape(named[0], given)
        x = self._add(self._before, "Transpose", "images", perm=[0, 3, 1, 2])
        x = self._add(self._before, "Cast", x, to=TensorProto.FLOAT)
        if given.gray:
            x = self._add(self._before, "Mul", x, self._constant(_BT601))
            x = self._add(self._before, "Conv", x, self._constant(np.ones((1, 3, 1, 1), np.float32)))
        elif given.bgr:
            x = self._add(self._before, "Gather", x, self._constant(np.array([2, 1, 0], np.int64)), axis=1)
        for op, numbers in (("Sub", given.mean), ("Div", given.deviation)):
            x = self._add(self._before, op, x, self._constant(np.array(numbers, np.float32).reshape(1, -1, 1, 1)))
        if given.layout == "nhwc":
            x = self._add(self._before, "Transpose", x, perm=[0, 2, 3, 1])
        self._add(self._before, "Cast", x, output=named[0].name, to=kind)
        del self._graph.input[:]

    def _check_shape(self, there: onnx.ValueInfoProto, given: Input) -> None:
        """What the graph says of its input, where it says it: ONNX Runtime does not look at inner values."""
        channels = 1 if given.gray else 3
        side = given.size_px
        wanted = [1, channels, side, side] if given.layout == "nchw" else [1, side, side, channels]
        shape = [dimension.dim_value for dimension in there.type.tensor_type.shape.dim]
        if shape and (len(shape) != 4 or any(n not in (0, w) for n, w in zip(shape, wanted, strict=True))):
            name, shown = there.name.removeprefix(_INSIDE), [n or "any" for n in shape]
            raise ConfigurationError(
                f"input {name!r} of shape {shown}: expected {wanted}, as the manifest has it; "
                "correct size_px, layout or gray"
            )

    def pooled(self, output: Output) -> Iterator[str]:
        """Values [1, C] of one output, in the order of its pooling."""
        x = self._cast(self._named(output.name))
        if output.kind == "vector":
            yield self._add(self._after, "Flatten", x, axis=1)
        for pool in output.pool:
            yield self._pool(x, output, pool)

    def _named(self, name: str) -> str:
        """A value of the graph."""
        given = [one.name for one in self._graph.output]
        if not name and len(given) == 1:
            return str(given[0])
        if _INSIDE + name in {value for node in self._graph.node for value in node.output if value}:
            return _INSIDE + name
        raise ConfigurationError(
            f"output {name!r}: expected a value of the graph, or none where it has one output; it gives "
            f"{', '.join(one.removeprefix(_INSIDE) for one in given)}"
        )

    def _cast(self, x: str) -> str:
        return self._add(self._after, "Cast", x, to=TensorProto.FLOAT)

    def _pool(self, x: str, output: Output, pool: str) -> str:
        axes = [2, 3] if output.kind == "map" else [1]
        if pool == "first":
            return self._add(self._after, "Gather", x, self._constant(np.int64(0)), axis=1)
        if output.kind == "tokens" and output.skip:
            bounds = (output.skip, np.iinfo(np.int64).max, 1)  # start, end, axis
            x = self._add(self._after, "Slice", x, *(self._constant(np.array([n], np.int64)) for n in bounds))
        if pool == "max":
            return self._reduce("ReduceMax", x, axes)
        if pool == "mean":
            return self._reduce("ReduceMean", x, axes)
        centred = self._add(self._after, "Sub", x, self._reduce("ReduceMean", x, axes, keepdims=1))
        variance = self._reduce("ReduceMean", self._add(self._after, "Mul", centred, centred), axes)
        return self._add(self._after, "Sqrt", variance)

    def finish(self, pooled: list[str], size_px: int) -> None:
        """All nodes in order, with the input and output of ours."""
        self._add(self._after, "Concat", *pooled, output="features", axis=1)
        nodes = [*self._before, *self._graph.node, *self._after]
        del self._graph.node[:]
        self._graph.node.extend(nodes)
        del self._graph.output[:], self._graph.value_info[:]
        shape = [1, size_px, size_px, 3]
        self._graph.input.append(helper.make_tensor_value_info("images", TensorProto.UINT8, shape))
        self._graph.output.append(helper.make_tensor_value_info("features", TensorProto.FLOAT, None))
