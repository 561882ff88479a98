"""A user's ONNX network, computed by torch: the operators of usual convolutional nets.

onnxruntime, which runs any graph, has no gradient and can't be exported; and none of the packages that turn graphs into
torch modules is kept up. What is read here is compared with onnxruntime's answer before it is used.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from vae_pipeline.system.errors import RecipeError

AGREEMENT = 1e-3  # of the largest value of an output
Attributes = Mapping[str, Any]
Operator = Callable[[Sequence[Any], Attributes], Tensor]
Images = Float[Tensor, "batch channels height width"]


class OnnxNet(nn.Module):
    """Images on [0, 1] to the outputs of a graph, whose weights stay as they are."""

    def __init__(self, path: Path, named: str) -> None:
        """`named` is the place of the recipe that names the file.

        Raises:
            RecipeError: the file can't be read, or has an operator that isn't known here.
        """
        super().__init__()
        import onnx  # noqa: PLC0415 (a third of a second, for those who bring a network)

        self.where = f"{named}: {path}"
        try:
            self.content = path.read_bytes()
            graph = onnx.load_model_from_string(self.content).graph
        except OSError as error:
            raise RecipeError(f"{self.where} can't be read ({error.strerror})") from error
        except Exception as error:  # protobuf's and onnx's exceptions share no narrower root
            raise RecipeError(f"{self.where} isn't an ONNX file ({error})") from error
        self._constants: dict[str, Any] = {"": None}
        self._weights: dict[str, str] = {}
        for each in graph.initializer:
            if each.data_location == onnx.TensorProto.EXTERNAL:
                raise RecipeError(f"{self.where} has its weights in another file: save it with its weights inside")
            self._keep(each.name, onnx.numpy_helper.to_array(each))
        inputs = [each for each in graph.input if each.name not in {*self._weights, *self._constants}]
        unknown = sorted({node.op_type for node in graph.node} - OPERATORS.keys() - {"Constant"})
        if unknown or len(inputs) != 1:
            wanted = f"operators {', '.join(unknown)}" if unknown else f"{len(inputs)} inputs"
            raise RecipeError(
                f"{self.where} has {wanted}; a network is read with one input and the operators {', '.join(OPERATORS)}"
            )
        self.input, self.outputs = inputs[0].name, [each.name for each in graph.output]
        self.sides = [side.dim_value for side in inputs[0].type.tensor_type.shape.dim]
        """The shape of the input, 0 for a side that is free."""
        self.channels = self.sides[1] if len(self.sides) == 4 else 0
        self.nodes = []
        for node in graph.node:
            attributes = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
            if node.op_type == "Constant":
                value = attributes.get("value")
                if value is None:
                    raise RecipeError(f"{self.where} has a Constant without a tensor: save it with value tensors")
                self._keep(node.output[0], onnx.numpy_helper.to_array(value))
            else:
                self.nodes.append((OPERATORS[node.op_type], list(node.input), node.output[0], attributes))

    def _keep(self, name: str, values: Any) -> None:
        """Keep weights as buffers, and whole and single numbers, such as shapes and bounds, as they are."""
        if values.ndim == 0 or values.dtype.kind != "f":
            self._constants[name] = values.tolist()
            return
        self._weights[name] = f"weight_{len(self._weights)}"
        self.register_buffer(self._weights[name], torch.from_numpy(np.array(values, np.float32)), persistent=False)

    def wide(self, images: Images) -> Float[Tensor, "batch taken height width"]:
        """The images as the network takes them: grey ones are shown to a network of colour thrice."""
        return images.expand(-1, self.channels, -1, -1) if images.shape[1] == 1 and self.channels > 1 else images

    def forward(self, images: Images) -> list[Tensor]:
        """The outputs."""
        values: dict[str, Any] = {**self._constants, self.input: self.wide(images)}
        values |= {name: getattr(self, kept) for name, kept in self._weights.items()}
        for operator, given, output, attributes in self.nodes:
            values[output] = operator([values[name] for name in given], attributes)
        return [values[name] for name in self.outputs]

    def tried(self, images: Images) -> list[Tensor]:
        """The outputs for some images, which are those that onnxruntime gives.

        Raises:
            RecipeError: they can't be computed, or come out otherwise.
        """
        import onnxruntime  # noqa: PLC0415

        try:
            outputs: list[Tensor] = self(images)
            options = onnxruntime.SessionOptions()
            options.log_severity_level = 4
            session = onnxruntime.InferenceSession(self.content, options, providers=["CPUExecutionProvider"])
            wanted = session.run(self.outputs, {self.input: self.wide(images.detach()).numpy()})
        except Exception as error:  # of torch and of onnxruntime: shapes that don't fit, attributes that aren't known
            said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise RecipeError(f"{self.where} can't be computed for images {list(images.shape[1:])} ({said})") from error
        for found, right in zip(outputs, wanted, strict=True):
            if not np.isfinite(right).all():
                raise RecipeError(f"{self.where} gives numbers that aren't finite: take another one")
            apart = float(np.abs(found.detach().numpy() - right).max() / max(np.abs(right).max(), 1e-12))
            if not apart <= AGREEMENT:
                raise RecipeError(
                    f"{self.where} is computed otherwise than onnxruntime does, by {apart:.1g}: take another one"
                )
        return outputs


def _pads(attributes: Attributes, value: float, x: Tensor) -> Tensor:
    """The map with its edges, which ONNX says as [top, left, bottom, right]."""
    if attributes.get("auto_pad", b"NOTSET") != b"NOTSET":
        raise ValueError(f"auto_pad {attributes['auto_pad'].decode()} is not known: write pads out")
    top, left, bottom, right = attributes.get("pads", [0, 0, 0, 0])
    return functional.pad(x, (left, right, top, bottom), value=value) if any((top, left, bottom, right)) else x


def _convolution(given: Sequence[Any], attributes: Attributes) -> Tensor:
    x, weight, bias = [*given, None][:3]
    return functional.conv2d(
        _pads(attributes, 0.0, x), weight, bias, attributes.get("strides", 1),
        dilation=attributes.get("dilations", 1), groups=attributes.get("group", 1),
    )  # fmt: skip


def _largest(given: Sequence[Any], attributes: Attributes) -> Tensor:
    x = _pads(attributes, -torch.inf, given[0])
    kernel, ceil = attributes["kernel_shape"], bool(attributes.get("ceil_mode", 0))
    return functional.max_pool2d(
        x, kernel, attributes.get("strides", 1), dilation=attributes.get("dilations", 1), ceil_mode=ceil
    )


def _average(given: Sequence[Any], attributes: Attributes) -> Tensor:
    if any(attributes.get("pads", ())) and not attributes.get("count_include_pad", 0):
        raise ValueError("AveragePool with pads that aren't counted is not known")
    x, ceil = _pads(attributes, 0.0, given[0]), bool(attributes.get("ceil_mode", 0))
    return functional.avg_pool2d(x, attributes["kernel_shape"], attributes.get("strides", 1), ceil_mode=ceil)


def _normalised(given: Sequence[Any], attributes: Attributes) -> Tensor:
    x, scale, bias, mean, variance = given
    return functional.batch_norm(x, mean, variance, scale, bias, eps=attributes.get("epsilon", 1e-5))


def _product(given: Sequence[Any], attributes: Attributes) -> Tensor:
    a, b, *c = given
    a = a.mT if attributes.get("transA", 0) else a
    b = b.mT if attributes.get("transB", 0) else b
    product: Tensor = attributes.get("alpha", 1.0) * (a @ b)
    return product + attributes.get("beta", 1.0) * c[0] if c else product


def _clipped(given: Sequence[Any], attributes: Attributes) -> Tensor:
    x, low, high = [*given, None, None][:3]
    low, high = attributes.get("min", low), attributes.get("max", high)
    clipped: Tensor = torch.clamp(x, low, high)
    return clipped


OPERATORS: dict[str, Operator] = {
    "Conv": _convolution,
    "BatchNormalization": _normalised,
    "Relu": lambda given, _: given[0].relu(),
    "LeakyRelu": lambda given, of: functional.leaky_relu(given[0], of.get("alpha", 0.01)),
    "PRelu": lambda given, _: torch.where(given[0] < 0, given[0] * given[1], given[0]),
    "Clip": _clipped,
    "Sigmoid": lambda given, _: given[0].sigmoid(),
    "HardSigmoid": lambda given, of: (of.get("alpha", 0.2) * given[0] + of.get("beta", 0.5)).clamp(0, 1),
    "HardSwish": lambda given, _: functional.hardswish(given[0]),
    "Tanh": lambda given, _: given[0].tanh(),
    "Add": lambda given, _: given[0] + given[1],
    "Sub": lambda given, _: given[0] - given[1],
    "Mul": lambda given, _: given[0] * given[1],
    "Div": lambda given, _: given[0] / given[1],
    "Concat": lambda given, of: torch.cat(list(given), of["axis"]),
    "MaxPool": _largest,
    "AveragePool": _average,
    "GlobalAveragePool": lambda given, _: given[0].mean((2, 3), keepdim=True),
    "InstanceNormalization": lambda given, of: functional.instance_norm(
        given[0], weight=given[1], bias=given[2], eps=of.get("epsilon", 1e-5)
    ),
    "Reshape": lambda given, _: given[0].reshape(
        [side or given[0].shape[at] for at, side in enumerate(given[1])]
    ),
    "Flatten": lambda given, of: given[0].reshape(*_flat(given[0].shape, of.get("axis", 1))),
    "Gemm": _product,
    "MatMul": lambda given, _: given[0] @ given[1],
    "Softmax": lambda given, of: given[0].softmax(of.get("axis", -1)),
    "Identity": lambda given, _: given[0],
    "Dropout": lambda given, _: given[0],
}  # fmt: skip
"""Each takes what the node is given, None for an input that isn't, and its attributes."""


def _flat(shape: torch.Size, axis: int) -> tuple[int, int]:
    return (-1, math.prod(shape[axis:])) if axis else (1, -1)  # the batch isn't counted: a graph's is free
