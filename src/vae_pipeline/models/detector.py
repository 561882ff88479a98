"""A detector of anomalies: the scores of one trained VAE, what is usual of them, and p-values, as one module.

Every score is deterministic, since z is drawn by the same noise for every example, and high where the model finds an
example unlikely. Nothing here was fitted to an anomaly. It is arithmetic alone, so that it can be exported whole.
"""

import copy
from collections.abc import Mapping
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vae_pipeline.models.features.scaling import FeatureScaling
from vae_pipeline.models.heat import FeatureHeatMap, HeatMap
from vae_pipeline.models.neighbours import NeighbourEnsemble
from vae_pipeline.models.table import TableVAE
from vae_pipeline.models.tails import EmpiricalTail, SegmentTails
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

    Where columns are left out in turn, nats by which each makes the row less likely, over what is usual: they have no
    such sum. Of an image a heat map of each channel: nats of deviance, smoothed.
    """


class Detector(nn.Module):
    """A model with what was found of its scores on training and held-back examples.

    Sources: reconstruction probability, An and Cho, 2015; importance bound, Burda et al., 2016; p-values from
    held-back examples, Vovk et al., Algorithmic Learning in a Random World, 2005 (split conformal).
    """

    noise: Tensor
    centre: Tensor
    whitening: Tensor
    usual: Tensor
    usual_left_out: Tensor | None
    """The mean of what each column costs where it is left out, if contributions are that."""

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
            ValueError: the score is of images or of rows of a table, and the examples are none.
        """
        super().__init__()
        self.model, self.kind = model, kind
        self.heat = _heat_map(model, event)
        if kind == "hottest_part" and self.heat is None:
            raise ValueError(
                "the score hottest_part is for images, and these are rows: take another, say negative_elbo"
            )
        if kind == "neighbour_ensemble" and not isinstance(model, TableVAE):
            raise ValueError("the score neighbour_ensemble is for the rows of a table: take another, say negative_elbo")
        self.register_buffer("noise", noise)
        self.register_buffer("centre", means.mean(0))
        # The covariance of a map would have a square of thousands of numbers.
        self.register_buffer("whitening", means.new_zeros(0) if model.is_map else _whitening(means))
        self.register_buffer("usual_left_out", None)
        self.tails = nn.ModuleDict()
        """The tail of each member of the ensemble, on training examples."""
        self.neighbours: NeighbourEnsemble | None = None
        """Training rows and what is usual among them, where the score is of them."""
        self.calibration: EmpiricalTail | None = None
        """The tail of the detector's own score."""
        self.segments: SegmentTails | None = None
        """The tails of segments that have one of their own."""

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
        if isinstance(model, TableVAE) and kind == "neighbour_ensemble":
            detector.neighbours = NeighbourEnsemble.restored(model, state, "neighbours.")
        detector.calibration = EmpiricalTail.restored(state, "calibration.")
        detector.register_buffer("usual", state["usual"])
        detector.usual_left_out = state.get("usual_left_out")
        detector.load_state_dict(dict(state))
        return detector

    def rank_by(self, scores: Mapping[str, Tensor]) -> None:
        """Take the scores of training examples for those that the ensemble's ranks are among.

        Held-back examples wouldn't do: each would be ranked among itself too, as no new example is, and the ensemble's
        p-values would be too low.
        """
        self.tails.update({kind: EmpiricalTail(scores[kind], smooth=True) for kind in MEMBERS})

    def keep_rows(
        self, train: Float[Tensor, "examples columns"], kept: Tensor, negative_elbo: Float[Tensor, " ranked"]
    ) -> None:
        """Take training rows for those that `neighbour_ensemble` looks among: `NeighbourEnsemble.fitted`."""
        assert isinstance(self.model, TableVAE)  # or the score would have been refused
        self.neighbours = NeighbourEnsemble.fitted(self.model, train, kept, negative_elbo)

    def calibrate(self, scores: Mapping[str, Tensor], usual: Float[Tensor, " *event"]) -> None:
        """Take the scores of held-back examples, and the mean distortion of each of their values, for usual."""
        self.register_buffer("usual", usual)
        self.calibration = EmpiricalTail(self.chosen(scores))

    @property
    def told(self) -> Literal["distortion", "left_out"]:
        """The kind of contributions."""
        return "distortion" if self.usual_left_out is None else "left_out"

    def left_out(self, x: Float[Tensor, "batch columns"]) -> Float[Tensor, "batch columns"]:
        """The nats that each column of raw rows costs: `TableVAE.left_out`."""
        assert isinstance(self.model, TableVAE)  # the recipe says so
        return self.model.left_out(x, self.noise)

    def forward(self, x: Tensor, label: Tensor | None = None) -> DetectorOutputs:
        """Score raw observations."""
        scores, by_element = self.scores(x, label)
        score = self.chosen(scores)
        distortion, rate = scores["reconstruction_probability"], scores["rate"]
        if self.usual_left_out is not None:
            contributions = self.left_out(x) - self.usual_left_out
        else:
            contributions = by_element if self.heat else by_element - self.usual
        return DetectorOutputs(score, self.p_value(score, x, label), distortion, rate, contributions)

    def p_value(
        self, score: Float[Tensor, " batch"], x: Tensor, label: Tensor | None = None
    ) -> Float[Tensor, " batch"]:
        """The p-values of the detector's own score: in the tail of an example's segment, if that has one."""
        assert self.calibration is not None
        p_value = self.calibration.p_value(score)
        return p_value if self.segments is None else self.segments.p_value(score, p_value, x, label)

    def scores(self, x: Tensor, label: Tensor | None = None) -> tuple[dict[str, Tensor], Tensor]:
        """Every score but the ensemble of ranks, and the distortion of each value; of an image its heat map.

        The ensemble of neighbours is there where it's the detector's own.
        """
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
        if self.neighbours is not None:
            found["neighbour_ensemble"] = self.neighbours(x, found["negative_elbo"]) + unheard_of
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
