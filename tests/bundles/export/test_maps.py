"""A bundle of a model whose latents are a map, in the classes of its images: every graph, at every size."""

import numpy as np
import onnx
import pytest
import torch
from tests.contracts.test_models import make
from tests.models.test_flow_matching import shaken

from vae_pipeline.bundles.conformance.conform import conform
from vae_pipeline.bundles.conformance.runtimes import Runtime
from vae_pipeline.bundles.export import parity
from vae_pipeline.bundles.export.bundle import Provenance, write_bundle
from vae_pipeline.bundles.export.maps import other_side
from vae_pipeline.bundles.serving.repository import write_repository
from vae_pipeline.bundles.variants.calibration import calibration
from vae_pipeline.bundles.variants.float16 import to_float16
from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.latent_map import latent_map
from vae_pipeline.runtime import Bundle
from vae_pipeline.runtime.manifest import Manifest
from vae_pipeline.runtime.signatures import MAPS, GraphName
from vae_pipeline.system.files import write_json

pytestmark = pytest.mark.slow
SHAPE = (3, 10, 12)
ANY = set(MAPS) - {GraphName.MAP_DENOISE}  # the graphs of maps of any model, denoiser or not


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps")
    model = make("residual", "residual", "gaussian_learned", True, SHAPE, "spatial_gaussian").eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.03 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    model.sampler = shaken(model.latent_shape)
    for parameter in model.sampler.velocity.output.parameters():
        parameter.data.mul_(0.01)  # a gentle flow, of which three steps have an inverse
    draw = np.random.default_rng(0)
    test = Split(draw.integers(0, 256, (20, *SHAPE)).astype(np.uint8), draw.integers(0, 3, 20))
    metrics = {"failed_gates": [], "latent_map": latent_map(model, test, 0, torch.device("cpu"))}
    origin = Provenance("tiny", "", "", "", "flow_matching", "none")
    spec = ImageSpec(SHAPE, "uint8", 0, 255, False, ("a", "b", "c"))
    rows, _ = write_bundle(model, spec, None, [], test, metrics, origin, 0, folder)
    write_json(folder / "parity.json", {"tolerance": 1e-4})
    Manifest.load(folder).save_with(folder, "parity.json")
    return folder, model, test, rows


def test_graphs_are_the_model_at_sizes_that_were_not_trained(exported):
    _, model, _, rows = exported
    parity.require(rows, 1e-4)
    sizes = {row.event[-2:] for row in rows if row.graph in MAPS and row.output == "mean"}
    assert sizes == {other_side(batch, *model.latent_shape[1:]) for batch in parity.BATCHES}
    assert len(sizes) == 3 and model.latent_shape[1:] not in sizes and any(rows != columns for rows, columns in sizes)


def test_a_photograph_in_tiles_is_the_photograph(exported):
    folder, model, _, _ = exported
    bundle = Bundle.load(folder)
    x = np.random.default_rng(1).integers(0, 256, (1, 3, 481, 321)).astype(np.uint8)
    whole, tiled = (bundle.reconstruct(x, [1], tile=tile) for tile in (None, 96))
    assert whole.shape == x.shape and np.ptp(whole) > 1
    assert np.abs(tiled - whole).max() / bundle.spec.unit < 1e-4
    with torch.no_grad():
        padded = torch.from_numpy(np.pad(x, ((0, 0), (0, 0), (0, 1), (0, 1)), mode="edge"))
        label = torch.tensor([1])
        mean, _ = model.encode_map(padded, label)
        wanted = model.scaling.inverse(model.decode_map(mean, label).mean)[..., :481, :321]
    np.testing.assert_allclose(whole, wanted, rtol=0, atol=1e-4 * bundle.spec.unit)


def test_a_morph_through_the_noise_of_flow_matching_ends_at_the_reconstructions(exported):
    folder, _, test, _ = exported
    bundle = Bundle.load(folder)
    found = bundle.morph(test.x[:2], 5, "sampler", label=1)
    wanted = bundle.reconstruct(test.x[:2], [1, 1])
    np.testing.assert_allclose(found.frames[[0, -1]], wanted, atol=1e-3 * bundle.spec.unit)
    other = bundle.morph(test.x[:2], 5, "linear", label=1).frames[2]
    assert np.abs(found.frames[2] - other).max() > 1e-3 * bundle.spec.unit


def test_draws_of_scaled_latents_have_deviation_1(exported):
    folder, _, test, _ = exported
    bundle = Bundle.load(folder)
    found = bundle.encode_map(test.x, test.labels, scaled=True)
    noise = np.random.default_rng(0).standard_normal((500, *found.mean.shape))
    z = found.mean + np.exp(found.log_variance / 2) * noise
    np.testing.assert_allclose(z.mean((0, 1, 3, 4)), 0, atol=0.02)
    np.testing.assert_allclose(z.std((0, 1, 3, 4)), 1, atol=0.02)
    told = bundle.latent_map
    mean, deviation = (np.array(each)[:, None, None] for each in (told.mean, told.deviation))
    assert told.scale_factor == pytest.approx(1 / (z * deviation + mean).std(), rel=0.02)


def test_samples_are_decoded_from_the_steps_of_flow_matching(exported):
    folder, model, _, _ = exported
    noise = np.random.default_rng(2).standard_normal((3, model.noise)).astype(np.float32)
    label = torch.tensor([0, 1, 2])
    found = Bundle.load(folder).rows(GraphName.SAMPLE, {"noise": noise}, label.numpy())[0]
    with torch.no_grad():
        z = model.draw(torch.from_numpy(noise))
        wanted = model.scaling.inverse(model.decode(z, label).mean)
        by_prior = model.scaling.inverse(model.decode(torch.from_numpy(noise), label).mean)
    unit = model.scaling.width
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4 * unit)
    assert (wanted - by_prior).abs().max() > 0.01 * unit


def test_runtimes_are_asked_for_maps_of_two_sizes(exported, tmp_path):
    folder = exported[0]
    rows = list(conform(folder, [Runtime.ONNXRUNTIME, Runtime.REFERENCE], tmp_path))
    assert {(row.outcome, row.reason) for row in rows} == {("works", "")}
    assert {row.graph for row in rows} >= ANY


def test_maps_are_served_and_made_smaller(exported, tmp_path):
    folder, _, test, _ = exported
    bundle = Bundle.load(folder)
    names = write_repository(bundle, "triton", tmp_path / "repository")
    config = (tmp_path / "repository" / "tiny_map_encoder" / "config.pbtxt").read_text()
    assert "tiny_map_decoder" in names and "dims: [ 3, -1, -1 ]" in config
    for name in sorted(ANY):
        given = calibration(bundle, name, test.x[:4], test.labels[:4])[0]
        file = tmp_path / f"{name}.onnx"
        file.write_bytes(to_float16(onnx.load(folder / f"{name}.onnx")).SerializeToString())
        full, half = (parity.run(path, given, MAPS[name].outputs) for path in (folder / f"{name}.onnx", file))
        for output, wanted in full.items():
            assert 0 < np.abs(half[output] - wanted).max() < 0.05 * np.ptp(wanted)
