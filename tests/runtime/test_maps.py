"""Images of any size: hand-made graphs of known radii, beside those of a bundle."""

import shutil

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.lanes import alter

from vae_pipeline.runtime import Bundle
from vae_pipeline.runtime.latent_map import LatentMapEntry
from vae_pipeline.system.errors import BundleError, DataError
from vae_pipeline.system.files import sha256_of

CHANNELS, FACTOR = 2, 2
ENCODER_RADIUS = 2  # 3x3, then places 2i to 2i + 2: place 0 sees pixels -1 to 3, beside its own 0 and 1
DECODER_RADIUS = 2  # pixels 0 and 1 see -1 to 2, which are places -1 to 1, and these see -2 to 2
MAP = {
    "channels": CHANNELS,
    "factor": FACTOR,
    "encoder_radius": ENCODER_RADIUS,
    "decoder_radius": DECODER_RADIUS,
    "mean": [0.5, -1.0],
    "deviation": [2.0, 0.25],
    "images": 10,
}


def graph(name, nodes, weights, inputs, outputs):
    made = helper.make_graph(nodes, name, inputs, outputs, weights)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model


def tensor(name, kind, *shape):
    return helper.make_tensor_value_info(name, kind, ["batch", *shape])


def map_encoder(channels):
    draw = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(draw.standard_normal((3, channels, 3, 3)).astype(np.float32), "a"),
        numpy_helper.from_array(draw.standard_normal((2 * CHANNELS, 3, 3, 3)).astype(np.float32), "b"),
    ]
    nodes = [
        helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Conv", ["f", "a"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Tanh", ["c"], ["t"]),
        helper.make_node("Conv", ["t", "b"], ["m"], strides=[2, 2], pads=[0, 0, 1, 1]),
        helper.make_node("Split", ["m"], ["mean", "log_variance"], axis=1, num_outputs=2),
    ]
    outputs = [tensor(each, TensorProto.FLOAT, CHANNELS, "rows", "columns") for each in ("mean", "log_variance")]
    return graph("map_encoder", nodes, weights, [tensor("x", TensorProto.UINT8, channels, "height", "width")], outputs)


def map_decoder(channels):
    draw = np.random.default_rng(1)
    weights = [
        numpy_helper.from_array(draw.standard_normal((3, CHANNELS, 3, 3)).astype(np.float32), "a"),
        numpy_helper.from_array(draw.standard_normal((channels, 3, 3, 3)).astype(np.float32), "b"),
        numpy_helper.from_array(np.array([1, 1, FACTOR, FACTOR], np.float32), "twice"),
    ]
    nodes = [
        helper.make_node("Conv", ["z", "a"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Tanh", ["c"], ["t"]),
        helper.make_node(
            "Resize", ["t", "", "twice"], ["u"],
            mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor",
        ),
        helper.make_node("Conv", ["u", "b"], ["x_mean"], pads=[1, 1, 1, 1]),
    ]  # fmt: skip
    inputs = [tensor("z", TensorProto.FLOAT, CHANNELS, "rows", "columns")]
    return graph(
        "map_decoder", nodes, weights, inputs, [tensor("x_mean", TensorProto.FLOAT, channels, "height", "width")]
    )


def described(values):
    kinds = {TensorProto.FLOAT: "float32", TensorProto.UINT8: "uint8"}
    return {
        value.name: {
            "dtype": kinds[value.type.tensor_type.elem_type],
            "shape": [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim],
        }
        for value in values
    }


@pytest.fixture(scope="module")
def made(lane, tmp_path_factory):
    folder = shutil.copytree(lane.bundle, tmp_path_factory.mktemp("maps") / "bundle")
    entries = {}
    for model in (map_encoder(1), map_decoder(1)):
        file = folder / f"{model.graph.name}.onnx"
        file.write_bytes(model.SerializeToString())
        entries[model.graph.name] = {
            "about": "",
            "file": file.name,
            "sha256": sha256_of(file),
            "golden": "encoder.npz",
            "golden_sha256": "",
            "inputs": described(model.graph.input),
            "outputs": described(model.graph.output),
        }

    def with_map(manifest):
        manifest["latent_map"] = dict(MAP)
        manifest["graphs"] |= entries

    alter(folder, with_map)
    return folder


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / "bundle")


@pytest.fixture(scope="module")
def bundle(made):
    return Bundle.load(made)


def pictures(height, width, count=2):
    return np.random.default_rng(0).integers(0, 2, (count, 1, height, width), np.uint8)


def changed(folder, **values):
    alter(folder, lambda manifest: manifest["latent_map"].update(values))
    return Bundle.load(folder)


@pytest.mark.parametrize("tile", [1, 5, 8, 100])
@pytest.mark.parametrize(("height", "width"), [(37, 54), (2, 1), (12, 12)])
def test_tiles_are_what_the_whole_is(bundle, height, width, tile):
    x = pictures(height, width)
    whole, tiled = bundle.encode_map(x), bundle.encode_map(x, tile=tile)
    rows, columns = -(-height // FACTOR), -(-width // FACTOR)
    assert whole.mean.shape == whole.log_variance.shape == (2, CHANNELS, rows, columns)
    np.testing.assert_allclose(tiled.mean, whole.mean, rtol=0, atol=1e-5)
    np.testing.assert_allclose(tiled.log_variance, whole.log_variance, rtol=0, atol=1e-5)
    np.testing.assert_allclose(
        bundle.decode_map(whole.mean, tile=tile), bundle.decode_map(whole.mean), rtol=0, atol=1e-5
    )
    if (height, width) != bundle.spec.event_shape[1:]:
        answer = bundle.reconstruct(x)
        assert answer.shape == x.shape
        np.testing.assert_allclose(bundle.reconstruct(x, tile=tile), answer, rtol=0, atol=1e-5)


def test_with_less_around_them_tiles_would_be_others(folder):
    exact, x = Bundle.load(folder), pictures(24, 24)
    z = exact.encode_map(x).mean
    short = changed(folder, decoder_radius=DECODER_RADIUS - 1)
    assert np.abs(short.decode_map(z, tile=8) - exact.decode_map(z)).max() > 1e-3


def test_sides_that_the_factor_does_not_divide_repeat_the_edge(bundle):
    x = pictures(7, 9)
    wanted = bundle.encode_map(np.pad(x, ((0, 0), (0, 0), (0, 1), (0, 1)), mode="edge"))
    np.testing.assert_array_equal(bundle.encode_map(x).mean, wanted.mean)
    np.testing.assert_array_equal(bundle.reconstruct(x), bundle.decode_map(wanted.mean)[:, :, :7, :9])


def test_scaled_latents_are_less_the_mean_over_the_deviation(bundle):
    x = pictures(8, 8)
    plain, scaled = bundle.encode_map(x), bundle.encode_map(x, scaled=True)
    mean, deviation = (np.array(MAP[name])[:, None, None] for name in ("mean", "deviation"))
    np.testing.assert_allclose(scaled.mean, (plain.mean - mean) / deviation, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(np.exp(scaled.log_variance), np.exp(plain.log_variance) / deviation**2, rtol=1e-4)
    np.testing.assert_allclose(
        bundle.decode_map(scaled.mean, scaled=True), bundle.decode_map(plain.mean), rtol=1e-4, atol=1e-4
    )


def test_the_scale_factor_is_one_over_the_deviation_of_all_numbers():
    draw = np.random.default_rng(0)
    z = draw.standard_normal((50, 3, 4, 5)) * np.array([1, 2, 0.5])[:, None, None] + np.array([0, 3, -1])[:, None, None]
    of_each = [tuple(map(float, values)) for values in (z.mean((0, 2, 3)), z.std((0, 2, 3)))]
    assert LatentMapEntry(3, 4, None, None, *of_each, 50).scale_factor == pytest.approx(1 / z.std())


@pytest.mark.parametrize("radius", ["encoder_radius", "decoder_radius"])
def test_tiles_of_what_sees_the_whole_image_are_refused(folder, radius):
    whole = changed(folder, **{radius: None})
    with pytest.raises(DataError, match="normalisation: local and attention: false"):
        whole.reconstruct(pictures(20, 20), tile=8)
    assert whole.reconstruct(pictures(20, 20)).shape == (2, 1, 20, 20)


def test_what_maps_refuse(bundle, lane):
    with pytest.raises(DataError, match=r"shape \[1, 3, 20, 20\] were given; wanted \[examples, 1, height, width\]"):
        bundle.reconstruct(np.zeros((1, 3, 20, 20), np.uint8))
    with pytest.raises(DataError, match="tiles of 0 pixels"):
        bundle.encode_map(pictures(8, 8), tile=0)
    with pytest.raises(DataError, match=r"wanted \[examples, 2, rows, columns\]"):
        bundle.decode_map(np.zeros((1, 3, 4, 4)))
    with pytest.raises(DataError, match="sides that 2 divides"):
        bundle.answer("map_encoder", {"x": pictures(7, 8)})
    assert bundle.answer("map_encoder", {"x": pictures(6, 8)})["mean"].shape == (2, CHANNELS, 3, 4)
    vector = Bundle.load(lane.bundle)
    assert vector.latent_map is None
    for refused in (lambda: vector.encode_map(pictures(12, 12)), lambda: vector.reconstruct(pictures(12, 12), tile=4)):
        with pytest.raises(DataError, match=r"no map of latents but a vector: it takes observations of \[1, 12, 12\]"):
            refused()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"factor": 0}, "counts from 1 to"),
        ({"channels": 3}, "of 2 and 2 channels"),
        ({"deviation": [1.0, 0.0]}, "the deviation over 0"),
        ({"mean": [1.0, "x"]}, r"latent_map\.mean\[1\]"),
    ],
)
def test_a_map_that_can_not_be(folder, change, said):
    with pytest.raises(BundleError, match=said):
        changed(folder, **change)


def test_graphs_of_maps_without_a_map(folder):
    alter(folder, lambda manifest: manifest.pop("latent_map"))
    with pytest.raises(BundleError, match=r"graphs\.map_encoder is none of"):
        Bundle.load(folder)


def test_free_sides_are_of_graphs_of_maps_alone(folder):
    alter(
        folder, lambda manifest: manifest["graphs"]["encoder"]["inputs"]["x"].update(shape=["batch", 1, "height", 12])
    )
    with pytest.raises(BundleError, match=r"encoder: x has rows of \[1, 'height', 12\]"):
        Bundle.load(folder)
