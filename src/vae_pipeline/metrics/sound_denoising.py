"""Denoisers of sound calibrated on held-back recordings, and how near and how sure their answers are."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vae_pipeline.kinds.spec import AudioSpec
from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.bounds import evaluating
from vae_pipeline.metrics.parts import batches, subset
from vae_pipeline.metrics.sound import frame_of, log_spectral_distance, si_sdr
from vae_pipeline.models.frames import FramesVAE
from vae_pipeline.models.intervals import fitted
from vae_pipeline.models.sound.denoiser import SoundDenoiser
from vae_pipeline.recipe.denoise import Denoise
from vae_pipeline.recipe.sound_corruption import NoiseStep

MEASURED = 500
"""Recordings at most by which an answer is judged, at each level."""
LEVELS = 4  # of a range of signal-to-noise ratios, its ends among them
Array = npt.NDArray[np.float64]


def calibrated_sound(model: FramesVAE, denoise: Denoise, held_back: Split, device: torch.device) -> SoundDenoiser:
    """A denoiser whose intervals hold the share that the recipe asks for."""
    denoiser = SoundDenoiser(model).to(device)
    found = [((clean - mean).abs(), deviation) for _, clean, mean, deviation in _estimates(denoiser, held_back, device)]
    away, deviation = (torch.cat(parts).flatten(1).cpu() for parts in zip(*found, strict=True))
    denoiser.intervals = fitted(away, deviation, denoise.coverage).to(device)
    return denoiser


def _estimates(
    denoiser: SoundDenoiser, split: Split, device: torch.device
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Recordings as they are heard and as they were, what they are taken for, and the deviation of that."""
    with evaluating(denoiser.model):
        for rows in batches(split, device, "denoising"):
            yield rows.x, rows.original, *denoiser.estimate(rows.x)


@dataclass(frozen=True)
class SoundAnswers:
    """A denoiser on some recordings; averages over those that aren't silent, and of intervals over all."""

    si_sdr_of_input: float
    """dB; of each channel from the first to the last sample of the clean one that isn't 0."""
    si_sdr_of_denoised: float
    spectral_distance_of_input: float
    """The log-spectral distance of noisy recordings from clean ones, in dB."""
    spectral_distance_of_denoised: float
    interval_coverage: float
    """Share of the clean samples that lie in their intervals."""
    interval_width: float
    """Mean width of the intervals; 2 is the range of samples."""
    coverage_of_unsure: float
    """The coverage of the tenth of each recording's samples whose intervals are the widest."""


@torch.inference_mode()
def sound_answers(denoiser: SoundDenoiser, split: Split, spec: AudioSpec, device: torch.device) -> SoundAnswers:
    """Judge the denoiser by the clean recordings of a part."""
    near: list[Array] = []
    sure: list[Array] = []
    for heard, clean, mean, deviation in _estimates(denoiser, split, device):
        around = denoiser.intervals(deviation)
        low, high = (mean - around).clamp_min(-1), (mean + around).clamp_max(1)
        inside, width = ((low <= clean) & (clean <= high)).double().flatten(1), (high - low).double().flatten(1)
        widest = width.topk(-(-width.shape[1] // 10), 1).indices
        sure.append(torch.stack([inside.mean(1), width.mean(1), inside.gather(1, widest).mean(1)]).cpu().numpy())
        rows, wanted, found = (each.flatten(0, 1) for each in (heard, clean, mean))
        frame, own = frame_of(spec.rate_hz), extent(wanted)
        each = [
            *(si_sdr(own * x, wanted) for x in (rows, found)),
            *(log_spectral_distance(x, wanted, frame) for x in (rows, found)),
        ]
        kept = wanted.any(1)
        near.append(torch.stack([values.double()[kept] for values in each]).cpu().numpy())
    return SoundAnswers(*(float(value) for each in (near, sure) for value in np.concatenate(each, 1).mean(1)))


def extent(x: Tensor) -> Tensor:
    """True from the first to the last sample of a row [rows, samples] that isn't 0."""
    heard = (x != 0).long()
    return (heard.cumsum(1) > 0) & (heard.flip(1).cumsum(1).flip(1) > 0)


def sound_denoising(
    denoiser: SoundDenoiser, denoise: Denoise, test: Split, spec: AudioSpec, seed: int, device: torch.device
) -> dict[str, Any]:
    """The figures of metrics.json; of a range of signal-to-noise ratios also at some of them."""
    some = subset(test, MEASURED, seed)
    figures: dict[str, Any] = asdict(sound_answers(denoiser, some, spec, device))
    figures["si_sdr_gain"] = figures["si_sdr_of_denoised"] - figures["si_sdr_of_input"]
    figures |= {"interval_factor": denoiser.intervals.factor, "denoised_examples": len(some)}
    figures["latency_ms"] = 1000 * denoiser.latency / spec.rate_hz
    at = {f"{level:g}": sound_answers(denoiser, each, spec, device) for level, each in sound_levels(denoise, some)}
    if at:
        gains = {level: found.si_sdr_of_denoised - found.si_sdr_of_input for level, found in at.items()}
        figures["si_sdr_gain_by_level"] = gains
        figures["coverage_by_level"] = {level: found.interval_coverage for level, found in at.items()}
    return figures


def sound_levels(denoise: Denoise, split: Split) -> Iterator[tuple[float, Split]]:
    """The part at some ratios of the first noise whose ratio is a range: of recorded noises, with no drawn ones."""
    assert split.corruption is not None  # the recipe has a section
    for place, step in enumerate(denoise.corruption):
        if isinstance(step, NoiseStep) and isinstance(step.snr_db, tuple):
            for level in np.linspace(*step.snr_db, LEVELS):
                steps = [*denoise.corruption]
                steps[place] = step.at(float(level))
                yield float(level), replace(split, corruption=replace(split.corruption, steps=tuple(steps)))
            return
