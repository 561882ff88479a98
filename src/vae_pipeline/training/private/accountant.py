"""The account of a private run: the noise that keeps an epsilon, and the epsilon that steps have spent.

Both are those of opacus's RDP accountant, for batches that each row is in with one probability, of each step anew.

Source: Mironov, Talwar and Zhang, Rényi Differential Privacy of the Sampled Gaussian Mechanism, 2019.
"""

import math
import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any

from vae_pipeline.recipe.private import Private
from vae_pipeline.recipe.train import Train
from vae_pipeline.runtime.privacy_entry import PrivacyEntry
from vae_pipeline.system.errors import MissingError, RecipeError

TOLERANCE = 0.001
"""Share of epsilon by which the least noise may fall short of it."""
STARTING = 0.1
"""Share of what may be told that the start tells."""
MOST = 1e6
"""The most noise that is tried."""


@dataclass(frozen=True)
class Mechanism:
    """The Gaussian mechanism of each step of a run, on batches sampled at one rate."""

    private: Private
    rows: int
    batch: int
    planned: int
    """Steps of the whole run."""

    @classmethod
    def of(cls, train: Train, rows: int, planned: int) -> "Mechanism | None":
        """The mechanism of a recipe, with its noise found; None where training isn't private.

        Raises:
            MissingError, RecipeError: as `noise_multiplier`.
        """
        if train.private is None:
            return None
        mechanism = cls(train.private, rows, train.batch, planned)
        mechanism.noise_multiplier  # noqa: B018 (what can't be had is told before the first step)
        return mechanism

    @property
    def sample_rate(self) -> float:
        """The probability with which a row is in a batch."""
        return min(1.0, self.batch / self.rows)

    @property
    def expected(self) -> float:
        """Rows in a batch, on average."""
        return self.sample_rate * self.rows

    @property
    def start_multiplier(self) -> float:
        """The noise of the start (`training.private.shares`), for which about a tenth of what may be told is spent.

        It is by concentrated privacy, of which epsilon² / (4 log(1 / delta)) is about the whole.

        Source: Bun and Steinke, Concentrated Differential Privacy, 2016.
        """
        whole = self.private.epsilon**2 / (4 * math.log(1 / self.private.delta))
        return math.sqrt(1 / (2 * STARTING * whole))

    @property
    def noise_multiplier(self) -> float:
        """The least standard deviation of the noise, in units of the clip, by which start and steps keep epsilon.

        Raises:
            MissingError: opacus isn't installed.
            RecipeError: delta is too large for so many rows, or no noise keeps epsilon.
        """
        return _least_noise(self)

    def spent(self, steps: int) -> PrivacyEntry:
        """The epsilon that the start and so many steps have spent, and by what."""
        return PrivacyEntry(
            self.epsilon(self.noise_multiplier, steps),
            self.private.delta,
            self.noise_multiplier,
            self.start_multiplier,
            self.private.clip,
            self.sample_rate,
            steps,
            f"RDP, opacus {_opacus().__version__}",
        )

    def epsilon(self, noise_multiplier: float, steps: int) -> float:
        """The epsilon that the start and so many steps of such noise have spent."""
        accountant = _opacus().accountants.RDPAccountant()
        accountant.history = [(self.start_multiplier, 1.0, 1), (noise_multiplier, self.sample_rate, steps)]
        with _quiet():
            return float(accountant.get_epsilon(self.private.delta))


@cache
def _least_noise(mechanism: Mechanism) -> float:
    private, steps = mechanism.private, mechanism.planned
    if private.delta * mechanism.rows >= 1:
        raise RecipeError(
            f"train.private.delta is {private.delta:g}, and {mechanism.rows:,} training rows want less than "
            f"{1 / mechanism.rows:.2g}, or a model might tell one of them whole: set it lower"
        )
    wanted, sigma = private.epsilon * (1 - TOLERANCE / 2), 1.0
    while mechanism.epsilon(sigma, steps) > wanted:
        sigma *= 2
        if sigma > MOST:
            raise RecipeError(
                f"train.private: no noise was found by which {steps:,} steps keep an epsilon of {private.epsilon:g} at "
                f"a delta of {private.delta:g}: raise epsilon"
            )
    low = sigma / 2
    while mechanism.epsilon(low, steps) < wanted:
        low, sigma = low / 2, low
    from scipy.optimize import brentq  # noqa: PLC0415 (opacus loads it anyhow)

    found = math.exp(
        brentq(
            lambda log: mechanism.epsilon(math.exp(log), steps) - wanted,
            math.log(low),
            math.log(sigma),
            xtol=TOLERANCE / 10,
        )
    )
    assert mechanism.epsilon(found, steps) <= private.epsilon
    return found


def _quiet() -> warnings.catch_warnings:
    """A block in which opacus doesn't warn that its highest or lowest order is the best: the bound holds with any."""
    return warnings.catch_warnings(action="ignore")


def _opacus() -> Any:
    try:
        with _quiet():
            import opacus.accountants  # noqa: PLC0415 (seconds, for those who train privately)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "opacus":
            raise
        raise MissingError(
            "train.private needs the package opacus, which isn't installed: pip install 'vae-pipeline[private]', or "
            "set train.private to null"
        ) from error
    return opacus
