import math

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from torch import nn

from vae_pipeline.bundles.export.onnx import to_onnx
from vae_pipeline.models.sound import mel
from vae_pipeline.models.sound.view import SpectrogramScaling
from vae_pipeline.system.errors import RecipeError

RATE, LENGTH = 8000, 1000


def view(bands=None, steps=4, floor_db=-80.0, channels=1):
    return SpectrogramScaling((channels, LENGTH), RATE, 128, 32, bands, floor_db, steps)


def tone(level=0.5, hz=500.0):
    return level * (2 * math.pi * hz * torch.arange(LENGTH) / RATE).sin().reshape(1, 1, LENGTH)


def test_silence_is_zero_and_a_steady_tone_as_loud_as_it_is():
    scaling = view()
    assert scaling(torch.zeros(1, 1, LENGTH)).abs().max() == 0
    found = scaling(tone())[0, 0, :, 10]
    assert int(found.argmax()) == 8  # 500 Hz in steps of 62.5
    assert 80 * (float(found.max()) - 1) == pytest.approx(20 * math.log10(0.5 / 2), abs=0.01)  # half, half below 0 Hz


@pytest.mark.parametrize("bands", [None, 12])
def test_a_recording_sounds_as_its_own_values_say(bands):
    scaling, x = view(bands, channels=2), 0.3 * torch.randn(2, 2, LENGTH, generator=torch.Generator().manual_seed(0))
    values = scaling(x)
    assert values.shape == (2, *scaling.shape)
    torch.testing.assert_close(scaling.resounded(values, x), x, rtol=0, atol=1e-5)
    torch.testing.assert_close(scaling.resounded(scaling(x / 2), x), x / 2, rtol=0, atol=1e-3)


@pytest.mark.parametrize("bands", [None, 24])
def test_without_phases_a_recording_has_about_the_magnitudes_that_are_asked_for(bands):
    scaling = view(bands, steps=32)
    values = scaling(tone() + tone(0.1, 1700))
    found, wanted = (10 ** (4 * part) for part in (scaling(scaling.inverse(values)), values))  # 80 dB
    assert float((found - wanted).norm() / wanted.norm()) < 0.25
    assert scaling.inverse(torch.zeros(1, *scaling.shape)).abs().max() == 0


def test_no_new_sound_is_made_of_more_than_the_loudest():
    scaling = view()
    loudest = torch.ones(1, *scaling.shape)
    assert (scaling.inverse(9 * loudest) == scaling.inverse(loudest)).all()


def test_bands_are_averages_whose_middles_lie_evenly_in_mels():
    weights = mel.bank(20, 129, RATE)
    np.testing.assert_allclose(weights.sum(1), 1)
    middles = np.linspace(0, mel.mel(np.array(4000.0)), 22)[1:-1]
    peaks = mel.mel(weights.argmax(1) * (RATE / 256))
    assert np.abs(peaks - middles).max() < 40
    assert mel.mel(np.array(1000.0)) == pytest.approx(1000, abs=0.1)  # the scale's fixed point


def test_more_bands_than_a_frame_tells_apart_are_refused_with_the_number_that_it_does():
    most = mel.most_bands(65, RATE)
    assert view(most)(tone()).isfinite().all()
    with pytest.raises(RecipeError, match=rf"mel is {most + 1}, but the 65 frequencies .* make {most} bands at most"):
        view(most + 1)


class Way(nn.Module):
    def __init__(self, scaling, way):
        super().__init__()
        self.scaling, self.way = scaling, way

    def forward(self, given):
        return self.way(self.scaling, given)


WAYS = {
    "there": (lambda scaling, x: scaling(x), 1e-5),
    "back": (lambda scaling, x: scaling.resounded(0.9 * scaling(x), x), 1e-5),
    "back without phases": (lambda scaling, values: scaling.inverse(values), 1e-4),
}


@pytest.mark.slow
@pytest.mark.parametrize(("way", "bands"), [("there", 12), ("back", None), ("back", 12), ("back without phases", 12)])
def test_its_graph_holds_plain_operators_that_answer_what_torch_does(bands, way):
    scaling, (module, tolerance) = view(bands), WAYS[way]
    x = tone() * torch.tensor([1.0, 0.3, 0.01]).reshape(3, 1, 1)
    given = scaling(x) if way == "back without phases" else x
    proto = to_onnx(Way(scaling, module), {"given": given[:2]}, ("found",), "a view", {"vae.graph": "view"})
    assert {node.domain for node in proto.graph.node} == {""}
    assert not {"STFT", "DFT", "HannWindow", "MelWeightMatrix", "Loop"} & {node.op_type for node in proto.graph.node}
    wanted = module(scaling, given).numpy()
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    for run in (session.run, ReferenceEvaluator(onnx.load_from_string(proto.SerializeToString())).run):
        np.testing.assert_allclose(run(None, {"given": given.numpy()})[0], wanted, rtol=0, atol=tolerance)
