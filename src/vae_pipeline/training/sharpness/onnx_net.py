"""A user's ONNX network, computed by torch so that images have a gradient: the operators of usual convolutional nets.

onnxruntime, which runs any graph, has no gradient; and none of the packages that turn graphs into torch modules is
kept up. What is read here is compared with onnxruntime's answer before it is used.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vae_pipeline.system.errors import RecipeError
from vae_pipeline.training.sharpness.distance import Images, Maps

AGREEMENT = 1e-3  # of the largest value of a map
Attributes = Mapping[str, Any]
Operator = Callable[[Sequence[Any], Attributes], Tensor]


class OnnxNet(nn.Module):
    """Images to those outputs of a graph that are maps of features."""

    def __init__(self, path: Path) -> None:
        """Raises RecipeError: the file can't be read, or has an operator that isn't known here."""
        super().__init__()
        import onnx  # noqa: PLC0415 (a third of a second, for those who bring a network)

        try:
            graph = onnx.load(path).graph
        except Exception as error:  # protobuf's and onnx's exceptions share no narrower root
            raise RecipeError(f"train.sharpness.perceptual.features: {path} isn't an ONNX file ({error})") from error
        self.path = path
        self.weights = {each.name: _tensor(onnx.numpy_helper.to_array(each)) for each in graph.initializer}
        inputs = [each for each in graph.input if each.name not in self.weights]
        unknown = sorted({node.op_type for node in graph.node} - OPERATORS.keys() - {"Constant"})
        if unknown or len(inputs) != 1:
            wanted = f"operators {', '.join(unknown)}" if unknown else f"{len(inputs)} inputs"
            raise RecipeError(
                f"train.sharpness.perceptual.features: {path} has {wanted}; a network that images can have a gradient "
                f"of is read with one input and the operators {', '.join(OPERATORS)}"
            )
        self.input, self.outputs = inputs[0].name, [each.name for each in graph.output]
        sides = inputs[0].type.tensor_type.shape.dim
        self.channels = sides[1].dim_value if len(sides) == 4 else 0
        self.nodes = []
        for node in graph.node:
            attributes = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
            if node.op_type == "Constant":
                self.weights[node.output[0]] = _tensor(onnx.numpy_helper.to_array(attributes["value"]))
            else:
                self.nodes.append((OPERATORS[node.op_type], list(node.input), node.output[0], attributes))

    def forward(self, images: Images) -> Maps:
        """The maps; grey images are shown to a network of colour thrice."""
        wide = images.expand(-1, self.channels, -1, -1) if images.shape[1] == 1 and self.channels > 1 else images
        values: dict[str, Any] = {"": None, self.input: wide, **self.weights}
        for operator, given, output, attributes in self.nodes:
            values[output] = operator([values[name] for name in given], attributes)
        return [values[name] for name in self.outputs if values[name].ndim == 4]

    def to_device(self, device: torch.device) -> "OnnxNet":
        """The network with its weights there."""
        self.weights = {name: each.to(device) for name, each in self.weights.items()}
        return self


def read_network(path: Path, images: Images) -> OnnxNet:
    """The network of a file, tried on some images.

    Raises:
        RecipeError: it can't be read, computes otherwise than onnxruntime, gives no maps, or has no gradient.
    """
    import onnxruntime  # noqa: PLC0415

    net, where = OnnxNet(path), f"train.sharpness.perceptual.features: {path}"
    tried = images.clone().requires_grad_()
    try:
        maps = net(tried)
        if not maps:
            raise RecipeError(
                f"{where} has no output [batch, features, rows, columns]: export the network with maps of its inner "
                "layers as outputs"
            )
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        wide = images.expand(-1, net.channels, -1, -1) if images.shape[1] == 1 and net.channels > 1 else images
        wanted = [each for each in session.run(None, {net.input: wide.numpy()}) if each.ndim == 4]
    except RecipeError:
        raise
    except Exception as error:  # of torch and of onnxruntime: shapes that don't fit, attributes that aren't known
        said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise RecipeError(f"{where} can't be computed for images {list(images.shape[1:])} ({said})") from error
    for found, right in zip(maps, wanted, strict=True):
        apart = float(np.abs(found.detach().numpy() - right).max() / max(np.abs(right).max(), 1e-12))
        if not apart <= AGREEMENT:
            raise RecipeError(f"{where} is computed otherwise than onnxruntime does, by {apart:.1g}: take another one")
    (gradient,) = torch.autograd.grad(sum(each.sum() for each in maps), tried, allow_unused=True)
    if gradient is None or not gradient.isfinite().all() or not gradient.any():
        raise RecipeError(f"{where} has no gradient for images to learn by: take a network without rounding")
    return net


def _tensor(values: Any) -> Tensor:
    return torch.from_numpy(np.array(values))


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
    clipped: Tensor = torch.clamp(x, None if low is None else float(low), None if high is None else float(high))
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
        [side or given[0].shape[at] for at, side in enumerate(given[1].tolist())]
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
    return int(np.prod(shape[:axis])), int(np.prod(shape[axis:]))
