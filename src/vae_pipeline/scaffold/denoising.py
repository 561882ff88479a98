"""The recipe that suits the denoising of some images, by what was suggested for a VAE of them."""

from collections.abc import Mapping
from typing import Any

SMALL = 64
"""Pixels of the longer side, up to which a vector of latents holds an image; a larger one has a map of them."""
LATENTS, RATE = 64, 0.05
"""Size and rate's weight of a vector. The rate weighs little: an answer is to be near, and nothing is drawn."""
CHANNELS, OF_MAP, RATE_OF_MAP = (24, 48), 12, 0.01
"""Nets, channels and rate's weight of a map. It has three numbers a pixel, and so loses nothing."""


def as_denoiser(suggested: Mapping[str, Any], side: int, denoise: Mapping[str, Any]) -> dict[str, Any]:
    """Sections of a recipe for images of that longer side, with the latents, likelihood and rate of a denoiser.

    Supervised, z is the posterior's mean, decoded once. Of noisy images alone the likelihood is the noise, and the rate
    counts in full.
    """
    supervised, level = denoise["mode"] == "supervised", denoise["corruption"][0].get("deviation")
    model = dict(suggested["model"])
    if side > SMALL:
        net = {"kind": "residual", "blocks": 1, "activation": "silu", "normalisation": "local"}
        model["encoder"], model["decoder"] = {**net, "channels": CHANNELS}, {**net, "channels": CHANNELS[::-1]}
        model["posterior"] = {"kind": "spatial_gaussian", "channels": OF_MAP}
    else:
        model["posterior"] = {"kind": "gaussian", "latents": LATENTS}
    known = level if isinstance(level, float) else "learned"  # which is refused of noisy images
    model["likelihood"] = {"kind": "gaussian", "scale": "per_element" if supervised else known, "mean": "linear"}
    rate = RATE_OF_MAP if side > SMALL else RATE
    draws = {"draws": 0} if supervised else {}
    return {
        **suggested,
        "model": model,
        "rate_control": {"kind": "constant", "beta": rate if supervised else 1.0},
        "train": {**suggested["train"], "denoise": {**draws, **denoise}},
        "sampler": "prior",
        "detection": None,
    }
