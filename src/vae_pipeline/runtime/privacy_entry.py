"""The promise of a model to each row that it was trained on, in bundle.json and in files of drawn rows."""

import math
from dataclasses import asdict, dataclass
from typing import Any

OUTSIDE = (
    "Not covered, as it was read from real rows without noise: how many rows there are; what the columns are (their "
    "categories, cells, extremes and quantiles, which the model knows); any figure that was measured on real rows; and "
    "whatever else is made of the same rows, other runs of the same recipe too."
)
"""The part of a publication that differentially private training doesn't reach."""


@dataclass(frozen=True)
class PrivacyEntry:
    """The (epsilon, delta)-differential privacy of a training run, and the noise that it is by."""

    epsilon: float
    delta: float
    noise_multiplier: float
    """Standard deviation of the noise, in units of `clip`."""
    start_multiplier: float
    """Standard deviation of the noise of the shares that training starts from, in units of the most that a row adds."""
    clip: float
    """The largest norm of a row's gradient."""
    sample_rate: float
    """The probability with which a row is in a batch, of each step anew."""
    steps: int
    accountant: str
    """The accountant that found `epsilon`."""

    def __post_init__(self) -> None:
        numbers = [value for value in asdict(self).values() if not isinstance(value, str)]
        if not all(0 < value < math.inf for value in numbers) or self.delta >= 1 or self.sample_rate > 1:
            raise ValueError(f"privacy is {asdict(self)}; wanted positive numbers, delta and sample_rate up to 1")

    @property
    def promise(self) -> str:
        """The promise in a sentence."""
        return (
            f"Training was ({self.epsilon:.4g}, {self.delta:g})-differentially private: whether any one row was among "
            f"those trained on changes the probability of no outcome by more than a factor of exp({self.epsilon:.4g}), "
            f"but for {self.delta:g}."
        )

    @property
    def told(self) -> dict[str, Any]:
        """The promise as a file of drawn rows has it."""
        return {**asdict(self), "promise": self.promise, "not_covered": OUTSIDE}
