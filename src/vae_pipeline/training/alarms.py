"""The alarms that a run has raised, and when. They follow from its history: a resumed run has raised the same."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from vae_pipeline.metrics.alarms import PREFERRED, RATE, alarms_of, idle_levels
from vae_pipeline.recipe import Recipe, TrainedRecipe
from vae_pipeline.training.epoch import Epoch

RECOVERING = 1.1  # a rate that grows by more than this an epoch is on its way out of collapse,
CHANCE = 0.5  # share of the examples that their own z explains better, where the decoder ignores it
AHEAD = 5  # if at this pace it is out in so many epochs


@dataclass(frozen=True)
class Alarm:
    """One alarm, from the epoch at which it began."""

    name: str
    about: str
    """The meaning, with the figures at its beginning, and a thing to try."""
    epoch: int
    cleared: int | None
    """The epoch at which there was no reason for it any more."""


def alarms(
    history: Sequence[Epoch], latents: int, recipe: Recipe | TrainedRecipe, known: Sequence[Alarm] = ()
) -> list[Alarm]:
    """Alarms in the order in which they began; one begins where there is reason for it at two epochs in a row.

    `known` are those of the epochs up to the first of `history`, which may be the last two epochs alone.

    None begins while what it is about is on its way to the better: collapse while the rate grows fast enough, as
    it does in the first epochs or under a rising capacity; ignored latents while more and more examples are explained
    better by their own, or while beta rises, as in a warm-up from 0; idle levels while they become fewer, or while beta
    rises; autoencoder while beta rises.
    """
    found = list(known)
    for before, now in pairwise(history):
        earlier, reasons = (_of(epoch, latents, recipe) for epoch in (before, now))
        found = [
            replace(alarm, cleared=now.epoch) if alarm.cleared is None and alarm.name not in reasons else alarm
            for alarm in found
        ]
        standing = {alarm.name for alarm in found if alarm.cleared is None}
        for name, about in reasons.items():
            if name in earlier and name not in standing and not _getting_better(name, before, now):
                found.append(Alarm(name, about, now.epoch, None))
    return found


def _of(epoch: Epoch, latents: int, recipe: Recipe | TrainedRecipe) -> dict[str, str]:
    return alarms_of(epoch.used, epoch.gain, epoch.rate, latents, recipe, epoch.level_rates or ())


def _getting_better(name: str, before: Epoch, now: Epoch) -> bool:
    match name:
        case "autoencoder":
            return now.beta > before.beta
        case "idle_levels":
            fewer = len(idle_levels(now.level_rates or ())) < len(idle_levels(before.level_rates or ()))
            return fewer or now.beta > before.beta
        case "ignored_latents":
            shares = [CHANCE if epoch.gain is None else epoch.gain.share for epoch in (before, now)]
            growing = _recovering(shares[0] - CHANCE, shares[1] - CHANCE, PREFERRED - CHANCE)
            return growing or now.beta > before.beta
        case _:
            return _recovering(before.rate, now.rate, RATE)


def _recovering(before: float, now: float, least: float) -> bool:
    growth = now / max(before, 1e-9)
    return growth > RECOVERING and now * growth**AHEAD > least
