"""The networks of a perceptual distance: trained here, where there is something to learn, or the user's own."""

import dataclasses

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from tests.lanes import make_job
from tests.training.sharpness.test_terms import sharp
from torch import nn

from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.classifier import digest
from vae_pipeline.metrics.features import reference
from vae_pipeline.models.onnx_net import OPERATORS, OnnxNet
from vae_pipeline.stages.execution import execution_of
from vae_pipeline.stages.job import sections_of
from vae_pipeline.system.errors import RecipeError, SettingsError
from vae_pipeline.system.files import sha256_of
from vae_pipeline.training.processes import Processes
from vae_pipeline.training.sharpness.building import build_sharpener
from vae_pipeline.training.sharpness.features import has_learned, trained_features
from vae_pipeline.training.sharpness.network import read_network

CPU = torch.device("cpu")
WEIGHT = np.random.default_rng(0).normal(size=(4, 1, 3, 3)).astype(np.float32)


def made(prepared, slope):
    """Images of noise on a slope, whose mirrorings can be told by where it is bright, with labels that can't."""
    draw = np.random.default_rng(3)
    ramp = slope * (np.arange(12)[:, None] + 3 * np.arange(12))

    def part(count):
        x = (ramp + draw.integers(0, 60, (count, 1, 12, 12))).astype(np.uint8)
        return Split(x, draw.integers(0, 2, count))

    parts = {name: part(count) for name, count in (("train", 400), ("valid", 200), ("test", 200))}
    spec = dataclasses.replace(prepared.spec, high=255)
    return dataclasses.replace(prepared, **parts, spec=spec, digests={"slope": str(slope)})


@pytest.mark.parametrize(
    ("accuracy", "chance", "examples", "learned"),
    [
        (0.10, 0.10, 10_000, False),
        (0.15, 0.10, 10_000, False),  # beyond chance, and next to it
        (0.20, 0.10, 10_000, True),
        (0.60, 0.50, 60, False),  # by luck, one time in eight
        (0.60, 0.50, 10_000, True),
        (1.00, 1.00, 100, True),
    ],
)
def test_a_classifier_has_learned_beyond_chance(accuracy, chance, examples, learned):
    assert has_learned(accuracy, chance, examples) is learned


def test_labels_that_cant_be_learned_are_replaced_and_noise_is_refused(prepared, tmp_path):
    said = []
    net = trained_features(made(prepared, 4), tmp_path, CPU, said.append)
    assert net.classes.out_features == 4  # mirrorings
    assert len(said) == 1 and "can't learn the labels of these images" in said[0] and "mirrorings" in said[0]
    with pytest.raises(RecipeError, match=r"trained: a classifier can't learn the labels .* the mirrorings .* ONNX"):
        trained_features(made(prepared, 0), tmp_path, CPU, said.append)


def test_the_loss_has_another_network_than_the_frechet_distance(smoke, prepared, tmp_path):
    recipe = sharp(smoke, adversarial=None)
    sharpener, kept = build_sharpener(sections_of(make_job("sharp", recipe, tmp_path)), prepared, tmp_path, CPU, print)
    net = sharpener.perceptual[0].features
    measured = reference(prepared, tmp_path, CPU)
    assert kept.train.sharpness.perceptual.sha256 == digest(net) != measured.sha256
    assert [each.shape for each in net.parameters()] != [each.shape for each in measured.net.parameters()]
    assert not any(each.requires_grad for each in net.parameters())
    with pytest.raises(RecipeError, match=r"is to have f{64}: give that file"):
        recipe.train.sharpness.pinned("f" * 64).pinned(digest(net))


def write_net(path, nodes, outputs=("map",), inputs=("x",)):
    """A graph of one convolution and `nodes` after it."""
    shape = ["batch", 1, "height", "width"]
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]), *nodes],
        "net",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in inputs],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(WEIGHT, "w"), numpy_helper.from_array(np.array([-1, 3]), "flat")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


USUAL = [
    helper.make_node("Relu", ["c"], ["map"]),
    helper.make_node("MaxPool", ["map"], ["small"], kernel_shape=[2, 2], strides=[2, 2], pads=[0, 1, 1, 0]),
    helper.make_node("GlobalAveragePool", ["small"], ["mean"]),
    helper.make_node("Flatten", ["mean"], ["logits"]),
]


def test_a_users_network_is_computed_as_onnxruntime_does_with_torchs_gradient(tmp_path):
    images = torch.rand(3, 1, 7, 9, generator=torch.Generator().manual_seed(0))
    net = read_network(write_net(tmp_path / "net.onnx", USUAL, ("map", "logits", "small")), images)
    images.requires_grad_()
    wide, small = net(images)  # the logits are no map
    convolution = nn.functional.conv2d(images, torch.from_numpy(WEIGHT), padding=1).relu()
    torch.testing.assert_close(wide, convolution)
    assert small.shape == (3, 4, 4, 5)
    gradients = [torch.autograd.grad(each.square().sum(), images)[0] for each in (wide, convolution)]
    torch.testing.assert_close(*gradients)


def test_every_operator_is_onnxs_own():
    """onnx's reference implementation computes each operator, on inputs that it allows."""
    from onnx.reference import ReferenceEvaluator

    draw = np.random.default_rng(1)
    x, c = draw.normal(size=(2, 4, 6, 6)).astype(np.float32), draw.normal(size=(1, 4, 1, 1)).astype(np.float32)
    scale, flat, square = (draw.uniform(0.5, 1, size).astype(np.float32) for size in (4, (2, 4), (4, 4)))
    more = {
        "Conv": ([x, draw.normal(size=(6, 2, 3, 3)).astype(np.float32), draw.normal(size=6).astype(np.float32)],
                 {"group": 2, "strides": [2, 1], "pads": [1, 0, 2, 1], "dilations": [1, 2]}),
        "BatchNormalization": ([x, scale, scale, scale, scale], {"epsilon": 1e-3}),
        "InstanceNormalization": ([x, scale, scale], {"epsilon": 1e-3}),
        "MaxPool": ([x], {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 1, 1]}),
        "AveragePool": ([x], {"kernel_shape": [3, 2], "strides": [2, 1]}),
        "Clip": ([x, np.float32(-0.5), np.float32(0.3)], {}),
        "LeakyRelu": ([x], {"alpha": 0.2}), "HardSigmoid": ([x], {"alpha": 0.3, "beta": 0.4}),
        "PRelu": ([x, c[0]], {}), "Concat": ([x, x], {"axis": 1}), "Softmax": ([x], {"axis": 1}),
        "Gemm": ([flat, square, scale], {"transB": 1, "alpha": 0.5, "beta": 2.0}), "MatMul": ([flat, square], {}),
        "Reshape": ([x, np.array([0, 2, -1])], {}), "Flatten": ([x], {"axis": 2}),
        **{name: ([x, c], {}) for name in ("Add", "Sub", "Mul", "Div")},
    }  # fmt: skip
    for name, operator in OPERATORS.items():
        given, attributes = more.get(name, ([x], {}))
        names = [f"i{index}" for index in range(len(given))]
        node = helper.make_node(name, names, ["out"], **attributes)
        graph = helper.make_graph(
            [node],
            "one",
            [
                helper.make_tensor_value_info(each, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
                for each, value in zip(names, given, strict=True)
            ],
            [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        (wanted,) = ReferenceEvaluator(model).run(None, dict(zip(names, given, strict=True)))
        read = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        plain = [
            value.tolist() if value.ndim == 0 or value.dtype.kind == "i" else torch.from_numpy(value) for value in given
        ]
        found = operator(plain, read)
        np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize(
    ("nodes", "outputs", "message"),
    [
        ([helper.make_node("Erf", ["c"], ["map"])], ("map",), "has operators Erf; .* read with one input and .* Conv,"),
        (USUAL, ("logits",), r"has no output \[batch, features, rows, columns\]: export"),
        ([helper.make_node("Mul", ["c", "zero"], ["map"])], ("map",), "can't be computed for images"),
        ([helper.make_node("MaxPool", ["c"], ["map"], kernel_shape=[2, 2], auto_pad="SAME_UPPER")], ("map",), "pads"),
        ([helper.make_node("Clip", ["c"], ["map"], name="", min=0.0)], ("map",), "can't be computed|onnxruntime"),
    ],
)
def test_a_network_that_cant_be_used_is_refused_in_one_line(nodes, outputs, message, tmp_path):
    with pytest.raises(RecipeError, match=message) as raised:
        read_network(write_net(tmp_path / "net.onnx", nodes, outputs), torch.rand(2, 1, 8, 8))
    assert "\n" not in str(raised.value) and "net.onnx" in str(raised.value)


def test_a_network_without_a_gradient_and_a_file_that_is_none_are_refused(tmp_path, smoke):
    nought = [
        helper.make_node("Sub", ["c", "c"], ["none"]),
        helper.make_node("Relu", ["none"], ["map"]),
    ]
    with pytest.raises(RecipeError, match="has no gradient"):
        read_network(write_net(tmp_path / "net.onnx", nought), torch.rand(2, 1, 8, 8))
    (tmp_path / "text.onnx").write_text("no graph")
    with pytest.raises(RecipeError, match="isn't an ONNX file"):
        OnnxNet(tmp_path / "text.onnx", "a network")
    for given, sha256, message in (
        ("missing.onnx", None, r"missing\.onnx can't be read"),
        ("net.onnx", "0" * 64, "is to have 0{64}"),
    ):
        recipe = sharp(smoke, {"weight": 1.0, "features": str(tmp_path / given), "sha256": sha256}, None)
        with pytest.raises(RecipeError, match=message):
            sections_of(make_job("sharp", recipe, tmp_path))
    recipe = sharp(smoke, {"weight": 1.0, "features": str(tmp_path / "net.onnx")}, None)
    sections = sections_of(make_job("sharp", recipe, tmp_path))
    assert sections.train.sharpness.perceptual.sha256 == sha256_of(tmp_path / "net.onnx")


@pytest.mark.parametrize(
    ("settings", "processes", "message"), [({"compile": "on"}, 1, "VAE_COMPILE=on"), ({}, 2, "2 processes")]
)
def test_a_step_that_is_compiled_or_of_several_processes_is_refused(settings, processes, message, smoke, tmp_path):
    job = make_job("sharp", sharp(smoke), tmp_path, **settings)
    with pytest.raises(SettingsError, match=f"{message}: the steps of a recipe with train.sharpness"):
        execution_of(sections_of(job), job.settings, CPU, Processes(0, processes), 10**6)
    free = make_job("sharp", sharp(smoke), tmp_path)
    found = execution_of(sections_of(free), free.settings, torch.device("cuda"), Processes(), 10**6)
    assert not found.compiled and not found.captured  # as it would be without the section
