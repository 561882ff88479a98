"""A detector of anomalies: the scores of one trained VAE, what is usual of them, and p-values, as one module.

Every score is deterministic, since z is drawn by the same noise for every example, and high where the model finds an
example unlikely. Nothing here was fitted to an anomaly. It is arithmetic alone, so that it can be exported whole.
"""

import copy
import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vae_pipeline.models.features.scaling import FeatureScaling
from vae_pipeline.models.heat import FeatureHeatMap, HeatMap
from vae_pipeline.models.vae import VAE
from vae_pipeline.recipe.detection import Score

MEMBERS: tuple[Score, ...] = (
    "negative_elbo",
    "reconstruction_error",
    "reconstruction_probability",
    "importance_bound",
)
"""Members of the ensemble: the scores that ask how unlikely the example itself is. `rate` and `mahalanobis` ask where
its z lies, and an encoder may put what it never saw anywhere, the middle of the normal examples too."""
STEP = 1e-3  # of the steps to which known scores are raised, in standard deviations of these
ROUNDING = 1e-4  # and relative to the highest: a hundred times what float32 loses of a sum
MILLIONTH = 1e-6
RIDGE = 1e-6  # of the latent covariance, relative to its mean variance


class DetectorOutputs(NamedTuple):
    """The answers of a detector on each example."""

    score: Float[Tensor, " batch"]
    p_value: Float[Tensor, " batch"]
    """The p-value: at most alpha for a share of at most alpha of normal examples."""
    distortion: Float[Tensor, " batch"]
    rate: Float[Tensor, " batch"]
    """Nats, averaged over the draws: their sum is -ELBO."""
    contributions: Float[Tensor, "batch *event"]
    """Nats of distortion of each value, over what is usual of it: their sum is distortion minus its usual mean.

    Of an image a heat map of each channel: nats of deviance, smoothed.
    """


class EmpiricalTail(nn.Module):
    """The number of known scores that are at least as high as a score, made continuous from above.

    Known scores are raised to the next of some even steps, and over one step from there the count falls linearly (over
    all the way to the next known one, where it is to be `smooth`). So it's never under the count itself, and a rounding
    error in a score is a small one in the tail, and no jump.
    """

    scores: Tensor
    """The known ones, rising."""
    lower: Tensor
    gap: Tensor
    count: Tensor

    def __init__(self, scores: Float[Tensor, " examples"], smooth: bool = False) -> None:
        super().__init__()
        exact = scores.double().sort().values
        step = float(STEP * exact.std(correction=0) + ROUNDING * (1 + exact[-1].abs()))
        places, count = ((exact - exact[0]) / step).floor().unique(return_counts=True)
        lower = exact[0] + (places + 1) * step
        gap = torch.cat([lower.diff(), torch.full_like(lower[:1], step)]) if smooth else torch.full_like(lower, step)
        self.total = len(scores)
        self.register_buffer("scores", exact.float())
        self.register_buffer("lower", lower.float())
        self.register_buffer("gap", gap.float())
        self.register_buffer("count", count.float())

    @classmethod
    def restored(cls, state: Mapping[str, Tensor], prefix: str) -> "EmpiricalTail":
        """The tail whose `state_dict` stands in `state`, each name behind the prefix."""
        tail = cls(torch.zeros(1))
        for name in tail.state_dict():
            tail.register_buffer(name, state[prefix + name])
        tail.total = len(tail.scores)
        return tail

    def forward(self, score: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        """The count, from 0 to `total`."""
        if torch.compiler.is_exporting():  # a search is no operator that every runtime has
            every: Tensor = ((score.unsqueeze(-1) - self.lower) / self.gap).clamp(0, 1)
            return ((1 - every) * self.count).sum(-1)
        at_least = self.count.flip(0).cumsum(0).flip(0)
        place = (torch.searchsorted(self.lower, score) - 1).clamp_min(0)
        beyond = ((score - self.lower[place]) / self.gap[place]).clamp(0, 1)
        return at_least[place] - beyond * self.count[place]

    def p_value(self, score: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        """(1 + count) / (1 + total); a millionth less, so that no rounding lifts it over the alpha that it equals."""
        p_value: Tensor = (1 + self(score)) * ((1 - MILLIONTH) / (1 + self.total))
        return p_value

    def threshold(self, alpha: float) -> float:
        """The score from which on the p-value is at most `alpha`; infinite where it never is."""
        count = alpha * (1 + self.total) / (1 - MILLIONTH) - 1
        if count < 0:
            return math.inf
        more = self.count.double().flip(0).cumsum(0).flip(0) - count
        if more[0] <= 0:
            return -math.inf
        place = int((more > 0).sum()) - 1
        share = min(1.0, float(more[place] / self.count[place]))
        return float(self.lower[place] + share * self.gap[place])

    def rank(self, score: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        """Places from the highest known score: -`total` under all of them, 0 at the highest, `total` a span beyond."""
        span = self.lower[-1] - self.scores[0]  # a step at least
        rank: Tensor = (score - self.scores[-1]).clamp_min(0) * (self.total / span) - self(score)
        return rank


class Detector(nn.Module):
    """A model with what was found of its scores on training and held-back examples.

    Sources: reconstruction probability, An and Cho, 2015; importance bound, Burda et al., 2016; p-values from
    held-back examples, Vovk et al., Algorithmic Learning in a Random World, 2005 (split conformal).
    """

    noise: Tensor
    centre: Tensor
    whitening: Tensor
    usual: Tensor

    def __init__(
        self,
        model: VAE,
        kind: Score,
        noise: Float[Tensor, "draws latents"],
        means: Float[Tensor, "examples latents"],
        event: tuple[int, ...],
    ) -> None:
        """`means` are the posterior means of training examples, `event` the shape of one: of three axes, an image's.

        Raises:
            ValueError: the score is of images, and the examples are none.
        """
        super().__init__()
        self.model, self.kind = model, kind
        self.heat = _heat_map(model, event)
        if kind == "hottest_part" and self.heat is None:
            raise ValueError(
                "the score hottest_part is for images, and these are rows: take another, say negative_elbo"
            )
        self.register_buffer("noise", noise)
        self.register_buffer("centre", means.mean(0))
        # The covariance of a map would have a square of thousands of numbers.
        self.register_buffer("whitening", means.new_zeros(0) if model.is_map else _whitening(means))
        self.tails = nn.ModuleDict()
        """The tail of each member of the ensemble, on training examples."""
        self.calibration: EmpiricalTail | None = None
        """The tail of the detector's own score."""

    def frozen(self) -> "Detector":
        """A copy whose model's prior and sampler are made: arithmetic alone, which can be exported."""
        copied = copy.copy(self)
        copied._modules = {**self._modules, "model": self.model.frozen()}
        return copied

    @classmethod
    def restored(cls, model: VAE, kind: Score, state: Mapping[str, Tensor], event: tuple[int, ...]) -> "Detector":
        """The detector whose `state_dict` is given, around a model of the same recipe.

        Raises:
            KeyError, RuntimeError: the state is of another model, or lacks something.
        """
        detector = cls(model, kind, state["noise"], torch.zeros(2, model.latents), event)
        detector.tails.update({member: EmpiricalTail.restored(state, f"tails.{member}.") for member in MEMBERS})
        detector.calibration = EmpiricalTail.restored(state, "calibration.")
        detector.register_buffer("usual", state["usual"])
        detector.load_state_dict(dict(state))
        return detector

    def rank_by(self, scores: Mapping[str, Tensor]) -> None:
        """Take the scores of training examples for those that the ensemble's ranks are among.

        Held-back examples wouldn't do: each would be ranked among itself too, as no new example is, and the ensemble's
        p-values would be too low.
        """
        self.tails.update({kind: EmpiricalTail(scores[kind], smooth=True) for kind in MEMBERS})

    def calibrate(self, scores: Mapping[str, Tensor], usual: Float[Tensor, " *event"]) -> None:
        """Take the scores of held-back examples, and the mean distortion of each of their values, for usual."""
        self.register_buffer("usual", usual)
        self.calibration = EmpiricalTail(self.chosen(scores))

    def forward(self, x: Tensor, label: Tensor | None = None) -> DetectorOutputs:
        """Score raw observations."""
        scores, by_element = self.scores(x, label)
        score = self.chosen(scores)
        distortion, rate = scores["reconstruction_probability"], scores["rate"]
        contributions = by_element if self.heat else by_element - self.usual
        return DetectorOutputs(score, self.p_value(score), distortion, rate, contributions)

    def p_value(self, score: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        """The tail of the detector's own score."""
        assert self.calibration is not None
        return self.calibration.p_value(score)

    def scores(self, x: Tensor, label: Tensor | None = None) -> tuple[dict[str, Tensor], Tensor]:
        """Every score but the ensemble, and the distortion of each value; of an image its heat map."""
        posterior, target = self.model.encode(x, label), self.model.scaling(x)
        noise = self.noise.unsqueeze(1).expand(-1, x.shape[0], -1)
        inference = self.model.explain(target, posterior.draw(noise), label)
        by_element = -inference.likelihood.log_prob_by_element(target).mean(0)
        error = inference.likelihood.squared_error_by_element(target).mean(0)
        distortion, rate = by_element.flatten(1).sum(1), inference.rate().mean(0)
        unheard_of = torch.zeros_like(rate)
        if (nats := inference.likelihood.unheard_of(target)) is not None:  # z alone doesn't know of it
            unheard_of = nats
        weight = inference.log_weight()
        most = weight.amax(0)
        found = {
            "negative_elbo": distortion + rate,
            "reconstruction_error": error.flatten(1).sum(1),
            "reconstruction_probability": distortion,
            "importance_bound": -(most + (weight - most).exp().mean(0).log()),
            "rate": rate + unheard_of,
        }
        if not self.model.is_map:
            away = (posterior.mean - self.centre) @ self.whitening
            found["mahalanobis"] = away.square().sum(1) + unheard_of
        if self.heat:
            by_element = self.heat(inference.likelihood.deviance_by_element(target).mean(0))
            found["hottest_part"] = self.heat.score(by_element)
        return found, by_element

    def chosen(self, scores: Mapping[str, Tensor]) -> Float[Tensor, " batch"]:
        """The detector's own score."""
        return self.ensemble(scores) if self.kind == "rank_ensemble" else scores[self.kind]

    def ensemble(self, scores: Mapping[str, Tensor]) -> Tensor:
        """The mean of the ranks that the members have among training examples, as a logarithm to either side of 0.

        Held-back examples of a model that knows its training examples too well all rank near the highest of these:
        on an even scale they would lie within one step of each other.
        """
        ranks = [tail.rank(scores[kind]) for kind, tail in self.tails.items()]  # type: ignore[operator]
        mean = torch.stack(ranks).mean(0)
        return mean.sign() * mean.abs().log1p()


def _heat_map(model: VAE, event: tuple[int, ...]) -> HeatMap | None:
    if len(event) != 3:
        return None
    scaling = model.scaling
    return FeatureHeatMap(scaling.view, event) if isinstance(scaling, FeatureScaling) else HeatMap(*event[1:])


def _whitening(means: Tensor) -> Tensor:
    """The matrix that brings the means to unit covariance, as nearly as their number tells."""
    away = (means - means.mean(0)).double()
    covariance = away.T @ away / max(1, len(means) - 1)
    ridge = RIDGE * covariance.diagonal().mean() + torch.finfo(torch.float32).tiny
    values, vectors = torch.linalg.eigh(covariance + ridge * torch.eye(len(covariance), dtype=torch.float64))
    whitening: Tensor = (vectors / values.clamp_min(ridge).sqrt()).float()
    return whitening
