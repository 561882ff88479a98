import math

import pytest
import torch

from vae_pipeline.metrics.sound import log_spectral_distance, si_sdr
from vae_pipeline.models.sound.distance import SpectralDistance

RATE = 8000
TIME = torch.arange(RATE) / RATE


def tone(hz, level=0.5, phase=0.0):
    return level * (2 * math.pi * hz * TIME + phase).sin().unsqueeze(0)


def test_si_sdr_of_a_signal_and_orthogonal_noise_is_their_ratio_at_any_scale():
    signal, noise = tone(100), tone(300)  # whole periods: orthogonal
    found = signal + 10 ** (-10 / 20) * noise
    assert float(si_sdr(found, signal)) == pytest.approx(10, abs=1e-3)
    assert float(si_sdr(0.01 * found, signal)) == pytest.approx(10, abs=1e-3)
    assert float(si_sdr(found, -3 * signal)) == pytest.approx(10, abs=1e-3)


def test_si_sdr_of_silence_is_no_number():
    assert si_sdr(tone(100), torch.zeros(1, RATE)).isnan()


def test_a_gain_is_a_log_spectral_distance_of_its_decibels():
    noise = 0.3 * torch.randn(2, RATE, generator=torch.Generator().manual_seed(0))
    away = log_spectral_distance(noise * 10 ** (-6 / 20), noise, 256)
    torch.testing.assert_close(away, torch.full_like(away, 6.0), rtol=0, atol=0.05)
    assert log_spectral_distance(noise, noise, 256).abs().max() == 0


def test_what_is_quieter_than_the_floor_is_no_further_away():
    silence = torch.zeros(1, RATE)
    assert float(log_spectral_distance(1e-7 * tone(100), silence, 256)) < 0.01


def test_the_spectral_distance_hears_pitch_and_no_phase():
    distance = SpectralDistance(RATE)
    found, wanted = tone(440, phase=1.0), tone(440)
    assert float(distance(wanted, wanted)) == 0
    assert float(distance(found, wanted)) < 0.2 * float(distance(tone(660), wanted))


def test_the_spectral_distance_of_recordings_that_are_shorter_than_any_frame_has_a_gradient():
    found = torch.zeros(1, 20, requires_grad=True)
    SpectralDistance(20)(found, tone(440)[:, :20]).sum().backward()
    assert found.grad is not None and found.grad.isfinite().all()
