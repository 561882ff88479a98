"""A user's network as a view."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from vae_pipeline.models.features.backbone import Backbone
from vae_pipeline.models.features.scaling import FeatureScaling
from vae_pipeline.models.scaling import Scaling
from vae_pipeline.system.errors import RecipeError
from vae_pipeline.system.files import sha256_of

WEIGHT = np.random.default_rng(0).normal(size=(5, 3, 3, 3)).astype(np.float32)
MAPS = [
    helper.make_node("Conv", ["x", "w"], ["c"], strides=[2, 2], pads=[1, 1, 1, 1]),
    helper.make_node("Clip", ["c", "low", "high"], ["seen"]),
]
VECTOR = [
    *MAPS[:1],
    helper.make_node("GlobalAveragePool", ["c"], ["mean"]),
    helper.make_node("Flatten", ["mean"], ["seen"]),
]


def write(path, nodes, outputs=("seen",), sides=("height", "width"), inputs=("x",), weight=WEIGHT):
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3, *sides]) for name in inputs],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [
            numpy_helper.from_array(weight, "w"),
            numpy_helper.from_array(np.array(0.0, np.float32), "low"),
            numpy_helper.from_array(np.array(6.0, np.float32), "high"),
            numpy_helper.from_array(np.array([0, 5, -1]), "three"),
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


def backbone(path, shape=(1, 8, 12), sha256=None):
    return Backbone(shape, Scaling(0, 255), path, sha256)


def test_a_backbone_sees_grey_images_thrice_and_knows_the_parts_of_the_image(tmp_path):
    view = backbone(write(tmp_path / "net.onnx", MAPS), sha256=sha256_of(tmp_path / "net.onnx"))
    images = torch.randint(0, 256, (2, 1, 8, 12), dtype=torch.uint8)
    wide = (images / 255).expand(-1, 3, -1, -1)
    wanted = nn.functional.conv2d(wide, torch.from_numpy(WEIGHT), stride=2, padding=1).clamp(0, 6)
    torch.testing.assert_close(view(images), wanted)
    assert view.shape == (5, 4, 6)
    assert view.rows == [(0, 2), (2, 4), (4, 6), (6, 8)] and view.columns[-1] == (10, 12)
    assert not list(view.parameters()) and not view.state_dict()  # training leaves it, and the weights' file too


def test_features_that_arent_finite_are_told_before_training(tmp_path):
    divided = [MAPS[0], helper.make_node("Div", ["c", "c"], ["seen"])]
    view = backbone(write(tmp_path / "net.onnx", divided))
    with pytest.raises(RecipeError, match="numbers that aren't finite, in 5 of 5 features"):
        FeatureScaling(view).begin([torch.zeros(2, 1, 8, 12)])
    with pytest.raises(RecipeError, match="gives numbers that aren't finite"):
        backbone(write(tmp_path / "net.onnx", divided, weight=np.zeros_like(WEIGHT)))


def test_a_vector_is_of_the_whole_image(tmp_path):
    view = backbone(write(tmp_path / "net.onnx", VECTOR))
    assert view.shape == (5, 1, 1) and view.rows == [(0, 8)] and view.columns == [(0, 12)]
    assert view(torch.zeros(2, 1, 8, 12)).shape == (2, 5, 1, 1)


@pytest.mark.parametrize(
    ("changes", "shape", "message"),
    [
        ({"nodes": [*MAPS, helper.make_node("Erf", ["seen"], ["e"])]}, (1, 8, 8), "has operators Erf; a net"),
        ({"outputs": ("seen", "c")}, (1, 8, 8), "has the outputs seen, c: save the network with one"),
        ({"inputs": ("x", "y")}, (1, 8, 8), "has 2 inputs; a network is read with one input"),
        ({"sides": (16, 16)}, (1, 8, 8), r"takes an input of \[any, 3, 16, 16\], and .* \[any, 1, 8, 8\]: set"),
        ({}, (2, 8, 8), r"takes an input of \[any, 3, any, any\]"),
        ({"weight": WEIGHT[:, :2]}, (3, 8, 8), r"can't be computed for images \[3, 8, 8\] \(Given groups"),
        (
            {"nodes": [MAPS[0], helper.make_node("Reshape", ["c", "three"], ["seen"])]},
            (1, 8, 8),
            r"gives \[2, 5, 16\] of 2 images; wanted \[batch, features, rows, columns\] or \[batch, features\]",
        ),
    ],
)  # fmt: skip
def test_a_network_that_cant_be_seen_by_is_refused_in_one_line(changes, shape, message, tmp_path):
    path = write(tmp_path / "net.onnx", **({"nodes": MAPS} | changes))
    with pytest.raises(RecipeError, match=message) as raised:
        backbone(path, shape)
    assert "\n" not in str(raised.value) and str(raised.value).startswith(f"model.view.file: {path}")


def test_a_file_that_isnt_there_is_none_or_is_another_is_refused(tmp_path):
    with pytest.raises(RecipeError, match=r"absent\.onnx can't be read \(No such file"):
        backbone(tmp_path / "absent.onnx")
    (tmp_path / "text.onnx").write_text("no graph")
    with pytest.raises(RecipeError, match="isn't an ONNX file"):
        backbone(tmp_path / "text.onnx")
    with pytest.raises(RecipeError, match=r"has the digest .*, and is to have 0{64}: give that file"):
        backbone(write(tmp_path / "net.onnx", MAPS), sha256="0" * 64)
    onnx.save(onnx.load(tmp_path / "net.onnx"), tmp_path / "out.onnx", save_as_external_data=True, size_threshold=0)
    with pytest.raises(RecipeError, match="has its weights in another file"):
        backbone(tmp_path / "out.onnx")
