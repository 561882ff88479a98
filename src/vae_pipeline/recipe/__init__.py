"""Recipe: all that changes the numbers, in one YAML file.

Sections are frozen; where there is a choice of kinds, the key `kind` makes it. Nothing here is read from
the environment. A recipe says what it does; a field that came later has a default that leaves the numbers of
older recipes as they were (docs/adr/0037-recipes-that-last.md).
"""

from pathlib import Path

from pydantic import model_validator

from vae_pipeline.recipe.data import Data, has_labels, kind_of
from vae_pipeline.recipe.denoise import denoising_fits
from vae_pipeline.recipe.detection import DetectionSection
from vae_pipeline.recipe.evaluate import Evaluate, Export
from vae_pipeline.recipe.features import features_fit
from vae_pipeline.recipe.fits import fits
from vae_pipeline.recipe.gates import require_possible
from vae_pipeline.recipe.model import (
    AnyModel,
    FeatureView,
    FiniteScalarPosterior,
    GaussianPosterior,
    Ladder,
    Model,
    NormalisedPosterior,
    SpatialPosterior,
    VectorPosterior,
    WaveformView,
)
from vae_pipeline.recipe.objective import (
    CapacityControl,
    ConstantControl,
    ElboObjective,
    FreeBitsControl,
    ImportanceObjective,
    Objective,
    RateControl,
    TargetDistortionControl,
    TargetRateControl,
    TotalCorrelationObjective,
    TrimmedObjective,
    WarmUpControl,
)
from vae_pipeline.recipe.privacy import private_fits
from vae_pipeline.recipe.sampler import Sampler, kinds_of
from vae_pipeline.recipe.section import Section, later
from vae_pipeline.recipe.sharpness import SPECTRAL
from vae_pipeline.recipe.study import Study
from vae_pipeline.recipe.train import Train
from vae_pipeline.system.reading import parse, read_yaml


class Recipe(Section):
    """One experiment."""

    about: str
    """The experiment in a sentence or two; the model card prints it."""
    data: Data
    """The origin of the observations, and the way they are divided."""
    model: AnyModel
    """Encoder, posterior, prior, decoder and likelihood; or a ladder."""
    objective: Objective
    """The quantity that is minimised."""
    rate_control: RateControl
    """The cost of the rate in it, step by step."""
    train: Train
    """The search for the weights: its length and its steps."""
    sampler: Sampler
    """The distribution that new latents are drawn from; fitted at the end of training, and stored with the weights.
    `auto` fits prior, gaussian, mixture and flow (of a map of latents prior and flow_matching), and keeps the one whose
    samples are nearest to the validation part; {kind: auto, among: [...]} names the kinds."""
    detection: DetectionSection | None
    """The score that tells anomalies from what is normal; null, as of sentences, for none."""
    evaluate: Evaluate
    """The measurements on the test part, and the bounds that they must keep."""
    export: Export
    """The ONNX bundle."""
    study: Study = later(Study())
    """The comparison of ways to train a classifier on few labelled images, which `study` makes; not of the model."""

    @model_validator(mode="after")
    def _sections_agree(self) -> "Recipe":
        no_valid = isinstance(self.data.valid, float | int) and self.data.valid == 0
        if no_valid and (self.train.keep == "best" or self.train.patience is not None):
            raise ValueError(
                "train.keep: best and train.patience need a validation set, but data.valid is 0: "
                "set data.valid, or train.keep: last and train.patience: null"
            )
        if no_valid and getattr(self.data, "one_class", False):
            raise ValueError(
                "data.one_class is for detecting anomalies, whose thresholds are set by the validation part: give "
                "data.valid a share, such as 0.2"
            )
        if self.model.conditional and not has_labels(self.data):
            raise ValueError(
                "model.conditional is true, but the data section names no labels: set it to false, or name the labels"
            )
        fits(self.data, self.model, self.sampler, self.detection)
        features_fit(self.model, self.rate_control, self.train, self.sampler)
        self._objective_fits()
        self._codes_fit()
        self._sampler_fits()
        steered = isinstance(self.rate_control, CapacityControl | TargetRateControl | TargetDistortionControl)
        if steered and self.train.keep == "best":
            raise ValueError(
                f"rate_control.kind {self.rate_control.kind} is at its target in the last epoch, and train.keep: best "
                "would take the one with the best ELBO: set train.keep: last and train.patience: null"
            )
        self._sharpness_fits()
        self._augment_fits()
        denoising_fits(self.train.denoise, self.data, self.model)
        private_fits(self.data, self.model, self.objective, self.rate_control, self.train, self.sampler, self.detection)
        wants_psnr = isinstance(self.rate_control, TargetDistortionControl) and self.rate_control.psnr is not None
        if wants_psnr and kind_of(self.data) != "image":
            raise ValueError(
                f"rate_control.psnr is for images, and data.kind is {self.data.kind}: give rate_control.nats"
            )
        fractions = [part for part in (self.data.valid, self.data.test) if isinstance(part, float | int)]
        if sum(fractions) >= 1:
            raise ValueError("data.valid and data.test leave nothing to train on: together they must be under 1")
        self._draws_fit()
        if self.evaluate.target is not None and kind_of(self.data) != "table":
            raise ValueError(
                f"evaluate.target is a column of a table, and data.kind is {self.data.kind}: set it to null"
            )
        self._audit_fits()
        require_possible(
            self.evaluate.gates, self.data, self.detection, self.train.denoise, self.model, self.evaluate.privacy
        )
        return self

    def _audit_fits(self) -> None:
        if not self.evaluate.privacy:
            return
        if kind_of(self.data) != "image":
            raise ValueError(
                f"evaluate.privacy audits images, and data.kind is {self.data.kind}: leave it out; rows of a table are "
                "audited without it"
            )
        if isinstance(self.model.view, FeatureView):
            raise ValueError(
                f"evaluate.privacy audits images that a model makes, and model.view.kind {self.model.view.kind} sees "
                "features, of which none can be made: leave it out"
            )

    def _draws_fit(self) -> None:
        if not self.export.draws:
            return
        if kind_of(self.data) != "image":
            raise ValueError(
                f"export.draws is of images, and data.kind is {self.data.kind}: leave it out; rows of a table and "
                "sentences are drawn without it, and sound has means alone"
            )
        if self.model.view is not None:
            raise ValueError(
                f"export.draws is of images, and model.view.kind {self.model.view.kind} sees features, of which none "
                "can be made: leave it out"
            )

    def _codes_fit(self) -> None:
        if not isinstance(self.model, Model) or not isinstance(self.model.posterior, FiniteScalarPosterior):
            return
        if not isinstance(self.objective, ElboObjective | TrimmedObjective):
            raise ValueError(
                f"objective.kind {self.objective.kind} is of draws that differ, and a posterior of kind finite_scalar "
                "has one code for an example: take elbo or trimmed"
            )
        if not isinstance(self.rate_control, ConstantControl):
            raise ValueError(
                f"rate_control.kind {self.rate_control.kind} steers the rate, and that of a posterior of kind "
                "finite_scalar is the log of its codes, always: take constant"
            )
        if self.detection is not None and self.detection.score == "rate":
            raise ValueError(
                "detection.score rate is the same for all examples where model.posterior.kind is finite_scalar: take "
                "negative_elbo or another"
            )

    def _sampler_fits(self) -> None:
        if not isinstance(self.model, Model):
            return
        posterior, kinds = self.model.posterior, kinds_of(self.sampler)
        unsuited = [kind for kind in kinds if kind in ("gaussian", "gaussian_by_class", "mixture", "flow")]
        if isinstance(posterior, SpatialPosterior) and unsuited:
            raise ValueError(
                f"sampler: {unsuited[0]} knows no places, and a map of latents has too many numbers for it: "
                "take prior, flow_matching or auto"
            )
        if "gaussian_by_class" in kinds and not self.model.conditional:
            raise ValueError(
                "sampler: gaussian_by_class needs a model that knows classes: set model.conditional to true, or take "
                "gaussian"
            )
        if "flow" in kinds and isinstance(posterior, VectorPosterior) and posterior.latents == 1:
            raise ValueError("sampler: flow needs two latents or more; take mixture")

    def _sharpness_fits(self) -> None:
        if self.train.sharpness is None:
            return
        spectral, kind = self.train.sharpness.terms == (SPECTRAL,), kind_of(self.data)
        if spectral and not isinstance(self.model.view, WaveformView):
            raise ValueError(
                "train.sharpness.perceptual.features spectral compares waveforms: take it for sound with "
                "model.view.kind waveform, or set train.sharpness to null"
            )
        if kind == "audio" and not spectral:
            raise ValueError(
                "of train.sharpness, sound takes perceptual.features spectral with adversarial: null, and no more: "
                "set it so, or set train.sharpness to null"
            )
        if kind not in ("image", "audio"):
            raise ValueError(f"train.sharpness is for images, and data.kind is {self.data.kind}: set it to null")
        if isinstance(self.objective, TrimmedObjective):
            raise ValueError(
                "objective.kind trimmed leaves out what may be an anomaly, and train.sharpness compares every image: "
                "take objective.kind elbo, or set train.sharpness to null"
            )

    def _augment_fits(self) -> None:
        augment = self.train.augment
        if augment is None:
            return
        wanted = {"image": (True, False), "audio": (False, True)}
        if wanted.get(kind_of(self.data)) != (augment.of_images, augment.of_sound):
            raise ValueError(
                "train.augment is for images (mirror, shift) and for sound (loudness_db, speed, octave_db), and "
                f"data.kind is {self.data.kind}: take the keys of its kind, or set it to null"
            )

    def _objective_fits(self) -> None:
        objective, control = self.objective, self.rate_control
        if isinstance(objective, ImportanceObjective) and isinstance(control, FreeBitsControl | CapacityControl):
            raise ValueError(
                f"objective.kind importance_weighted has no rate of its own for rate_control.kind {control.kind}: "
                "take another"
            )
        if isinstance(objective, ImportanceObjective) and isinstance(control, WarmUpControl) and control.balanced:
            raise ValueError(
                "objective.kind importance_weighted has no rate of its own that could be balanced: set "
                "rate_control.balanced to false"
            )
        needs_gaussian = isinstance(objective, TotalCorrelationObjective) or (
            isinstance(objective, ImportanceObjective) and objective.doubly_reparameterised
        )
        if not needs_gaussian:
            return
        wanted = "this objective needs a posterior of kind gaussian or normalised_gaussian"
        if isinstance(self.model, Ladder):
            raise ValueError(f"{wanted}; model.kind is {self.model.kind}")
        if not isinstance(self.model.posterior, GaussianPosterior | NormalisedPosterior):
            raise ValueError(f"{wanted}; model.posterior.kind is {self.model.posterior.kind}")

    @classmethod
    def load(cls, path: Path) -> "Recipe":
        """Read a recipe.

        Raises:
            RecipeError: no such file, not YAML, or not a recipe; names the file, the key and the valid ones.
        """
        return parse(cls, read_yaml(path), path)


class TrainedRecipe(Section):
    """The sections that made a model's weights; `train` keeps them beside the weights."""

    about: str
    model: AnyModel
    objective: Objective
    rate_control: RateControl
    train: Train
    sampler: Sampler
    seed: int
