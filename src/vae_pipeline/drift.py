"""Whether new data are still what a bundle was calibrated on: their scores beside the calibration's."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from scipy.stats import ks_2samp

from vae_pipeline.runtime import Array, Bundle, Detection
from vae_pipeline.spec import TableSpec

BINS = 10
SOME, MUCH = 0.1, 0.25
"""The customary limits of the population stability index."""
NAMED = 5


@dataclass(frozen=True)
class Drift:
    """Scores of new examples against those of the calibration."""

    examples: int
    calibration_examples: int
    collected: str | None
    """When the calibration's data were."""
    ks: float
    """Kolmogorov and Smirnov's statistic: the largest difference of the two distribution functions."""
    ks_p_value: float
    psi: float
    """Population stability index, Σ (new - old) log(new / old) over tenths of the calibration's scores."""
    verdict: Literal["none", "some", "much"]
    alarm_rate: dict[str, float]
    """Share of new examples over each threshold, by the false-alarm rate that it was set for."""
    columns: dict[str, float]
    """Of a table: those that add most to the scores over what is usual, in nats, averaged over the new rows."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def drift(bundle: Bundle, found: Detection) -> Drift:
    """Compare what a bundle's detector found of new examples with its calibration.

    Raises:
        DataError: the bundle has no detector.
    """
    known, told = bundle.calibration()
    p_value = found.p_value
    rates = {f"{alpha:g}": float(bundle.alarms(found, alpha).mean()) for alpha in (0.01, 0.05, 0.1)
             if alpha >= bundle.least_alpha}  # fmt: skip
    ks = ks_2samp(found.score, known)
    psi = stability(known, found.score)
    verdict: Literal["none", "some", "much"] = "none" if psi < SOME else "some" if psi < MUCH else "much"
    return Drift(
        len(p_value), len(known), told["collected"], float(ks.statistic), float(ks.pvalue), psi, verdict, rates,
        _columns(bundle, found),
    )  # fmt: skip


def stability(known: Array, new: Array) -> float:
    """The population stability index; half an example stands in an empty bin."""
    edges = np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1])
    shares = []
    for values in (known, new):
        counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=BINS)
        shares.append(np.maximum(counts, 0.5) / len(values))
    old, now = shares
    return float(((now - old) * np.log(now / old)).sum())


def _columns(bundle: Bundle, found: Detection) -> dict[str, float]:
    if not isinstance(bundle.spec, TableSpec):
        return {}
    means = found.contributions.mean(axis=0, dtype=np.float64)
    most = np.argsort(-means)[:NAMED]
    return {bundle.spec.columns[index].name: float(means[index]) for index in most if means[index] > 0}


def said(result: Drift) -> str:
    """What was found, in a few lines."""
    collected = f", collected {result.collected}" if result.collected else ""
    lines = [
        f"drift: {result.verdict} (PSI {result.psi:.3f}; under {SOME:g} is none, over {MUCH:g} much)",
        f"scores of {result.examples:,} examples beside {result.calibration_examples:,} of the calibration{collected}: "
        f"Kolmogorov-Smirnov {result.ks:.3f}, p-value {result.ks_p_value:.2g}",
        *(f"alarms at alpha {alpha}: {rate:.2%} of the examples" for alpha, rate in result.alarm_rate.items()),
    ]
    if result.columns:
        named = ", ".join(f"{name} {nats:+.2f}" for name, nats in result.columns.items())
        lines.append(f"columns that add most over what is usual, nats a row: {named}")
    return "\n".join(lines)
