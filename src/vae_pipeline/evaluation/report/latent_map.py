"""The page's part on a map of latents: its channels' rates, and the scale that a model of these latents has to know."""

from collections.abc import Mapping, Sequence
from typing import Any

from vae_pipeline.evaluation.report.markup import datum, table
from vae_pipeline.runtime.latent_map import LatentMapEntry
from vae_pipeline.system.typed_json import typed


def by_channel(
    rates: Sequence[float], active: Sequence[bool], told: Mapping[str, Any]
) -> tuple[list[float], list[bool]]:
    """The rate of each channel, and True for those that are active somewhere."""
    places = len(rates) // int(told["channels"])
    parts = [slice(at, at + places) for at in range(0, len(rates), places)]
    return [sum(rates[part]) for part in parts], [any(active[part]) for part in parts]


def scale_of(told: Mapping[str, Any]) -> str:
    """Mean, deviation and scale factor of each channel and of all, and what they are of."""
    spread = typed(LatentMapEntry, dict(told))
    rows = [
        [str(channel), datum(mean), datum(deviation), datum(1 / deviation)]
        for channel, (mean, deviation) in enumerate(zip(spread.mean, spread.deviation, strict=True))
    ]
    about = (
        f"z is a map of {spread.channels} channels, with a place for each {spread.factor} x {spread.factor} pixels. "
        f"Mean and deviation are over places and draws of q(z | x) of {spread.images:,} training images. The scale "
        f"factor, 1 / the deviation of all channels together, as diffusers means it, is {datum(spread.scale_factor)}."
    )
    header = ("channel", "mean", "deviation", "1 / deviation")
    return f'{table("Scale of the map of latents", header, rows)}\n<p class="reading">{about}</p>'
