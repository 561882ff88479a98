import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.lanes import alter

from vae_pipeline.bundles.export.noise import normal_noise
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.metrics.detection import fit_detector
from vae_pipeline.runtime import Bundle, path_between
from vae_pipeline.system.errors import BundleError, DataError
from vae_pipeline.training.trained import Trained


@pytest.fixture(scope="module")
def bundle(lane):
    return Bundle.load(lane.bundle)


@pytest.fixture(scope="module")
def model(lane):
    return Trained.load(lane.model).model.eval()


@pytest.fixture(scope="module")
def x(lane):
    return np.array(Prepared.open(lane.data).test.x)


@torch.inference_mode()
def test_encode_and_reconstruct_are_the_models(bundle, model, x):
    posterior = model.encode(torch.from_numpy(x))
    found = bundle.encode(x)
    np.testing.assert_allclose(found.mean, posterior.mean, atol=1e-4)
    np.testing.assert_allclose(found.log_variance, posterior.log_variance, atol=1e-4)
    wanted = 255 * model.decode(posterior.mean).mean
    np.testing.assert_allclose(bundle.reconstruct(x), wanted, atol=1e-4 * 255)
    np.testing.assert_allclose(bundle.decode(found.mean), wanted, atol=1e-4 * 255)


@torch.inference_mode()
def test_score_is_the_models_with_the_same_noise(bundle, model, x):
    scores = bundle.score(x, samples=3, seed=5)
    noise = np.random.default_rng(5).standard_normal((3, 2)).astype(np.float32)
    posterior = model.encode(torch.from_numpy(x))
    z = posterior.mean + posterior.stddev * torch.from_numpy(noise)[:, None]
    distortion = -model.decode(z).log_prob(model.scaling(torch.from_numpy(x))).mean(0)
    np.testing.assert_allclose(scores.distortion, distortion, rtol=1e-4)
    np.testing.assert_allclose(scores.negative_elbo, scores.distortion + scores.rate, rtol=1e-5)


@pytest.fixture(scope="module")
def detector(lane, smoke):
    trained = Trained.load(lane.model)
    return fit_detector(trained.model, smoke.detection, Prepared.open(lane.data), 0, torch.device("cpu"))


class TestDetection:
    def test_it_is_the_models_detector(self, bundle, detector, x):
        with torch.no_grad():
            wanted = detector(torch.from_numpy(x))
        found = bundle.detect(x)
        for name in ("score", "p_value", "distortion", "rate", "contributions"):
            np.testing.assert_allclose(getattr(found, name), getattr(wanted, name), rtol=1e-4, atol=1e-3)
        assert found.score.tobytes() == bundle.detect(x).score.tobytes()

    def test_its_score_is_the_negative_elbo_of_as_many_draws(self, bundle, x):
        np.testing.assert_allclose(bundle.detect(x).score, bundle.score(x, samples=4).negative_elbo, rtol=1e-5)

    def test_an_alarm_is_a_low_p_value(self, bundle, lane, x):
        found = bundle.detect(x)
        assert (bundle.alarms(found, 0.1) == (found.p_value <= np.float32(0.1))).all()
        count = len(Prepared.open(lane.data).valid)
        assert bundle.least_alpha == 1 / (count + 1)
        noise = np.random.default_rng(0).integers(0, 256, x.shape, np.uint8)
        assert bundle.alarms(bundle.detect(noise), bundle.least_alpha).all()
        with pytest.raises(DataError, match=f"alpha 0.001 was given; this calibration, of {count} examples, tells"):
            bundle.alarms(found, 0.001)

    def test_the_calibration_is_kept(self, bundle, detector):
        scores, told = bundle.calibration()
        np.testing.assert_array_equal(scores, detector.calibration.scores)
        assert told.part == "valid" and told.examples == len(scores)

    def test_a_bundle_without_one_says_why(self, bundle, x, lane):
        graphs = {name: graph for name, graph in bundle.manifest.graphs.items() if name != "detect"}
        apart = Bundle(lane.bundle, replace(bundle.manifest, detection=None, graphs=graphs))
        assert not apart.detects
        with pytest.raises(DataError, match="no detector: it was exported from data without a validation part"):
            apart.detect(x)


def test_a_score_does_not_depend_on_its_neighbours(bundle, x):
    together = bundle.score(x)
    np.testing.assert_allclose(bundle.score(x[7:8]).negative_elbo, together.negative_elbo[7:8], rtol=1e-6)
    np.testing.assert_array_equal(bundle.score(x).negative_elbo, together.negative_elbo)


@torch.inference_mode()
def test_generate_is_sample_with_noise_from_seed_and_index(bundle, model):
    index = torch.arange(300, dtype=torch.float32)
    noise = normal_noise(torch.full_like(index, 7.0), index, model.noise)
    wanted = model.scaling.inverse(model.decode(model.draw(noise)).mean)
    found = bundle.generate(300, seed=7)
    np.testing.assert_allclose(found, wanted, atol=1e-4 * 255)
    np.testing.assert_array_equal(bundle.generate(2, seed=7, first=100), found[100:102])
    assert np.abs(bundle.generate(300, seed=8) - found).max() > 1


@pytest.mark.parametrize(
    ("count", "seed", "first"), [(0, 0, 0), (1, -1, 0), (1, 2**24, 0), (2, 0, 2**24 - 1), (1, 0, -1)]
)
def test_what_float32_cannot_count_is_refused(bundle, count, seed, first):
    with pytest.raises(DataError, match="whole numbers from 0 to 16777215"):
        bundle.generate(count, seed, first)


def test_samples_follow_from_the_seed(bundle, model):
    first = bundle.sample(300, seed=1)
    assert first.shape == (300, 1, 12, 12)
    assert first.min() >= 0 and first.max() <= 255
    np.testing.assert_array_equal(bundle.sample(300, seed=1), first)
    assert not np.array_equal(bundle.sample(300, seed=2), first)
    noise = np.random.default_rng(1).standard_normal((300, 2)).astype(np.float32)
    np.testing.assert_allclose(bundle.decode(noise), first, atol=1e-3)


def test_interpolation_ends_at_the_reconstructions(bundle, x):
    for kind in ("linear", "spherical"):
        path = bundle.interpolate(x[0], x[1], 5, kind)
        np.testing.assert_allclose(path[[0, -1]], bundle.reconstruct(x[:2]), atol=1e-2)


def test_an_edit_moves_the_mean_along_directions(bundle, x, conditional_lane):
    z = bundle.encode(x[:3]).mean
    upright, lying = bundle.directions.vectors["upright"], bundle.directions.vectors["lying"]
    np.testing.assert_allclose(upright, -lying, rtol=1e-4)  # of two classes, each is not the other
    found = bundle.edit(x[:3], {"lying": 1.5, "upright": 0.25})
    np.testing.assert_allclose(found, bundle.decode(z + 1.25 * lying), atol=1e-2)
    np.testing.assert_allclose(bundle.edit(x[:3], {}), bundle.reconstruct(x[:3]), atol=1e-2)
    assert len(bundle.directions) == 2 and bundle.directions["lying"].kind == "class"
    for towards, message in (({"lyin": 1}, "no direction 'lyin', but lying, upright"), ({"lying": np.inf}, "finite")):
        with pytest.raises(DataError, match=message):
            bundle.edit(x[:3], towards)
    with pytest.raises(DataError, match="has no directions: they come with an export of data that have attributes"):
        Bundle.load(conditional_lane.bundle).edit(x[:3], {"lying": 1}, [0] * 3)


def test_the_spherical_path_keeps_the_length():
    start, end = np.array([3.0, 0, 0]), np.array([0, 3.0, 0])
    path = path_between(start, end, np.linspace(0, 1, 9), "spherical")
    np.testing.assert_allclose(np.linalg.norm(path, axis=1), 3, rtol=1e-6)
    turned = np.degrees(np.arctan2(path[:, 1], path[:, 0]))
    np.testing.assert_allclose(turned, np.linspace(0, 90, 9), atol=1e-4)


@pytest.mark.parametrize("end", [[0.0, 0], [2.0, 0], [-1.0, 0]])
def test_paths_without_a_direction_are_straight(end):
    path = path_between(np.array([1.0, 0]), np.array(end), np.linspace(0, 1, 3), "spherical")
    np.testing.assert_allclose(path, np.linspace([1.0, 0], end, 3), atol=1e-6)


def test_a_conditional_bundle_follows_its_labels(conditional_lane):
    bundle = Bundle.load(conditional_lane.bundle)
    x = np.array(Prepared.open(conditional_lane.data).test.x)[:4]
    assert bundle.classes == ("upright", "lying")
    upright, lying = bundle.sample(4, 0, [0] * 4), bundle.sample(4, 0, [1] * 4)
    assert np.abs(upright - lying).max() > 1
    np.testing.assert_array_equal(bundle.sample(4, 0, "lying"), lying)
    np.testing.assert_array_equal(bundle.sample(4, 0, 1), lying)
    np.testing.assert_array_equal(bundle.sample(4, 0, ["lying", "1"] * 2), lying)
    np.testing.assert_array_equal(bundle.reconstruct(x, ["upright", "lying"] * 2), bundle.reconstruct(x, [0, 1, 0, 1]))
    assert bundle.reconstruct(x, [0, 1, 0, 1]).shape == x.shape
    way = bundle.interpolate(x[0], x[1], 4, label=1)
    assert way.shape == (4, 1, 12, 12)
    np.testing.assert_array_equal(bundle.interpolate(x[0], x[1], 4, label="lying"), way)
    np.testing.assert_array_equal(bundle.morph(x, label="lying").frames, bundle.morph(x, label=1).frames)
    for labels, message in [
        (None, r"none was given: wanted one of upright \(0\), lying \(1\)"),
        ([0] * 3, r"labels of shape \[3\] were given for 4"),
        ([0, 1, 2, 0], r"labels \[0, 1, 2\] were given"),
        ([0.5] * 4, "wanted names or numbers"),
        (["lying", "flying"] * 2, "wanted names or numbers of upright"),
        ("flying", r"labels \['flying'\] were given"),
    ]:
        with pytest.raises(DataError, match=message):
            bundle.reconstruct(x, labels)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros((2, 1, 8, 8), np.uint8), r"\[2, 1, 8, 8\] were given; wanted \[examples, 1, 12, 12\]"),
        (np.zeros((1, 12, 12), np.uint8), "wanted"),
        (np.zeros((0, 1, 12, 12), np.uint8), "no observations"),
        (np.full((1, 1, 12, 12), np.nan), "NaN or infinity"),
        (np.full((1, 1, 12, 12), 256), r"from 256 to 256 were given; this model takes raw values in \[0, 255\]"),
        (np.full((1, 1, 12, 12), 0.5), "aren't whole numbers"),
        (np.full((1, 1, 12, 12), "a"), "numbers are wanted"),
    ],
)
def test_wrong_observations_are_refused(bad, message, bundle):
    with pytest.raises(DataError, match=message):
        bundle.encode(bad)


def test_wrong_requests_are_refused(bundle, x):
    for call, message in [
        (lambda: bundle.decode(np.zeros((2, 3))), r"\[2, 3\] were given; wanted \[examples, 2\]"),
        (lambda: bundle.decode(np.full((1, 2), np.inf)), "NaN or infinity"),
        (lambda: bundle.sample(0), "at least 1 sample"),
        (lambda: bundle.score(x, samples=0), "at least 1 sample"),
        (lambda: bundle.interpolate(x[0], x[1], 1), "at least 2 steps"),
        (lambda: bundle.encode(x, [0] * len(x)), "isn't conditional"),
    ]:
        with pytest.raises(DataError, match=message):
            call()


class TestAnswer:
    """Graphs are asked by their own names, for servers."""

    def test_every_graph_gives_its_golden_answers(self, lane, conditional_lane):
        for folder in (lane.bundle, conditional_lane.bundle):
            bundle = Bundle.load(folder)
            for graph, described in bundle.manifest.graphs.items():
                golden = bundle.golden(graph)
                found = bundle.answer(graph, {name: golden[name] for name in described.inputs})
                assert list(found) == list(described.outputs)
                for name, values in found.items():
                    assert values.shape == golden[name].shape
                    np.testing.assert_allclose(values, golden[name], rtol=1e-4, atol=1e-4 * 255)

    @pytest.mark.parametrize(
        ("graph", "inputs", "message"),
        [
            ("decoder", {}, "inputs none were given; wanted z"),
            ("encoder", {"image": np.zeros(1)}, "inputs image were given; wanted x"),
            ("sample", {"noise": np.zeros((1, 2)), "label": np.zeros(1)}, "noise, label were given; wanted noise"),
            ("sample", {"noise": np.zeros((2, 3))}, r"noise: values of shape \[2, 3\] were given; wanted \[ex.*, 2\]"),
            ("sample", {"noise": np.array([["a", "b"]])}, "noise: values of type <U1 were given"),
            ("sample", {"noise": np.zeros((0, 2))}, "noise: the values are none, or hold NaN or infinity"),
            ("sample", {"noise": np.full((1, 2), 1e300)}, "hold NaN or infinity"),
            ("score", {"x": np.zeros((2, 1, 12, 12)), "noise": np.zeros((3, 2))}, "were given as 2 of x, 3 of noise"),
            ("generate", {"seed": np.array([0.5]), "index": np.zeros(1)}, r"seed: \[0.5\] were given; wanted whole"),
            ("generate", {"seed": np.zeros(1), "index": np.array([2**24])}, "index: .* from 0 to 16777215"),
        ],
    )  # fmt: skip
    def test_what_a_graph_does_not_take_is_refused(self, graph, inputs, message, bundle):
        with pytest.raises(DataError, match=message):
            bundle.answer(graph, inputs)

    def test_a_label_is_one_of_the_classes_each(self, conditional_lane):
        bundle = Bundle.load(conditional_lane.bundle)
        for labels, message in [([2], "wanted names or numbers of upright"), ([0, 1], "given for 1 examples")]:
            with pytest.raises(DataError, match=message):
                bundle.answer("decoder", {"z": np.zeros((1, 3)), "label": np.array(labels)})


class TestDamagedBundle:
    @pytest.fixture
    def copy(self, lane, tmp_path):
        return shutil.copytree(lane.bundle, tmp_path / "bundle")

    def test_not_a_bundle(self, tmp_path):
        with pytest.raises(BundleError, match=r"bundle\.json isn't there"):
            Bundle.load(tmp_path)

    def test_a_newer_format(self, copy):
        alter(copy, lambda manifest: manifest.update(format=99))
        with pytest.raises(BundleError, match="format 99, this version reads 2 and 3: update"):
            Bundle.load(copy)

    def test_an_altered_graph(self, copy):
        file = copy / "decoder.onnx"
        file.write_bytes(file.read_bytes()[:-1] + b"?")
        with pytest.raises(BundleError, match=r"decoder\.onnx isn't the file that was exported"):
            Bundle.load(copy)

    def test_a_missing_graph(self, copy):
        (copy / "score.onnx").unlink()
        with pytest.raises(BundleError, match=r"score\.onnx is missing"):
            Bundle.load(copy)


ALONE = """
import sys
from importlib.abc import MetaPathFinder
class Refuse(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "pydantic", "mlflow", "dvc", "onnx", "PIL", "yaml", "rich", "typer", "scipy",
                                  "sklearn", "matplotlib", "jaxtyping", "safetensors"}:
            raise ImportError(f"{name} was imported")
sys.meta_path.insert(0, Refuse())
import numpy as np
from vae_pipeline.runtime import Bundle
bundle = Bundle.load(sys.argv[1])
x = np.load(sys.argv[2])[:5]
bundle.encode(x), bundle.reconstruct(x), bundle.score(x), bundle.interpolate(x[0], x[1], 3)
print(bundle.sample(2).shape)
"""


def test_it_needs_numpy_and_onnxruntime_alone(lane):
    command = [sys.executable, "-c", ALONE, lane.bundle, lane.data / "test.npy"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "(2, 1, 12, 12)\n", done.stderr


def test_large_examples_are_asked_for_few_at_a_time(lane, x, monkeypatch):
    bundle, told = Bundle.load(lane.bundle), []
    whole = bundle.encode(x[:10]).mean
    monkeypatch.setattr("vae_pipeline.runtime.graphs.VALUES", 3 * x[0].size)
    bundle.progress = told.append
    np.testing.assert_allclose(bundle.encode(x[:10]).mean, whole, rtol=1e-5, atol=1e-6)
    assert told == [3, 3, 3, 1]
