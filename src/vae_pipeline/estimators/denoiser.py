"""Denoiser: noise taken away by a VAE that is fitted from Python, in scikit-learn's manner, by the pipeline's stages.

from vae_pipeline import Denoiser
denoiser = Denoiser(corruption=0.5).fit(clean)
denoiser.transform(noisy)                # clean
denoiser.predict_interval(noisy)         # the lower and the upper ends
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from vae_pipeline.estimators import answers
from vae_pipeline.estimators.by_recipe import RecipeEstimator
from vae_pipeline.estimators.given import Given
from vae_pipeline.estimators.observations import given_back, rows_of
from vae_pipeline.estimators.surroundings import RandomState, seed_of
from vae_pipeline.kinds.corruption import Corruption
from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.kinds.store import Prepared, Split
from vae_pipeline.metrics.denoising import fit_denoiser
from vae_pipeline.metrics.images import psnr
from vae_pipeline.metrics.parts import read
from vae_pipeline.models.denoiser import Denoiser as ImageDenoiser
from vae_pipeline.models.frames import FramesVAE
from vae_pipeline.models.intervals import Intervals
from vae_pipeline.models.sound.denoiser import SoundDenoiser
from vae_pipeline.models.weights import read_safetensors, save_weights
from vae_pipeline.recipe import Recipe
from vae_pipeline.recipe.data import kind_of
from vae_pipeline.scaffold.denoising import as_denoiser
from vae_pipeline.scaffold.facts import ImageFacts
from vae_pipeline.system.errors import InputError
from vae_pipeline.system.reading import parse

Array = npt.NDArray[Any]
Level = float | Sequence[float]
FILE = "denoiser.safetensors"
OWN = ("noise", "intervals")  # beside the model, which has a file of its own


class Denoiser(TransformerMixin, RecipeEstimator):  # type: ignore[misc]
    """A VAE that is fitted to clean observations, corrupts them itself, and tells the clean ones from corrupted ones.

    `fit` takes clean images, as arrays [n, height, width], [n, channels, height, width] or [n, height, width,
    channels], or the path of a folder or a file; None stands for the data that `recipe` names, which may be recordings.
    `transform` takes noisy ones of the same shape, whose values may lie beyond the range of the clean ones.

    Parameters:
        recipe: a Recipe, or the path of its file; None for one that suits the data.
        corruption: a number, the deviation of Gaussian noise where the data's range is 1; a pair, the lowest and the
            highest, of which each observation draws its own; or a corruption as the recipe's `train.denoise` has it,
            such as {"kind": "poisson", "peak": 30}, or a list of them. None for the recipe's own, or without one for
            (0.05, 0.5).
        mode: "supervised", or "noisy_only", which corrupts each observation once and shows no clean one to the model;
            None for the recipe's own, or supervised.
        coverage: the share of a new observation's clean values that its intervals hold, in expectation; None for the
            recipe's own, or 0.9.
        steps: updates of the weights, instead of the recipe's length.
        random_state: a seed; a generator of numpy's, that is drawn from; or None for another fit each time.
        verbose: True shows progress, False doesn't, None does on a terminal and in a notebook.
        device: "cpu", "cuda", "cuda:1", "mps" or "auto"; None for what the setting VAE_DEVICE says.

    Attributes:
        recipe_: the whole recipe.
        seed_: the seed of the fit.
        history_: DataFrame of one row an epoch; nats an example.
    """

    def __init__(
        self,
        recipe: Recipe | str | Path | None = None,
        *,
        corruption: Level | Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        mode: Literal["supervised", "noisy_only"] | None = None,
        coverage: float | None = None,
        steps: int | None = None,
        random_state: RandomState = 0,
        verbose: bool | None = None,
        device: str | None = None,
    ) -> None:
        self.recipe, self.corruption, self.mode, self.coverage = recipe, corruption, mode, coverage
        self.steps, self.random_state, self.verbose, self.device = steps, random_state, verbose, device

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.three_d_array = False, True
        tags.input_tags.allow_nan = False
        tags.transformer_tags.preserves_dtype = []
        return tags

    def transform(self, X: Any) -> Any:  # noqa: N803
        """The clean observations behind noisy ones, in the data's units.

        Raises:
            ValueError: they can't be used.
        """
        return self._denoised(X)[0]

    def predict_interval(self, X: Any) -> tuple[Any, Any]:  # noqa: N803
        """The lower and the upper ends of the intervals in which the clean values lie.

        A share `coverage` of a new observation's clean values lies in them, in expectation, if it and those held back
        for validation are exchangeable: of the same kind, with the same corruption.

        Raises:
            ValueError: the observations can't be used.
        """
        _, low, high = self._denoised(X)
        return low, high

    def corrupt(self, X: Any, random_state: RandomState = 0) -> Any:  # noqa: N803
        """Clean observations as the fit corrupted its own; what each draws depends on seed and place alone.

        Raises:
            ValueError: they can't be used.
        """
        check_is_fitted(self)
        spec, section = self.trained_.spec, self.recipe_.train.denoise
        assert section is not None  # a recipe says so
        if not isinstance(spec, ImageSpec):
            raise InputError("this Denoiser is of sound, and images alone are corrupted here: mix noise in yourself")
        with self._in_own_words():
            x = rows_of(self, X, spec, self._layout, self.recipe_.data)
        corruption = Corruption.of(section, spec.low, spec.high, seed_of(random_state), "corrupt", len(x))
        found = read(Split(x, None, corruption=corruption), slice(None), torch.device("cpu"))
        return given_back(found.x.numpy(), spec, self._layout, self._names)

    def score(self, X: Any, y: Any = None) -> float:  # noqa: ARG002, N803 (scikit-learn's)
        """The mean PSNR in dB that is reached on clean observations, corrupted as `corrupt` does: higher is better."""
        check_is_fitted(self)
        spec = self.trained_.spec
        error = (np.asarray(self.transform(self.corrupt(X))) - np.asarray(X)) / spec.unit
        return float(psnr(np.square(error).mean(axis=tuple(range(1, error.ndim)))).mean())

    def _denoised(self, X: Any) -> list[Any]:  # noqa: N803
        check_is_fitted(self)
        spec = self.trained_.spec
        noisy = replace(spec, dtype="float32", noisy=True) if isinstance(spec, ImageSpec) else spec
        with self._in_own_words():
            x = rows_of(self, X, noisy, self._layout, self.recipe_.data)
        with self._computing() as device:
            found = answers.denoised(self.denoiser_, x, spec, device)
        return [given_back(values, spec, self._layout, self._names) for values in found]

    def _whole(self, recipe: Recipe | None, given: Given) -> Recipe:
        """The recipe with its section `train.denoise`, as the parameters say."""
        whole = super()._whole(recipe, given)
        kind = kind_of(whole.data)
        if kind not in ("image", "audio") or (kind == "audio" and recipe is None):
            raise InputError(
                f"data of the kind {whole.data.kind} were given; a Denoiser takes images, as arrays or by their path, "
                "and recordings by a recipe that denoises them"
            )
        values = whole.model_dump(mode="json")
        told = {"corruption": _steps(self.corruption), "mode": self.mode, "coverage": self.coverage}
        known = {"mode": "supervised", "corruption": _steps((0.05, 0.5))} | (values["train"].get("denoise") or {})
        section = known | {name: value for name, value in told.items() if value is not None}
        values["train"]["denoise"] = section
        if recipe is None:
            assert isinstance(given.facts, ImageFacts)  # only a recipe's own data come without
            values = as_denoiser(values, max(given.facts.shape[1:]), section)
        return parse(Recipe, values, Path("the recipe"))

    def _calibrate(self, prepared: Prepared, seed: int, device: torch.device) -> None:
        trained = self.trained_
        section = trained.recipe.train.denoise
        found = fit_denoiser(trained.model.to(device), section, trained.sees(prepared), seed, device)
        if found is None:
            raise InputError("no observations are held back to calibrate intervals by: give data.valid a share")
        self.denoiser_: ImageDenoiser | SoundDenoiser = found.cpu()

    def _write(self, folder: Path) -> None:
        super()._write(folder)
        state = self.denoiser_.state_dict()
        save_weights({name: value for name, value in state.items() if name.partition(".")[0] in OWN}, folder / FILE)

    def _read(self, folder: Path) -> None:
        super()._read(folder)
        own, _ = read_safetensors(folder / FILE)
        model, section = self.trained_.model, self.trained_.recipe.train.denoise
        assert section is not None  # an estimator wrote it
        if isinstance(model, FramesVAE):
            self.denoiser_ = SoundDenoiser(model)
        else:
            self.denoiser_ = ImageDenoiser(model, own["noise"], section.mode == "supervised")
        self.denoiser_.intervals = Intervals(own["intervals.knots"], own["intervals.heights"])


def _steps(corruption: Any) -> list[Any] | None:
    """The parameter `corruption` as a recipe has it."""
    match corruption:
        case None:
            return None
        case Mapping():
            return [dict(corruption)]
        case int() | float() | np.number():
            return [{"kind": "gaussian", "deviation": float(corruption)}]
        case [int() | float() | np.number(), int() | float() | np.number()]:
            return [{"kind": "gaussian", "deviation": [float(each) for each in corruption]}]
        case [*steps]:
            return steps
    raise InputError(f"corruption={corruption!r} was given; wanted a number, a pair of them, or corruptions")
