"""Short tones of three timbres: sound with a known structure, for tests and a first try."""

import numpy as np

from vae_pipeline.kinds.audio.spec import AudioSpec
from vae_pipeline.kinds.parts import AudioSource, Part
from vae_pipeline.recipe.data import DrawnTonesData
from vae_pipeline.recipe.data.audio import LOWEST_HZ

TIMBRES = {"pure": (1,), "hollow": (1, 3, 5, 7), "bright": (1, 2, 3, 4, 5, 6, 7, 8)}
"""The harmonics of each timbre, those of a pipe that is closed, and of a string; the k-th has 1/k of the amplitude."""
PITCHES_HZ = (LOWEST_HZ, 440.0)


def draw_tones(data: DrawnTonesData, seed: int) -> AudioSource:
    """Draw one tone an example: its timbre (the label), pitch, loudness, phases and decay at random.

    x(t) = a exp(-t / d) sum_k sin(2 pi k f t + phase_k) / k, over the timbre's harmonics below half the rate. Pitches
    lie below half of it too, so that a low rate has lower ones.
    """
    draw = np.random.default_rng([seed, 0])
    spec = AudioSpec(data.rate_hz, data.length, 1, tuple(TIMBRES))
    count, harmonics = data.examples, np.arange(1, max(map(max, TIMBRES.values())) + 1)
    timbre = draw.integers(0, len(TIMBRES), count)
    low, high = PITCHES_HZ[0], min(PITCHES_HZ[1], spec.rate_hz / 2)
    pitch_hz = low * (high / low) ** draw.random(count)
    loudness = draw.uniform(0.3, 0.9, count)
    decay_s = draw.uniform(0.3, 2.0, count) * spec.seconds
    phase = draw.uniform(0, 2 * np.pi, (count, len(harmonics)))
    holds = np.array([np.isin(harmonics, own) for own in TIMBRES.values()])
    amplitude = holds[timbre] / harmonics * (pitch_hz[:, None] * harmonics < spec.rate_hz / 2)
    seconds = np.arange(spec.length) / spec.rate_hz
    x = np.zeros((count, spec.length))
    for place, harmonic in enumerate(harmonics):
        angle = 2 * np.pi * harmonic * pitch_hz[:, None] * seconds + phase[:, place, None]
        x += amplitude[:, place, None] * np.sin(angle)
    x *= (loudness / amplitude.sum(axis=1))[:, None] * np.exp(-seconds / decay_s[:, None])
    return AudioSource(
        spec=spec,
        train=Part(x.astype(np.float32)[:, None], timbre.astype(np.int64)),
        valid=data.valid,
        test=data.test,
        split=data.split,
        origins={f"{count} tones of {len(TIMBRES)} timbres": f"seed:{seed}"},
    )
