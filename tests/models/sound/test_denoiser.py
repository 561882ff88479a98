"""A denoiser of sound: its variances against draws, and pieces against the whole."""

import pytest
import torch

from vae_pipeline.kinds.spec import AudioSpec
from vae_pipeline.models.build import build
from vae_pipeline.models.intervals import Intervals
from vae_pipeline.models.sound.denoiser import SoundDenoiser
from vae_pipeline.models.sound.fourier import Fourier
from vae_pipeline.models.sound.stretch import StretchTransform
from vae_pipeline.recipe.model import Model

SPEC = AudioSpec(8000, 1000, 1)
NET = {"kind": "residual_frames", "width": 12, "blocks": 2, "activation": "silu"}


def model_of(causal=False, frame=64, hop=16, seed=0):
    net = {**NET, "causal": causal}
    section = {
        "view": {"kind": "spectrogram", "frame": frame, "hop": hop, "floor_db": -60.0},
        "encoder": net,
        "posterior": {"kind": "spatial_gaussian", "channels": 4},
        "prior": {"kind": "standard_normal"},
        "decoder": net,
        "likelihood": {"kind": "gaussian", "scale": "per_element", "mean": "linear"},
        "conditional": False,
    }
    torch.manual_seed(seed)
    return build(Model.model_validate(section), SPEC).eval()


def waves(length=1000, count=2):
    return torch.randn(count, 1, length, generator=torch.Generator().manual_seed(0)) * 0.1


def test_a_stretch_goes_to_its_transform_and_back_and_variances_are_those_of_draws():
    transform = StretchTransform(Fourier(1000, 64, 16))
    x = waves(640)[:, 0]
    spectra = transform(x)
    assert torch.allclose(transform.inverse(spectra), x[:, transform.around : -transform.around], atol=1e-6)
    whole = Fourier(640, 64, 16)(x)
    assert torch.allclose(spectra, whole[..., 2:-2], atol=1e-4)
    variances = torch.rand(1, 33, 40, generator=torch.Generator().manual_seed(1))
    variances[:, [0, -1]] = 0  # those bins have no imaginary part
    errors = torch.randn(4000, 2, 33, 40, generator=torch.Generator().manual_seed(2)) * (variances / 2).sqrt()
    drawn = transform.inverse(errors).var(0)
    assert (drawn / transform.variance(variances)[0]).sub(1).abs().max() < 0.15


@pytest.mark.parametrize("causal", [False, True])
def test_a_stream_in_chunks_gives_what_the_whole_gives(causal):
    denoiser = SoundDenoiser(model_of(causal)).eval()
    denoiser.intervals = Intervals(torch.tensor([-5.0, -3.0]), torch.tensor([-4.0, -2.5]), 1.0)
    reach = denoiser.model.reach
    assert (reach.before, reach.after) == ((16, 0) if causal else (8, 8))
    assert denoiser.latency == 64 - 16 + 16 * reach.after
    x = waves()
    with torch.inference_mode():
        whole = denoiser(x)
        padded = torch.nn.functional.pad(x, (0, denoiser.latency + -1000 % 16))
        for sizes in ([16], [64, 16, 160], [padded.shape[-1]]):
            state, place, pieces = torch.zeros(2, 1, denoiser.context), 0, []
            while place < padded.shape[-1]:
                size = min(sizes[len(pieces) % len(sizes)], padded.shape[-1] - place)
                found = denoiser.stream(padded[..., place : place + size], state)
                assert found.clean.shape[-1] == size
                pieces.append(found[:3])
                state, place = found.next_state, place + size
            for each, wanted in zip(zip(*pieces, strict=True), whole, strict=True):
                streamed = torch.cat(each, -1)[..., denoiser.latency :][..., :1000]
                assert torch.allclose(streamed, wanted, atol=1e-5)


@pytest.mark.parametrize("causal", [False, True])
def test_a_sample_depends_on_those_in_its_reach_alone(causal):
    denoiser = SoundDenoiser(model_of(causal)).eval()
    x = waves(count=1).requires_grad_()
    denoiser(x).clean[0, 0, 500].backward()
    touched = x.grad[0, 0].nonzero().flatten()
    assert (
        touched.max() - 500 < denoiser.latency + 16 and 500 - touched.min() < denoiser.context - denoiser.latency + 16
    )
    assert (touched.max() > 500 + 16 * denoiser.model.reach.after) and touched.min() < 500 - 64


def test_a_decoder_that_says_what_it_sees_leaves_the_recording_as_it_is():
    denoiser = SoundDenoiser(model_of()).eval()
    heard = waves()

    class Same:
        def __init__(self, mean):
            self.mean, self.variance = mean, torch.full_like(mean, 1e-8)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(denoiser.model, "reconstructed", lambda scaled: Same(scaled + 0.1))
        patch.setattr("vae_pipeline.models.sound.denoiser.Continuous", Same)
        clean, low, high = denoiser(heard)
    assert torch.allclose(clean, heard, atol=1e-5) and (low <= clean).all() and (clean <= high).all()
    assert torch.equal(denoiser(torch.zeros(1, 1, 1000)).clean, torch.zeros(1, 1, 1000))
