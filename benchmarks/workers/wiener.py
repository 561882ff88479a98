"""A Wiener filter that is decision-directed, with noise tracked by the probability of speech.

Source: Ephraim and Malah, Speech Enhancement Using a Minimum Mean-Square Error Short-Time Spectral Amplitude
Estimator, 1984, eq. 51; Scalart and Vieira Filho, Speech Enhancement Based on A Priori Signal to Noise Estimation,
1996; Gerkmann and Hendriks, Unbiased MMSE-Based Noise Power Estimation, 2012.
"""

import numpy as np
from scipy.signal import istft, stft

SPEECH_DB = 15  # of the a priori SNR that speech has where it is present (Gerkmann and Hendriks, section V)


def decision_directed(x, rate, *, frame, smoothing, floor_db, start):
    """Noise begins as the quantile `start` of each frequency's power over the recording."""
    overlap = {"fs": rate, "window": "hann", "nperseg": frame, "noverlap": 3 * frame // 4}
    _, _, transform = stft(x, **overlap)
    powers = np.square(np.abs(transform)) + 1e-12
    noise = np.quantile(powers, start, axis=1) / -np.log(1 - start)  # what the mean is of an exponential law
    present = 10 ** (SPEECH_DB / 10)
    steady = np.full(len(noise), 0.5)
    clean = np.zeros(len(noise))
    gains = np.empty_like(powers)
    for at, power in enumerate(powers.T):
        odds = (1 + present) * np.exp(-np.minimum(power / noise * present / (1 + present), 200))
        speech = 1 / (1 + odds)
        steady = 0.9 * steady + 0.1 * speech
        speech = np.where(steady > 0.99, np.minimum(speech, 0.99), speech)
        noise = 0.8 * noise + 0.2 * (speech * noise + (1 - speech) * power)
        a_priori = smoothing * clean / noise + (1 - smoothing) * np.maximum(power / noise - 1, 0)
        gain = np.maximum(a_priori / (1 + a_priori), 10 ** (floor_db / 20))
        gains[:, at], clean = gain, gain**2 * power
    return istft(gains * transform, **overlap)[1][: len(x)]
