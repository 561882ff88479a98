"""The fidelity of a reconstruction to its recording, of each recording by itself."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from vae_pipeline.kinds.spec import AudioSpec
from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.bounds import evaluating
from vae_pipeline.metrics.parts import batches
from vae_pipeline.models.scaling import resounded
from vae_pipeline.models.sound.distance import FLOOR_DB, SpectralDistance
from vae_pipeline.models.sound.fourier import Fourier, power
from vae_pipeline.models.vae import VAE

Waves = Float[Tensor, "rows length"]
Figures = Float[Tensor, " rows"]
FRAME_S = 0.032  # of the frames between which the log-spectral distance is taken


def si_sdr(found: Waves, wanted: Waves) -> Figures:
    """Scale-invariant signal-to-distortion ratio in dB: 10 log10(‖a w‖² / ‖f - a w‖²), where a w is f's part along w.

    Not a number of silence. Source: Le Roux, Wisdom, Erdogan and Hershey, SDR - Half-Baked or Well Done?, 2019, eq. 2.
    """
    found, wanted = found.double(), wanted.double()
    along = (found * wanted).sum(1, keepdim=True) / wanted.square().sum(1, keepdim=True) * wanted
    return 10 * (along.square().sum(1) / (found - along).square().sum(1)).log10()


def log_spectral_distance(found: Waves, wanted: Waves, frame: int) -> Figures:
    """Root mean square over frequencies of the difference in dB, averaged over frames that overlap by half.

    Magnitudes under -80 dB of the loudest that there can be count as that. Source: Gray and Markel, Distance Measures
    for Speech Processing, 1976.
    """
    fourier = Fourier(found.shape[1], frame, frame // 2).to(found.device)
    floor = (fourier.gain * 10 ** (FLOOR_DB / 20)) ** 2
    first, second = (10 * (power(fourier(x)).squeeze(1) + floor).log10() for x in (found, wanted))
    return (first - second).square().mean(1).sqrt().mean(1)


def frame_of(rate_hz: int) -> int:
    """The samples of about 32 ms, a power of 2."""
    return 1 << max(4, round(math.log2(FRAME_S * rate_hz)))


@dataclass(frozen=True)
class SoundFidelity:
    """Averages over recordings and their channels."""

    log_spectral_distance: float
    """dB."""
    spectral_distance: float
    si_sdr: float | None
    """dB, of the recordings that aren't silent; None where all are."""


@torch.inference_mode()
def sound_fidelity(model: VAE, split: Split, spec: AudioSpec, device: torch.device) -> SoundFidelity:
    """Reconstructions from the posterior's mean, as they sound, against their recordings."""
    distance = SpectralDistance(spec.length).to(device)
    figures: list[npt.NDArray[np.float64]] = []
    with evaluating(model):
        for rows in batches(split, device, "reconstructions"):
            mean = model.decode(model.encode(rows.x, rows.label).mean, rows.label).mean
            found, wanted = (x.flatten(0, 1) for x in (resounded(model.scaling, mean, rows.x), rows.explained))
            each = (
                log_spectral_distance(found, wanted, frame_of(spec.rate_hz)),
                distance(found, wanted),
                si_sdr(found, wanted),
            )
            figures.append(torch.stack([values.double() for values in each]).cpu().numpy())
    apart, several, ratio = np.concatenate(figures, axis=1)
    heard = ratio[np.isfinite(ratio)]
    return SoundFidelity(float(apart.mean()), float(several.mean()), float(heard.mean()) if len(heard) else None)
