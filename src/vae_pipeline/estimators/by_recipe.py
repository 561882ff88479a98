"""RecipeEstimator: a recipe's model, fitted by the pipeline's stages in a folder of its own, kept, and exported."""

import html
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from vae_pipeline.estimators import answers, saved
from vae_pipeline.estimators.answers import Labels
from vae_pipeline.estimators.base import Estimator, PythonJob, TemporaryFolder, temporary_folder
from vae_pipeline.estimators.given import Given, is_path, of_memory, of_path, of_recipe
from vae_pipeline.estimators.observations import rows_of
from vae_pipeline.estimators.parameters import require_columns
from vae_pipeline.estimators.sections import recipe_of, whole_recipe
from vae_pipeline.estimators.surroundings import RandomState, seed_of
from vae_pipeline.kinds.download import Finder
from vae_pipeline.kinds.spec import TableSpec
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.kinds.table.drawing import Stream
from vae_pipeline.kinds.words import words_of
from vae_pipeline.kinds.writing import write
from vae_pipeline.models.table import TableVAE
from vae_pipeline.recipe import Recipe
from vae_pipeline.stages.train import train
from vae_pipeline.system.errors import GateError, InputError
from vae_pipeline.training.trained import Trained, write_trained

Array = npt.NDArray[Any]


class RecipeEstimator(Estimator):
    """An estimator whose model is a recipe's: what it is fitted to goes through `prepare` and `train`.

    A folder that `save` filled is also one that `vae-pipeline train` could have filled.
    """

    latents: int | None = None
    conditional: bool = False
    columns: Mapping[str, str] | None = None
    csv: Mapping[str, Any] | None = None

    _kept: ClassVar[tuple[str, ...]] = (
        "recipe_",
        "seed_",
        "classes_",
        "told_",
        "n_features_in_",
        "feature_names_in_",
        "_layout",
        "_names",
        "_digest",
    )

    def __init__(
        self,
        recipe: Recipe | str | Path | None = None,
        *,
        latents: int | None = None,
        steps: int | None = None,
        conditional: bool = False,
        columns: Mapping[str, str] | None = None,
        csv: Mapping[str, Any] | None = None,
        random_state: RandomState = 0,
        verbose: bool | None = None,
        device: str | None = None,
    ) -> None:
        self.recipe, self.latents, self.steps, self.conditional = recipe, latents, steps, conditional
        self.columns, self.csv = columns, csv
        self.random_state, self.verbose, self.device = random_state, verbose, device

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "trained_")

    def fit(self, X: Any = None, y: Any = None) -> Self:  # noqa: N803
        """Train; `y` are the labels of images, [n], and is ignored for anything else.

        Raises:
            ValueError: a parameter, the recipe or the data can't be used.
            TrainingError: the loss isn't finite.
            KeyboardInterrupt: the run was interrupted; the estimator is as it was before.
        """
        earlier = self._kept_folder()
        with self._wholly(), self._in_own_words(), self._computing() as device, temporary_folder(self) as folder:
            for name in (*self._kept, "draws_"):
                self.__dict__.pop(name, None)
            seed, recipe = seed_of(self.random_state), recipe_of(self.recipe)
            given = self._given(X, y, recipe, seed)
            whole = self._whole(recipe, given)
            # A note on the calibration is for those who export.
            job = self._job(whole.model_copy(update={"detection": None}), seed, folder.path)
            prepared = _prepare(given, folder.path / "data", seed)
            train(job, prepared.folder, folder.path / "model")
            self._take(Trained.load(folder.path / "model"))
            self.told_ = given.told
            self._calibrate(prepared, seed, device)
            self.recipe_, self.seed_, self._layout, self._names = whole, seed, given.layout, given.names
            self._digest, self._folder = prepared.digest(), folder
            if given.classes is not None:
                self.classes_ = given.classes
        if earlier is not None:
            earlier.remove()
        job.give_warnings(self, ConvergenceWarning, self.trained_.alarms)
        return self

    def export(self, path: str | Path, X: Any = None, y: Any = None) -> Path:  # noqa: N803
        """Write the bundle of ONNX graphs that `vae-pipeline export` writes, measured on the rows held back for it.

        The data of the fit are kept for as long as this object is; of a copy, or of a model that was loaded, they are
        given again.

        Raises:
            ValueError: the data are needed, or aren't those of the fit.
            OutputError: `path` can't be written.
            ParityError: a graph answers otherwise than the model, by more than the recipe's tolerance.
        """
        # matplotlib and onnx cost only those who export
        from vae_pipeline.stages.evaluate import evaluate  # noqa: PLC0415
        from vae_pipeline.stages.export import export  # noqa: PLC0415

        check_is_fitted(self)
        with self._in_own_words(), self._computing():
            folder = self._with_data(X, y)
            job = self._job(self.recipe_, self.seed_, folder)
            data, model, report = (folder / name for name in ("data", "model", "report"))
            with suppress(GateError):  # `export` warns of it, and the bundle's card says it
                evaluate(job, data, model, report)
            export(job, data, model, report, Path(path))
        job.give_warnings(self, UserWarning)
        return Path(path)

    def _html_repr(self) -> str:
        """The diagram of scikit-learn and, below that of a fitted model, what was learned."""
        diagram = str(super()._html_repr())
        if not self.__sklearn_is_fitted__():
            return diagram
        trained, kept = self.trained_, self.history_[self.history_.kept == 1].iloc[0]
        elbo = kept.train_elbo if pd.isna(kept.valid_elbo) else kept.valid_elbo
        told = {
            "learned": words_of(trained.spec).short,
            "latents": f"{trained.model.latents}, of which {kept.active_units:.0f} are active",
            "ELBO": f"{elbo:.2f} nats at epoch {kept.epoch:.0f} of {len(self.history_)}",
            "weights": trained.weights_sha256[:12],
        }
        rows = "".join(f"<tr><th>{name}</th><td>{html.escape(value)}</td></tr>" for name, value in told.items())
        return f"{diagram}<table>{rows}</table>"

    def _given(self, X: Any, y: Any, recipe: Recipe | None, seed: int) -> Given:  # noqa: N803
        require_columns(self.columns)
        settings = self._settings()
        finder = Finder(settings.home / "downloads", settings.mirror)
        if X is None:
            if recipe is None:
                raise InputError("fit() was given neither data nor a recipe that names some: give X, or a recipe")
            return of_recipe(recipe, finder, seed)
        if is_path(X):
            return of_path(Path(X), self.columns or {}, self.csv or {}, finder, seed)
        return of_memory(self, X, y, recipe, self.columns or {})

    def _whole(self, recipe: Recipe | None, given: Given) -> Recipe:
        return whole_recipe(recipe, given, self.latents, self.steps, self.conditional)

    def _calibrate(self, prepared: Prepared, seed: int, device: torch.device) -> None:
        """Learn what the answers need beside the model, of the rows held back."""

    def _job(self, recipe: Recipe, seed: int, folder: Path) -> PythonJob:
        name = Path(self.recipe).stem if isinstance(self.recipe, str | Path) else "vae"
        settings = self._settings().model_copy(update={"home": folder / "home"})
        return PythonJob(name, recipe, seed, settings, self._console())

    def _parameters(self) -> dict[str, Any]:
        return super()._parameters() | {"recipe": recipe_of(self.recipe), "random_state": self.seed_}

    def _write(self, folder: Path) -> None:
        made = self.trained_
        write_trained(folder, made.model, made.recipe, made.spec, made.history, made.sampler, made.alarms, made.privacy)

    def _read(self, folder: Path) -> None:
        self._take(Trained.load(folder))

    def _take(self, trained: Trained) -> None:
        trained.model.eval()
        self.trained_, self.history_ = trained, pd.DataFrame(trained.history)

    def _with_data(self, X: Any, y: Any) -> Path:  # noqa: N803
        """The folder with the data and the model of the fit, made again where it is gone."""
        kept = self._kept_folder()
        if kept is not None:
            return kept.path
        if X is None and self.recipe is None:
            raise InputError("this is a copy, or was loaded, and has no data to be measured on: export(path, X)")
        with temporary_folder(self) as folder:
            given = clone(self)._given(X, y, recipe_of(self.recipe), self.seed_)
            if _prepare(given, folder.path / "data", self.seed_).digest() != self._digest:
                raise InputError(
                    "these data aren't those of the fit: give the same rows in the same order, with their y"
                )
            saved.save(folder.path / "model", self._write, type(self).__name__, {}, {})
        self._folder = folder
        return folder.path

    def _kept_folder(self) -> TemporaryFolder | None:
        """The folder of the last fit; None of a copy, of a model that was loaded, and before a fit."""
        return getattr(self, "_folder", None)

    def _rows(self, X: Any, y: Any) -> tuple[Array, Labels]:  # noqa: N803
        """Observations as the model takes them, and their labels where it is conditional."""
        check_is_fitted(self)
        with self._in_own_words():
            x = rows_of(self, X, self.trained_.spec, self._layout, self.recipe_.data)
        return x, self._labels(y, len(x))

    def _row_stream(self, seed: int) -> Stream:
        """The rows of a seed in the data's units, as a bundle of this model of a table draws them."""
        model, spec = self.trained_.model, self.trained_.spec
        assert isinstance(model, TableVAE)
        assert isinstance(spec, TableSpec)
        raw = answers.RowStream(model, seed)

        def stream(count: int) -> Array:
            with self._computing() as device:
                return spec.drawn(raw(count, device))

        return stream

    def _labels(self, y: Any, count: int) -> Labels:
        """The number of each label; None where the model isn't conditional."""
        if not self.trained_.model.classes:
            return None
        known = ", ".join(map(str, self.classes_))
        if y is None:
            raise InputError(f"this model is conditional on a label: give y, of {known}")
        labels = np.full(count, y) if np.ndim(y) == 0 else np.asarray(y)
        if labels.shape != (count,) or not np.isin(labels, self.classes_).all():
            raise InputError(f"y holds {np.unique(labels).tolist()} for {count} rows; wanted one each of {known}")
        order = np.argsort(self.classes_)  # of a file's they are in the order of numbers, as texts that aren't sorted
        return order[np.searchsorted(self.classes_, labels, sorter=order)].astype(np.int64)


def _prepare(given: Given, folder: Path, seed: int) -> Prepared:
    folder.mkdir()
    write(given.source, folder, seed)
    return Prepared.open(folder)
