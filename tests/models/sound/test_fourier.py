import numpy as np
import pytest
import torch
from scipy import signal

from vae_pipeline.models.sound.fourier import Fourier
from vae_pipeline.models.sound.griffin_lim import GriffinLim

SIZES = [(300, 64, 16), (256, 64, 32), (40, 64, 16)]  # the last is shorter than a frame


@pytest.mark.parametrize(("length", "frame", "hop"), SIZES)
def test_the_transform_is_torchs_and_so_is_its_inverse(length, frame, hop):
    fourier, x = Fourier(length, frame, hop), _noise(2, length)
    whole = torch.nn.functional.pad(x, (0, -length % hop))
    found = fourier.convolved(whole)
    told = {"n_fft": frame, "hop_length": hop, "window": torch.hann_window(frame)}
    wanted = torch.stft(whole, **told, pad_mode="constant", return_complex=True)
    torch.testing.assert_close(torch.complex(*found.unbind(1)), wanted, rtol=0, atol=1e-5)
    torch.testing.assert_close(fourier(x), found, rtol=0, atol=1e-5)
    changed = found * torch.rand_like(found)  # the transform of no recording
    back = torch.istft(torch.complex(*changed.unbind(1)), **told, length=whole.shape[1])[:, :length]
    torch.testing.assert_close(fourier.inverse(changed), back, rtol=0, atol=1e-5)


def test_the_transform_is_scipys():
    x = _noise(1, 256)
    transform = signal.ShortTimeFFT(signal.windows.hann(64, sym=False), 16, fs=1, phase_shift=None)
    wanted = transform.stft(x[0].numpy(), p0=0, p1=17)
    np.testing.assert_allclose(torch.complex(*Fourier(256, 64, 16).convolved(x)[0]).numpy(), wanted, atol=1e-5)


@pytest.mark.parametrize(("length", "frame", "hop"), SIZES)
def test_a_recording_comes_back_from_its_transform(length, frame, hop):
    fourier, x = Fourier(length, frame, hop), _noise(2, length)
    torch.testing.assert_close(fourier.inverse(fourier(x)), x, rtol=0, atol=1e-5)


def test_it_is_as_exact_beside_bfloat16():
    fourier, x = Fourier(256, 64, 16), _noise(1, 256)
    with torch.autocast("cpu", torch.bfloat16):
        found = fourier(x)
    torch.testing.assert_close(found, fourier.convolved(x), rtol=0, atol=1e-5)


def test_no_magnitude_is_over_the_gain():
    fourier = Fourier(256, 64, 16)
    found = torch.complex(*fourier(torch.ones(1, 256)).unbind(1)).abs()
    assert found.max() == pytest.approx(fourier.gain)


def test_more_steps_of_griffin_and_lim_come_nearer_to_the_magnitudes():
    fourier = Fourier(2048, 128, 32)
    time = torch.arange(2048) / 2048
    x = ((200 * time).sin() * (-3 * time).exp()).unsqueeze(0)
    wanted = torch.complex(*fourier(x).unbind(1)).abs()

    def away(steps):
        found = torch.complex(*fourier(GriffinLim(fourier, steps)(wanted)).unbind(1)).abs()
        return float((found - wanted).norm() / wanted.norm())

    far, near, nearest = (away(steps) for steps in (1, 8, 64))
    assert nearest < 0.5 * near < 0.5 * far


def test_phases_of_griffin_and_lim_amplify_rounding_little():
    fourier, draw = Fourier(4096, 256, 64), torch.Generator().manual_seed(1)
    drawn = torch.randn(8, 1, 33, 33, generator=draw) * 3
    magnitudes = torch.nn.functional.interpolate(drawn, (fourier.bins, fourier.frames), mode="bilinear")[:, 0].exp()
    rounded = magnitudes * (1 + 1e-6 * torch.randn(magnitudes.shape, generator=draw))
    first, second = (GriffinLim(fourier, 16)(100 * each) for each in (magnitudes, rounded))
    apart = (first - second).abs().amax(1) / first.abs().amax(1)
    assert apart.max() < 3e-5  # 7e-5 where a bin's phase counts as one however nearly the frames cancel there


def _noise(rows, length):
    return torch.randn(rows, length, generator=torch.Generator().manual_seed(0))
