"""int8: the networks' matrix products and convolutions, with a byte a weight and a byte a value that comes in.

Static quantisation by onnxruntime's own tool, written as QuantizeLinear and DequantizeLinear around each product.
A matrix product gives float32. onnxruntime's convolution in integers gives bytes, so the last, whose values are the
likelihood's, stays as it is; and so does a transposed one, for which there's none. All else stays float32.

Source: Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference,
2018.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import onnx
from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.quant_utils import add_pre_process_metadata

from vae_pipeline.bundles.export.parity import Arrays
from vae_pipeline.bundles.variants.products import leading, products

MATRIX_PRODUCTS = ("MatMul", "Gemm")


class _Reader:
    """The inputs that `quantize_static` asks for."""

    def __init__(self, batches: Sequence[Arrays]) -> None:
        self._batches = iter(batches)

    def get_next(self) -> Arrays | None:
        """The next batch; None at the end."""
        return next(self._batches, None)


def to_int8(model: onnx.ModelProto, batches: Sequence[Arrays]) -> onnx.ModelProto:
    """The graph with its products quantised, for activations in the range that `batches` of inputs bring about."""
    add_pre_process_metadata(model)  # torch's exporter has folded and inferred; the tool would only say so
    found = products(model.graph)
    ahead = leading(model.graph, found)
    nodes = [(model.graph.node[place], place in ahead) for place in found]
    names = [
        node.name for node, leads in nodes if node.op_type in MATRIX_PRODUCTS or (node.op_type == "Conv" and leads)
    ]
    with tempfile.TemporaryDirectory(prefix="vae-int8-") as folder:
        file = Path(folder) / "int8.onnx"
        quantize_static(
            model,
            file,
            _Reader(batches),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=[*MATRIX_PRODUCTS, "Conv"],
            nodes_to_quantize=names,
            per_channel=True,
            reduce_range=True,  # 8 by 8 bits saturate on x86 without VNNI: the answers would depend on the machine
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            extra_options={"OpTypesToExcludeOutputQuantization": list(MATRIX_PRODUCTS)},
        )
        return onnx.load(file)
