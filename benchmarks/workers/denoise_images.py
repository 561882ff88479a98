"""A denoiser of grey images: python denoise_images.py METHOD PARTS.npz [BUNDLE].

PARTS holds the images of two parts on [0, 1], `valid_clean`, `valid_noisy`, `test_clean` and `test_noisy`, one after
the other in the shapes `valid_shapes` and `test_shapes`, and the `deviation` of the Gaussian noise, which all but our
bundles are told. The method is tuned on those of validation by PSNR. A line says the settings, the PSNR and the SSIM on
those of the test, and the CPU seconds that a million pixels took.
"""

import json
import sys
import time

import numpy as np
from skimage.metrics import structural_similarity
from tuning import tuned

# The first value of each is the usual one; weight, sigma and h are in deviations of the noise.
SETTINGS = {
    "noisy": {},
    "wavelets": {
        "method": ["BayesShrink", "VisuShrink"],
        "wavelet": ["db2", "db1", "db4", "sym4", "bior2.2"],
        "sigma": [1.0, 0.7, 0.5, 1.3],
        "mode": ["soft", "hard"],
    },
    "total variation": {"weight": [0.65, 0.5, 0.4, 0.3, 0.8, 1.0, 1.3]},
    "non-local means": {
        "h": [0.8, 0.6, 0.7, 0.9, 1.0, 1.2],
        "patch_size": [5, 3, 7],
        "patch_distance": [6, 9, 13],
    },
    "BM3D": {},
    "ours": {},
}


def denoiser(method, deviation, bundle):
    """A function of an image and the settings."""
    match method:
        case "noisy":
            return lambda x: x
        case "wavelets":
            from skimage.restoration import denoise_wavelet

            return lambda x, sigma, **told: denoise_wavelet(x, sigma=sigma * deviation, rescale_sigma=False, **told)
        case "total variation":
            from skimage.restoration import denoise_tv_chambolle

            return lambda x, weight: denoise_tv_chambolle(x, weight=weight * deviation)
        case "non-local means":
            from skimage.restoration import denoise_nl_means

            return lambda x, h, **told: denoise_nl_means(x, h=h * deviation, sigma=deviation, **told)
        case "BM3D":
            from bm3d import bm3d

            return lambda x: bm3d(x, deviation)
        case "ours":
            from vae_pipeline.runtime.bundle import Bundle

            ours = Bundle.load(bundle)
            low, width = ours.spec.low, ours.spec.high - ours.spec.low
            return lambda x: (ours.denoise(low + width * x[None, None]).clean[0, 0] - low) / width


def psnr(found, clean):
    return -10 * np.log10(np.square(found.clip(0, 1) - clean).mean())


def ssim(found, clean):
    """SSIM as Wang et al., 2004, have it: a Gaussian window of 11 x 11 pixels and a deviation of 1.5."""
    window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return structural_similarity(clean, found.clip(0, 1), data_range=1.0, **window)


def main():
    method, place, *bundle = sys.argv[1:]
    parts = np.load(place)
    denoise = denoiser(method, float(parts["deviation"]), *bundle or [None])

    def images(name):
        shapes = parts[f"{name.split('_')[0]}_shapes"]
        ends = np.cumsum(shapes.prod(1))[:-1]
        return [np.float64(x).reshape(shape) for x, shape in zip(np.split(parts[name], ends), shapes, strict=True)]

    held = [*zip(images("valid_noisy"), images("valid_clean"), strict=True)]
    told = tuned(SETTINGS[method], lambda told: np.mean([psnr(denoise(x, **told), y) for x, y in held]))
    noisy, clean = images("test_noisy"), images("test_clean")
    denoise(noisy[0], **told)
    began = time.process_time()
    found = [denoise(x, **told) for x in noisy]
    spent = time.process_time() - began
    row = {"settings": told, "cpu_s": 1e6 * spent / sum(x.size for x in noisy)}
    for name, figure in (("psnr", psnr), ("ssim", ssim)):
        row[name] = float(np.mean([figure(x, y) for x, y in zip(found, clean, strict=True)]))
    print(json.dumps(row))


main()
