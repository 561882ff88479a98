"""The findings of a study: of each size, the gains of its arms and the one that is to be used, if any."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from vae_pipeline.metrics.paired_gains import PairedGain, gains
from vae_pipeline.numerics.randomness import derive
from vae_pipeline.recipe.study import Metric

NONE: Final = "none"
SYNTHETIC: Final = "synthetic"
"""Beside the recipe's arms: no augmentation; and nothing but a VAE's images."""


@dataclass(frozen=True)
class Outcome:
    """One classifier: figures of the part that chooses, the validation part or a fold, and of the test part."""

    size: str
    repeat: int
    arm: str
    valid: dict[str, float]
    test: dict[str, float]
    seconds: float
    nearer: float | None = None
    """The share of new images nearest to a labelled one, beside as many that choose; None but of `synthetic`."""

    def of(self, part: str) -> dict[str, float]:
        """Its figures of `valid` or `test`."""
        return self.valid if part == "valid" else self.test


@dataclass(frozen=True)
class OfSize:
    """The findings for labelled sets of one size."""

    size: str
    outcomes: tuple[Outcome, ...]
    valid: dict[str, PairedGain]
    """The gain of each arm on the validation part."""
    test: dict[str, PairedGain]
    chosen: str | None
    """The arm with the greatest gain on the validation part of those that are sure there; None where none is."""
    confirmation: PairedGain | None
    """Its gain on the test part, as the one arm that is looked at there."""

    @property
    def verdict(self) -> str | None:
        """The arm to use: chosen on the validation part, confirmed on the test part; None for none."""
        return self.chosen if self.confirmation is not None and self.confirmation.sure else None

    @property
    def nearer(self) -> list[float]:
        """The share of new images that lie nearest to a labelled one, repeat by repeat; empty without a VAE."""
        return [each.nearer for each in self.outcomes if each.nearer is not None]

    def figures(self, arm: str, part: str, metric: str) -> list[float]:
        """A figure of an arm, repeat by repeat."""
        return [each.of(part)[metric] for each in self.outcomes if each.arm == arm]


def findings_of(
    outcomes: Iterable[Outcome], sizes: Sequence[str], metric: Metric, seed: int, overlap: float = 0.0
) -> list[OfSize]:
    """The findings of each size; every arm has been tried in the same repeats, whose `overlap` is that of `gains`."""
    ordered = sorted(outcomes, key=lambda each: each.repeat)
    of = {size: tuple(each for each in ordered if each.size == size) for size in sizes}
    return [_of_size(size, of[size], metric, seed, overlap) for size in sizes]


def _of_size(size: str, outcomes: tuple[Outcome, ...], metric: Metric, seed: int, overlap: float) -> OfSize:
    arms = [arm for arm in dict.fromkeys(each.arm for each in outcomes) if arm not in (NONE, SYNTHETIC)]

    def compared(part: str, among: Sequence[str]) -> dict[str, PairedGain]:
        figures = {arm: [each.of(part)[metric] for each in outcomes if each.arm == arm] for arm in (NONE, *among)}
        return gains(figures.pop(NONE), figures, derive(seed, "gains", size, part), overlap)

    valid = compared("valid", arms)
    chosen = max((arm for arm in arms if valid[arm].sure), key=lambda arm: valid[arm].mean, default=None)
    confirmation = None if chosen is None else compared("test", [chosen])[chosen]
    return OfSize(size, outcomes, valid, compared("test", arms), chosen, confirmation)
