"""Drift: new data's scores beside the calibration's say if they are still what a bundle was calibrated on."""

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from vae_pipeline.runtime.bundle import Array, Bundle
from vae_pipeline.runtime.detection import Detection
from vae_pipeline.system.errors import DataError, DriftError

Verdict = Literal["too few rows", "none", "some", "much"]

BINS = 10
LEAST = 20
"""Examples on either side, under which no verdict is given."""
SIGNIFICANT = 0.01
"""Share of false verdicts where nothing has changed, over all calibrations. A bundle has one of them, which lies
somewhat off by chance: for one bundle the share may be several times as large."""
MUCH = 0.25
"""Population stability index from which a shift is customarily called large."""
PERMUTATIONS = 9_999
NAMED = 5


@dataclass(frozen=True)
class Drift:
    """Scores of new examples against those of the calibration."""

    examples: int
    calibration_examples: int
    collected: str | None
    """The time of the calibration's data, in words."""
    psi: float
    """Population stability index of the scores over that of chance, nats; 0 where it isn't over it."""
    p_value: float
    """Share of random divisions of all the scores into two such groups that lie at least as far apart."""
    verdict: Verdict
    alarm_rate: dict[str, float]
    """Share of new examples over each threshold, by the false-alarm rate that it was set for."""
    columns: dict[str, float]
    """Columns of a table that add most to the scores over what is usual, in nats, averaged over the new rows."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def drift(bundle: Bundle, found: Detection) -> Drift:
    """Compare what a bundle's detector found of new examples with its calibration.

    Raises:
        DataError: the bundle has no detector.
    """
    known, told = bundle.calibration()
    rates = {f"{alpha:g}": float(bundle.alarms(found, alpha).mean()) for alpha in (0.01, 0.05, 0.1)
             if alpha >= bundle.least_alpha}  # fmt: skip
    psi, p_value = shift(known, found.score)
    return Drift(
        len(found.score), len(known), told.collected, psi, p_value,
        _verdict(min(len(known), len(found.score)), psi, p_value), rates, _columns(bundle, found),
    )  # fmt: skip


def shift(known: Array, new: Array) -> tuple[float, float]:
    """The distance of two groups of scores, Σ (new - old) log(new / old) over tenths of all, and its p-value.

    Chance alone makes the index about (bins - 1) (1/n + 1/m). So the mean over permutations of the scores is taken off,
    and their share that reaches the index found is its p-value: exact for any distribution and any number of scores,
    since the tenths are of both groups together. A permutation's counts are multivariate hypergeometric.

    Source: Phipson and Smyth, Permutation P-values Should Never Be Zero, 2010.
    """
    both = np.concatenate([known, new])
    edges = np.unique(np.quantile(both, np.linspace(0, 1, BINS + 1)[1:-1]))
    counts = [np.bincount(np.searchsorted(edges, part), minlength=len(edges) + 1) for part in (known, new)]
    chance = _chance(tuple((counts[0] + counts[1]).tolist()), len(new))
    found = _stability(*counts)
    # An index that is equal but for rounding counts as reached.
    reached = int((chance >= found * (1 - 1e-9)).sum())
    return max(0.0, float(found - chance.mean())), (1 + reached) / (1 + PERMUTATIONS)


@lru_cache(16)  # who watches a stream asks about batches of one size
def _chance(counts: tuple[int, ...], new: int) -> Array:
    permuted = np.random.default_rng(0).multivariate_hypergeometric(counts, new, size=PERMUTATIONS)
    return _stability(np.array(counts) - permuted, permuted)


def _stability(known: Array, new: Array) -> Array:
    """The index of counts [..., bins]; half an example stands in an empty bin."""
    old, now = (np.maximum(counts, 0.5) / counts.sum(-1, keepdims=True) for counts in (known, new))
    return np.asarray(((now - old) * np.log(now / old)).sum(-1))


def _verdict(examples: int, psi: float, p_value: float) -> Verdict:
    if examples < LEAST:
        return "too few rows"
    if p_value > SIGNIFICANT:
        return "none"
    return "much" if psi >= MUCH else "some"


def _columns(bundle: Bundle, found: Detection) -> dict[str, float]:
    names = bundle.spec.names
    if not names:
        return {}
    means = found.contributions.mean(axis=0, dtype=np.float64)
    most = np.argsort(-means)[:NAMED]
    return {names[index]: float(means[index]) for index in most if means[index] > 0}


def said(result: Drift) -> str:
    """Say in a few lines what was found."""
    collected = f" ({result.collected})" if result.collected else ""
    groups = (
        f"the scores of {result.examples:,} new examples and of {result.calibration_examples:,} of the "
        f"calibration{collected}"
    )
    chance = f"p-value {result.p_value:.2g}; population stability index {result.psi:.2f} over chance"
    match result.verdict:
        case "too few rows":
            first = f"too few rows to tell: {groups} were compared, and at least {LEAST} of each are wanted"
        case "none":
            first = f"none: {groups} differ no more than chance makes them ({chance})"
        case "some" | "much":
            size = "far" if result.verdict == "much" else "a little"
            first = f"{result.verdict}: {groups} differ {size}, and not by chance ({chance}, where {MUCH:g} is much)"
    lines = [f"drift: {first}"]
    lines += [f"alarms at alpha {alpha}: {rate:.2%} of the new examples" for alpha, rate in result.alarm_rate.items()]
    if result.columns and result.verdict in ("some", "much"):
        named = ", ".join(f"{name} {nats:+.2f}" for name, nats in result.columns.items())
        lines.append(f"columns that add most over what is usual, nats a row: {named}")
    return "\n".join(lines)


def require_stable(result: Drift, least: Literal["some", "much"] | None) -> None:
    """Refuse data that have drifted as far as `least`; with None, none.

    Raises:
        DataError: there are too few examples to tell.
        DriftError: they have.
    """
    if least is None:
        return
    if result.verdict == "too few rows":
        raise DataError(
            f"{result.examples} examples beside {result.calibration_examples} of the calibration were given, too few "
            f"to tell a drift: give at least {LEAST} of each"
        )
    if result.verdict in ("much", least):
        raise DriftError(f"the data have drifted ({result.verdict}), and --fail-on {least} was given")
