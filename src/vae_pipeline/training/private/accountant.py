"""The account of a private run: the noise that keeps an epsilon, and the epsilon that steps have spent.

Both are those of opacus's RDP accountant, for batches that each row is in with one probability, of each step anew.

Source: Mironov, Talwar and Zhang, Rényi Differential Privacy of the Sampled Gaussian Mechanism, 2019.
"""

import math
import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from vae_pipeline.recipe.private import Private
from vae_pipeline.recipe.train import Train
from vae_pipeline.runtime.privacy_entry import PrivacyEntry
from vae_pipeline.system.errors import MissingError, RecipeError

TOLERANCE = 0.001
"""Share of epsilon by which the least noise may fall short of it."""


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
        """That of a recipe, with its noise found; None where training isn't private.

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

    @cached_property
    def noise_multiplier(self) -> float:
        """The least standard deviation of the noise, in units of the clip, by which all steps keep epsilon.

        Raises:
            MissingError: opacus isn't installed.
            RecipeError: delta is too large for so many rows, or no noise keeps epsilon.
        """
        private = self.private
        if private.delta * self.rows >= 1:
            raise RecipeError(
                f"train.private.delta is {private.delta:g}, and {self.rows:,} training rows want less than "
                f"{1 / self.rows:.2g}, or a model might tell one of them whole: set it lower"
            )
        found = _opacus()
        try:
            with _quiet():
                sigma: float = found.accountants.utils.get_noise_multiplier(
                    target_epsilon=private.epsilon,
                    target_delta=private.delta,
                    sample_rate=self.sample_rate,
                    steps=self.planned,
                    accountant="rdp",
                    epsilon_tolerance=TOLERANCE * private.epsilon,
                )
        except (ValueError, ArithmeticError) as error:
            raise RecipeError(
                f"train.private: no noise was found by which {self.planned:,} steps keep an epsilon of "
                f"{private.epsilon:g} at a delta of {private.delta:g} ({error}): raise epsilon"
            ) from error
        return sigma

    def spent(self, steps: int) -> PrivacyEntry:
        """What so many steps have spent."""
        found = _opacus()
        accountant = found.accountants.RDPAccountant()
        accountant.history = [(self.noise_multiplier, self.sample_rate, steps)]
        with _quiet():
            epsilon = float(accountant.get_epsilon(self.private.delta))
        assert math.isfinite(epsilon)
        return PrivacyEntry(
            epsilon,
            self.private.delta,
            self.noise_multiplier,
            self.private.clip,
            self.sample_rate,
            steps,
            f"RDP, opacus {found.__version__}",
        )


def _quiet() -> warnings.catch_warnings:
    """A block in which opacus doesn't warn that its highest or lowest order is the best: the bound holds with any."""
    return warnings.catch_warnings(action="ignore")


def _opacus() -> Any:
    try:
        with _quiet():
            import opacus.accountants.utils  # noqa: PLC0415 (seconds, for those who train privately)
    except ModuleNotFoundError as error:
        if error.name != "opacus":
            raise
        raise MissingError(
            "train.private needs the package opacus, which isn't installed: pip install 'vae-pipeline[private]', or "
            "set train.private to null"
        ) from error
    return opacus
