"""Which nodes a variant may touch, on a graph small enough to be read."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator

from vae_pipeline.bundles.variants.float16 import to_float16
from vae_pipeline.bundles.variants.int8 import to_int8
from vae_pipeline.bundles.variants.products import networks, products

# A value that passes through no network, a network of two layers with noise between, and a sum of its answers.
TEXT = """
<ir_version: 8, opset_import: ["" : 18]>
graph (float[batch, 2] x, float[batch, 3] noise, float[batch] seed)
    => (float[batch, 4] out, float[batch] total, float[batch] same)
<float[2, 3] first, float[3, 4] second, float[1] large, float[1] third>
{
    same = Add (seed, third)
    scaled = Mul (x, third)
    [gemm] hidden = Gemm (scaled, first)
    power = Exp (hidden)
    drawn = Mul (power, noise)
    product = MatMul (noise, drawn)
    [matmul] out = MatMul (drawn, second)
    shifted = Add (out, large)
    axis = Constant <value = int64[1] {1}> ()
    total = ReduceSum <keepdims = 0> (shifted, axis)
}
"""
LARGE, THIRD = np.float32(300.123), np.float32(1 / 3)


@pytest.fixture
def model():
    proto = onnx.parser.parse_model(TEXT.replace("    product = MatMul (noise, drawn)\n", ""))
    draw = np.random.default_rng(0)
    values = {
        "first": draw.normal(size=(2, 3)),
        "second": draw.normal(size=(3, 4)),
        "large": LARGE[None],
        "third": THIRD[None],
    }
    del proto.graph.initializer[:]
    proto.graph.initializer.extend(
        onnx.numpy_helper.from_array(value.astype(np.float32), name) for name, value in values.items()
    )
    onnx.checker.check_model(proto, full_check=True)
    return proto


@pytest.fixture
def inputs():
    draw = np.random.default_rng(1)
    return {
        "x": draw.random((64, 2), np.float32),
        "noise": draw.normal(size=(64, 3)).astype(np.float32),
        "seed": np.arange(2**24 - 64, 2**24, dtype=np.float32),
    }


def by_onnxruntime(proto, inputs):
    found = onnxruntime.InferenceSession(proto.SerializeToString()).run(None, inputs)
    return dict(zip(("out", "total", "same"), found, strict=True))


def by_reference(proto, inputs):
    return dict(zip(("out", "total", "same"), ReferenceEvaluator(proto).run(None, inputs), strict=True))


def names(proto, places):
    return [proto.graph.node[place].output[0] for place in sorted(places)]


def test_networks_reach_from_the_first_product_to_the_last(model):
    assert names(model, products(model.graph)) == ["hidden", "out"]
    assert names(model, networks(model.graph)) == ["hidden", "power", "drawn", "out"]


def test_a_product_of_two_activations_is_none_of_a_networks():
    proto = onnx.parser.parse_model(TEXT)
    assert "product" not in names(proto, networks(proto.graph))


def test_float16_is_numpys_and_float32_elsewhere(model, inputs):
    """The reference by hand, in numpy: what is a network is rounded to float16, and nothing else."""
    half = to_float16(model)
    onnx.checker.check_model(half, full_check=True)
    weights = {value.name: onnx.numpy_helper.to_array(value) for value in half.graph.initializer}
    assert {name: str(value.dtype) for name, value in weights.items()} == {
        "first.float16": "float16",
        "second.float16": "float16",
        "large": "float32",
        "third": "float32",
    }
    scaled = (inputs["x"] * THIRD).astype(np.float16)
    power = np.exp((scaled @ weights["first.float16"]).astype(np.float16))
    out = (power * inputs["noise"].astype(np.float16)) @ weights["second.float16"]
    for runtime in (by_reference, by_onnxruntime):
        found = runtime(half, inputs)
        np.testing.assert_allclose(found["out"], out, atol=0.02)
        np.testing.assert_array_equal(found["same"], inputs["seed"] + THIRD)
        # At 1,200 a float16 has steps of 1; the sum of what the network gave is float32's.
        np.testing.assert_allclose(found["total"], (found["out"] + LARGE).sum(1), rtol=1e-6)
    rounded = by_reference(half, inputs)["out"]  # onnxruntime drops casts there and back where it computes in float32
    np.testing.assert_array_equal(rounded, rounded.astype(np.float16))


def test_int8_rounds_products_and_nothing_else(model, inputs):
    quantised = to_int8(onnx.ModelProto.FromString(model.SerializeToString()), [inputs])
    weights = {value.name: onnx.numpy_helper.to_array(value) for value in quantised.graph.initializer}
    assert sorted(str(value.dtype) for value in weights.values() if value.ndim == 2) == ["int8", "int8"]
    assert [entry.version for entry in quantised.opset_import if entry.domain == ""] == [18]
    found, wanted = by_onnxruntime(quantised, inputs), by_reference(model, inputs)
    np.testing.assert_array_equal(found["same"], inputs["seed"] + THIRD)
    np.testing.assert_allclose(found["total"], (found["out"] + LARGE).sum(1), rtol=1e-6)
    error = np.abs(found["out"] - wanted["out"]).max()
    assert 0 < error < 0.05 * np.ptp(wanted["out"])
