"""Estimator: what all models that are fitted from Python have in common."""

import re
import shutil
import tempfile
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from pydantic import ValidationError
from rich.console import Console
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from vae_pipeline.estimators import saved
from vae_pipeline.estimators.surroundings import RandomState, undisturbed
from vae_pipeline.numerics.device import prepare_device
from vae_pipeline.stages.job import Job
from vae_pipeline.system.errors import DataError, InputError, Interrupted, RecipeError
from vae_pipeline.system.settings import Settings

OWN_WORDS = (
    (r"(in the recipe, )?in data\.columns", "in {name}(columns=...)"),
    (r"set data\.columns\.(.+?) to (\w+)", r"take {name}(columns={{'\1': '\2'}})"),
    (r"data\.csv\.(\w+)", r"{name}(csv={{'\1': ...}})"),
    (r"list it in data\.missing, such as [^;]*;", "make it NaN;"),
    (r"the fractions in the recipe; give more data or other fractions", "three parts: give more"),
    (r" \(the gate too_few_steps .*?\)", ""),
    (r"give train\.steps: (\d+)", r"take {name}(steps=\1)"),
)
"""Words of the pipeline about a recipe, and those that an estimator has instead."""


class Estimator(BaseEstimator):  # type: ignore[misc]
    """A model in scikit-learn's manner: parameters stay as they are given, and `fit` learns or leaves all as it was."""

    _kept: ClassVar[tuple[str, ...]] = ("n_features_in_", "feature_names_in_")
    """Attributes of a fit that estimator.json holds."""
    random_state: RandomState = 0
    device: str | None = None
    verbose: bool | None = None

    def _settings(self) -> Settings:
        """The settings of the environment, on this estimator's device; nothing is tracked."""
        settings = Settings.load().model_copy(update={"mlflow_uri": "off", "processes": 1})
        if self.device is None:
            return settings
        try:
            return Settings.model_validate({**settings.model_dump(), "device": self.device})
        except ValidationError as error:
            wanted = Settings.model_fields["device"].description
            raise InputError(f"device={self.device!r} was given; wanted {wanted}") from error

    def _console(self) -> Console:
        """A console that shows progress if `verbose`, or, where that is None, on a terminal or in a notebook."""
        console = Console(markup=False)
        shown = console.is_terminal or console.is_jupyter if self.verbose is None else self.verbose
        return console if shown else Console(quiet=True)

    @contextmanager
    def _computing(self) -> Iterator[torch.device]:
        """A block that computes on the estimator's device, and leaves the process as it was."""
        with undisturbed():
            yield prepare_device(self._settings())

    @contextmanager
    def _wholly(self) -> Iterator[None]:
        """A block that fits: whatever ends it early, the estimator is as it was before.

        Raises:
            KeyboardInterrupt: the run was interrupted.
        """
        before = dict(vars(self))
        try:
            yield
        except BaseException as error:
            self.__dict__.clear()
            self.__dict__.update(before)
            if isinstance(error, Interrupted):
                raise KeyboardInterrupt("fit was interrupted, and nothing was learned") from None
            raise

    @contextmanager
    def _in_own_words(self) -> Iterator[None]:
        """A block whose errors speak of an estimator's parameters, where the pipeline has a recipe's keys.

        Raises:
            InputError: the pipeline refused the data or the recipe.
        """
        try:
            yield
        except InputError:
            raise
        except (DataError, RecipeError) as error:
            raise InputError(self._said(str(error))) from error

    def _said(self, text: str) -> str:
        """The pipeline's words, with the names that things have here."""
        for pattern, instead in OWN_WORDS:
            text = re.sub(pattern, instead.format(name=type(self).__name__), text)
        return text

    def save(self, path: str | Path) -> Path:
        """Write the fitted model into the folder `path`: plain files, which `load` reads.

        Raises:
            OutputError: it can't be written, or holds anything else.
        """
        check_is_fitted(self)
        parameters = {name: saved.plain(value) for name, value in self._parameters().items()}
        fitted = {name: saved.plain(value) for name, value in vars(self).items() if name in self._kept}
        saved.save(Path(path), self._write, type(self).__name__, parameters, fitted)
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote.

        Raises:
            DataError, WeightsError: the folder isn't one that `save` filled, or was altered.
        """
        folder = Path(path)
        found = saved.told(folder)
        if found.estimator != cls.__name__:
            raise InputError(f"{folder} holds a {found.estimator}: take {found.estimator}.load")
        estimator = cls(**{name: saved.restored(name, value, folder) for name, value in found.parameters.items()})
        for name, value in found.fitted.items():
            if name in cls._kept:
                setattr(estimator, name, saved.restored(name, value, folder))
        estimator._read(folder)
        return estimator

    def _parameters(self) -> dict[str, Any]:
        """The parameters that are saved; a generator has no file, and another machine other devices."""
        seed = self.random_state if isinstance(self.random_state, int) else None
        given: dict[str, Any] = self.get_params() | {"random_state": seed}
        return given | {"device": None} if "device" in given else given

    def _write(self, folder: Path) -> None:
        """Write what was learned."""
        raise NotImplementedError

    def _read(self, folder: Path) -> None:
        """Read what `_write` wrote."""
        raise NotImplementedError

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what belongs to this process: folders that it will remove."""
        return {name: value for name, value in super().__getstate__().items() if name != "_folder"}


@dataclass(frozen=True)
class PythonJob(Job):
    """A job whose warnings are Python's, given once it is done: what training takes back needs no warning."""

    said: list[str] = field(default_factory=list)

    def warn(self, text: str) -> None:
        """Say something that doesn't end the stage."""
        super().warn(text)
        self.said.append(text.removeprefix(f"{self.name}: "))

    def give_warnings(
        self, estimator: Estimator, category: type[Warning], alarms: Iterable[Mapping[str, Any]] = ()
    ) -> None:
        """Warn of all that was said but the alarms that were over before the end."""
        over = tuple(f"{alarm['name']} at epoch {alarm['epoch']}:" for alarm in alarms if alarm["cleared"] is not None)
        for text in self.said:
            if not text.startswith(over):
                warnings.warn(estimator._said(text), category, stacklevel=3)


@dataclass(frozen=True)
class TemporaryFolder:
    """A folder that is there for as long as its owner, unless `remove` is called before."""

    path: Path
    remove: Callable[[], object]


@contextmanager
def temporary_folder(owner: object) -> Iterator[TemporaryFolder]:
    """A block that fills a folder; where it fails, the folder is removed at once."""
    path = Path(tempfile.mkdtemp(prefix="vae-"))
    folder = TemporaryFolder(path, weakref.finalize(owner, shutil.rmtree, path, ignore_errors=True))
    try:
        yield folder
    except BaseException:
        folder.remove()
        raise
