"""A likelihood or a posterior that lacks an answer is a type error, which names the answer."""

import subprocess
import sys

import pytest
from tests.lanes import ROOT
from tests.mypy_cache import mypy_cache

DUMMIES = """
import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vae_pipeline.models.draw import Posterior
from vae_pipeline.models.likelihoods import Likelihood, Measure, ObservedDistribution


class Lacking(ObservedDistribution):
    @property
    def mean(self) -> Tensor:
        return torch.zeros(())

    def log_prob_by_element(self, value: Tensor) -> Tensor:
        return value

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        return torch.zeros(())


class Dummy(nn.Module):
    planes = 1

    def forward(self, output: Tensor) -> ObservedDistribution:
        return Lacking()

    def measure(self, binary: bool) -> Measure:
        return "mass"

    def figures(self) -> dict[str, float]:
        return {}


class Undrawn(Posterior):
    mean = variance = like = torch.zeros(())

    def log_prob(self, value: Tensor) -> Tensor:
        return value


def built() -> Likelihood:
    return Dummy()


def inferred() -> Distribution:
    return Undrawn()
"""


@pytest.mark.slow
def test_mypy_names_the_answer_that_lacks(tmp_path):
    (tmp_path / "dummies.py").write_text(DUMMIES)
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", mypy_cache(tmp_path), tmp_path / "dummies.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    said = done.stdout.replace('"', "")
    assert "abstract class Lacking with abstract attribute log_prob_expected" in said
    assert "abstract class Undrawn with abstract attribute draw" in said
    assert "got Dummy, expected Likelihood" in said and "note:     independent: expected" in said
    assert done.stdout.count("error:") == 3
