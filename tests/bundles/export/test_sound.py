"""A bundle of a model of sound: samples go in and come out, whatever the view."""

import numpy as np
import pytest
import soundfile
import torch
from tests.bundles.export.test_families import is_the_model
from tests.cli.test_cli import invoke
from tests.contracts.test_models import RECORDINGS, SPECTROGRAM, WAVEFORM, heard
from tests.lanes import ROOT

from vae_pipeline.bundles.conformance.conform import conform
from vae_pipeline.bundles.conformance.runtimes import Runtime
from vae_pipeline.bundles.export import parity
from vae_pipeline.bundles.export.bundle import Provenance, write_bundle
from vae_pipeline.bundles.export.calibration import Calibrated
from vae_pipeline.bundles.export.graphs import GRAPHS
from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.detection import calibrated
from vae_pipeline.recipe import Recipe
from vae_pipeline.runtime import Bundle
from vae_pipeline.runtime.agreement import Units
from vae_pipeline.runtime.manifest import Manifest
from vae_pipeline.runtime.signatures import GraphName
from vae_pipeline.system.errors import VaeError
from vae_pipeline.system.files import write_json

pytestmark = pytest.mark.slow
VIEW = SPECTROGRAM | {"mel": 6, "griffin_lim": 2}


def recordings(count):
    return np.random.default_rng(0).uniform(-0.5, 0.5, (count, *RECORDINGS.event_shape)).astype(np.float32)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound")
    model = heard(VIEW, "gru", "gaussian_learned", False).eval()
    torch.nn.init.constant_(model.decoder.output.bias, 0.7)  # loud, so that phases matter
    origin = Provenance("tiny", "", "", "", "prior", "none")
    metrics = {"failed_gates": []}
    test = Split(recordings(20), None)
    detector = calibrated(
        model, Recipe.load(ROOT / "pipeline" / "digits.yaml").detection, test, test, torch.device("cpu")
    )
    rows, _ = write_bundle(model, RECORDINGS, Calibrated(detector, None, False), [], test, metrics, origin, 0, folder)
    write_json(folder / "parity.json", {"tolerance": 1e-4})
    Manifest.load(folder).save_with(folder, "parity.json")
    return folder, model, rows


def test_its_graphs_are_the_model(exported):
    _, _, rows = exported
    parity.require(rows, 1e-4)
    assert {row.graph for row in rows} == {*(graph.name for graph in GRAPHS), GraphName.DETECT}
    assert {row.event for row in rows if row.output == "x_mean"} == {RECORDINGS.event_shape}


def test_its_graphs_are_read_by_the_reference(exported, tmp_path):
    rows = list(conform(exported[0], [Runtime.REFERENCE], tmp_path))
    assert {(row.outcome, row.reason) for row in rows} == {("works", "")}


def test_a_detector_tells_what_each_band_adds(exported):
    bundle = Bundle.load(exported[0])
    found = bundle.detect(recordings(3))
    assert found.contributions.shape == (3, 2, 6, exported[1].scaling.shape[2])
    assert ((found.p_value > 0) & (found.p_value <= 1)).all()


def test_a_bundle_takes_and_gives_recordings(exported):
    folder, model, _ = exported
    bundle, x = Bundle.load(folder), recordings(3)
    mean = bundle.encode(x).mean
    with torch.inference_mode():
        raw = torch.from_numpy(x)
        wanted = model.scaling.resounded(model.decode(model.encode(raw).mean).mean, raw).numpy()
    np.testing.assert_allclose(bundle.reconstruct(x), wanted, atol=1e-5)  # with its phases
    assert np.abs(bundle.decode(mean) - wanted).max() > 0.1  # with found ones
    assert bundle.score(x).negative_elbo.shape == (3,)
    for made in (bundle.sample(3), bundle.generate(3), bundle.interpolate(x[0], x[1], 3)):
        assert made.shape == (3, *RECORDINGS.event_shape) and np.isfinite(made).all()


def test_the_graphs_of_waveforms_are_the_model(tmp_path):
    model, made = heard(WAVEFORM, "residual_1d", "laplace_per_element", False).eval(), {}
    for graph in GRAPHS[:3]:
        is_the_model(graph, model, torch.from_numpy(recordings(5)), Units(RECORDINGS, None), tmp_path, made)


def test_a_morph_is_a_recording_or_a_folder_of_them(exported, tmp_path):
    folder, x = exported[0], recordings(3)
    for name, each in zip("abc", x, strict=True):
        soundfile.write(tmp_path / f"{name}.wav", each.T, RECORDINGS.rate_hz, subtype="FLOAT")
    files = [tmp_path / f"{name}.wav" for name in "abc"]
    bundle = Bundle.load(folder)
    assert "17 frames" in invoke("morph", folder, *files, "-o", tmp_path / "m.wav")
    heard, rate_hz = soundfile.read(tmp_path / "m.wav")
    wanted = bundle.morph(x, 17).frames
    assert rate_hz == RECORDINGS.rate_hz
    np.testing.assert_allclose(heard, wanted.swapaxes(1, 2).reshape(heard.shape).clip(-1, 1), atol=1e-4)
    invoke("morph", folder, *files[:2], "-o", tmp_path / "way", "--frames", 11, "--loop", "--path", "linear")
    made = sorted((tmp_path / "way").iterdir())
    assert [each.name for each in made] == [f"{number:02}.wav" for number in range(1, 11)]
    last = bundle.morph(x[:2], 11, "linear", loop=True).frames[-1]
    np.testing.assert_allclose(soundfile.read(made[-1])[0].T.reshape(last.shape), last.clip(-1, 1), atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["morph", "{a}", "{a}", "-o", "{tmp}/m.gif"], r"m\.gif: the name must end in \.wav or \.npy"),
        (["morph", "{a}", "-o", "{tmp}/m.wav"], "from one example to others; given 1"),
        (["morph", "{a}", "{a}", "-o", "{tmp}/m.wav", "--fps", 10], "--fps means nothing to a model of recordings"),
        (["morph", "{a}", "{a}", "-o", "{tmp}/m.wav", "--frames", 2, "--loop"], "goes through 3 stops"),
        (["sample", "-o", "{tmp}/s.wav", "--grid", 2], "--grid means nothing to a model of recordings"),
    ],
)
def test_what_doesnt_fit_sound_is_one_clear_line(arguments, message, exported, tmp_path):
    soundfile.write(tmp_path / "a.wav", recordings(1)[0].T, RECORDINGS.rate_hz)
    command, *rest = (str(each).format(a=tmp_path / "a.wav", tmp=tmp_path) for each in arguments)
    with pytest.raises(VaeError, match=message):
        invoke(command, exported[0], *rest)
    assert [each.name for each in tmp_path.iterdir()] == ["a.wav"]
