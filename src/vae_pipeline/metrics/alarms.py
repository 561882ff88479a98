"""Alarms: what can be wrong with the use that a model makes of its latents, and what its recipe may change.

    collapse         z tells nothing of x
    ignored_latents  z tells of x, and the decoder does no better by it than by another example's
    idle_latents     most dimensions are the same for every x
    idle_levels      some levels of a ladder tell nothing, where others do
    idle_codes       most codes of the codebook never occur
    autoencoder      q(z|x) is next to a point: z is a place in a table, and what lies between the places means nothing

Source: Bowman et al., Generating Sentences from a Continuous Space, 2016, and Burda et al., 2016, section 5.2, for
collapse and idle latents; Alemi et al., Fixing a Broken ELBO, 2018, for the last.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from vae_pipeline.metrics.gain import Gain
from vae_pipeline.metrics.usage import Usage
from vae_pipeline.recipe import Recipe, TrainedRecipe
from vae_pipeline.recipe.remedies import to_carry_less, to_carry_more, to_use_levels

EXAMPLES = 1000  # that are looked at, at most
INFORMATION, RATE = 0.1, 0.05  # nats, under which z tells nothing
# Share of the examples that their own z must explain better: a Gaussian channel of a quarter nat comes to it. Untrained
# networks came to 0.42 to 0.58, trained ones to 0.8 to 1.
PREFERRED = 0.65
SHARE = 0.05  # of the dimensions, under which most are idle
CODES = 0.1  # share of the codebook, under which most of it is idle
VARIANCE = 1e-4  # of q(z|x), under which it is next to a point


def alarms_of(
    used: Usage,
    gain: Gain | None,
    rate: float,
    latents: int,
    recipe: Recipe | TrainedRecipe,
    level_rates: Sequence[float] = (),
) -> dict[str, str]:
    """The alarms that there is reason for, each with what it means and what to try.

    `level_rates` are those of a ladder's levels, topmost first.
    """
    found = {}
    if used.mutual_information < INFORMATION or rate < RATE:
        found["collapse"] = (
            f"the latents tell nothing of the data (mutual information {used.mutual_information:.2g} nats, "
            f"rate {rate:.2g} nats): {to_carry_more(recipe)}"
        )
    elif gain is not None and gain.share < PREFERRED:
        found["ignored_latents"] = f"{ignorance(gain)}: {to_carry_more(recipe)}"
    elif used.active_units < SHARE * latents:
        found["idle_latents"] = (
            f"{used.active_units} of {latents} latent dimensions are active: {to_carry_more(recipe)} (or fewer latents)"
        )
    idle = idle_levels(level_rates)
    if idle and "collapse" not in found:
        which = ", ".join(f"level {number} ({level_rates[number - 1]:.2g} nats)" for number in idle)
        found["idle_levels"] = (
            f"{len(idle)} of {len(level_rates)} levels, the topmost being 1, carry under {RATE:g} nats: {which}: "
            f"{to_use_levels(recipe)}"
        )
    if used.codebook_use is not None and used.codebook_use < CODES:
        found["idle_codes"] = (
            f"{100 * used.codebook_use:.2g} % of the codes that could occur do: try fewer or smaller "
            f"model.posterior.levels, or {to_carry_more(recipe).removeprefix('try ')}"
        )
    if used.posterior_variance is not None and used.posterior_variance < VARIANCE:
        found["autoencoder"] = (
            f"posteriors are next to points (variance {used.posterior_variance:.2g} in the active dimensions), so that "
            f"the space between them means nothing: {to_carry_less(recipe)}"
        )
    return found


def idle_levels(level_rates: Sequence[float]) -> list[int]:
    """The numbers of a ladder's levels that carry next to nothing, the topmost being 1."""
    return [number for number, rate in enumerate(level_rates, 1) if rate < RATE]


def ignorance(gain: Gain) -> str:
    """Say by which figures the decoder ignores z."""
    error = "" if gain.standard_error is None else f" ± {gain.standard_error:.2g}"
    return (
        "the decoder hardly tells an example's own z from another's: its own is better for "
        f"{100 * gain.share:.0f} % of examples (50 % by chance; decoder gain {gain.nats:.2g}{error} nats)"
    )


def without_epoch(found: Mapping[str, str]) -> list[dict[str, Any]]:
    """Alarms of an evaluation in the form of those of training: they belong to no epoch, and none is cleared."""
    return [{"name": name, "about": about, "epoch": None, "cleared": None} for name, about in found.items()]
