"""A denoiser of sound: python denoise_sound.py METHOD FOLDER SET [BUNDLE].

FOLDER/SET-valid.npz, and -test.npz, hold mixtures. The method is tuned on those of validation by SI-SDR, writes
FOLDER/SET-METHOD.npy of those of the test, and a line says its settings and the CPU seconds that a second of sound
took.
"""

import json
import sys
import time

import numpy as np
from recordings import apart, si_sdr
from tuning import tuned

RATE_HZ = 8_000
# The first value of each is that of the package, or the usual one.
SETTINGS = {
    "noisy": {},
    "noisereduce, stationary": {
        "prop_decrease": [1.0, 0.95, 0.9, 0.8, 0.65, 0.5],
        "n_std_thresh_stationary": [1.5, 1.0, 0.5, 0.0, 2.0, 3.0],
        "n_fft": [1024, 512, 256, 128],
        "freq_mask_smooth_hz": [500, 250, 1000, None],
        "time_mask_smooth_ms": [50, 100, 200, None],
    },
    "noisereduce, not stationary": {
        "prop_decrease": [1.0, 0.95, 0.9, 0.8, 0.65, 0.5],
        "time_constant_s": [2.0, 4.0, 1.0, 0.5, 0.25],
        "thresh_n_mult_nonstationary": [2, 3, 1.5, 1, 0.5],
        "sigmoid_slope_nonstationary": [10, 5, 2, 1, 20],
        "n_fft": [1024, 512, 256, 128],
        "freq_mask_smooth_hz": [500, 250, 1000, None],
        "time_mask_smooth_ms": [50, 100, 200, None],
    },
    "Wiener, decision-directed": {
        "smoothing": [0.98, 0.99, 0.96, 0.92, 0.85],
        "floor_db": [-15, -10, -20, -30, -50],
        "start": [0.5, 0.3, 0.15, 0.7],
        "frame": [256, 512, 1024, 128],
    },
    "Wiener, of samples": {"mysize": [3, 5, 7, 9, 13, 19, 31]},
    "ours": {},
}


def denoiser(method, bundle):
    """A function of a recording and the settings."""
    match method:
        case "noisy":
            return lambda x: x
        case "noisereduce, stationary" | "noisereduce, not stationary":
            from noisereduce import reduce_noise

            steady = method == "noisereduce, stationary"
            return lambda x, **told: reduce_noise(x, RATE_HZ, stationary=steady, **told)
        case "Wiener, decision-directed":
            from wiener import decision_directed

            return lambda x, **told: decision_directed(x, RATE_HZ, **told)
        case "Wiener, of samples":
            from scipy.signal import wiener

            return wiener
        case "ours":
            from vae_pipeline.runtime.bundle import Bundle

            loaded = Bundle.load(bundle)
            return lambda x: loaded.denoise(x[None, None]).clean[0, 0]


def main():
    method, folder, name, *bundle = sys.argv[1:]
    denoise = denoiser(method, *bundle or [None])
    held, test = (np.load(f"{folder}/{name}-{part}.npz") for part in ("valid", "test"))
    pairs = [*zip(*(apart(held[part], held["ends"]) for part in ("noisy", "clean")), strict=True)]
    told = tuned(SETTINGS[method], lambda told: np.mean([si_sdr(denoise(x, **told), y) for x, y in pairs]))
    noisy = apart(test["noisy"], test["ends"])
    denoise(noisy[0], **told)
    began = time.process_time()
    found = [np.asarray(denoise(x, **told), np.float32) for x in noisy]
    spent = time.process_time() - began
    np.save(f"{folder}/{name}-{method}.npy", np.concatenate(found))
    print(json.dumps({"settings": told, "real time": spent * RATE_HZ / len(test["noisy"])}))


main()
