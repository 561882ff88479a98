"""VAESynthesizer: new rows of a table by a VAE that is fitted from Python, in scikit-learn's manner.

from vae_pipeline import VAESynthesizer
synthesizer = VAESynthesizer().fit(frame)    # a DataFrame, an array, or the path of a table
synthesizer.sample(10_000)                   # rows with their noise, their classes and their gaps
synthesizer.report()                         # drawn rows beside those of training, and test rows in their place
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Unpack

import numpy as np
import torch
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from vae_pipeline.estimators.by_recipe import RecipeEstimator
from vae_pipeline.estimators.given import Given
from vae_pipeline.estimators.parameters import is_whole
from vae_pipeline.estimators.sections import recipe_of
from vae_pipeline.estimators.surroundings import RandomState, seed_of
from vae_pipeline.estimators.tables import as_given
from vae_pipeline.evaluation.tables import describe
from vae_pipeline.kinds.parts import TableSource
from vae_pipeline.kinds.spec import TableSpec
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.kinds.table.drawing import Drawing, Rules
from vae_pipeline.kinds.table.synthetic_files import write_synthetic
from vae_pipeline.kinds.writing import write
from vae_pipeline.models.table import TableVAE
from vae_pipeline.recipe import Recipe
from vae_pipeline.recipe.data import TableData, TumoursData
from vae_pipeline.scaffold.facts import TableFacts
from vae_pipeline.scaffold.synthesis import DATA, as_synthesizer
from vae_pipeline.system.errors import InputError
from vae_pipeline.system.reading import parse
from vae_pipeline.system.version import __version__


class VAESynthesizer(RecipeEstimator):
    """A VAE of a table's rows that draws new ones.

    `fit` takes a DataFrame of numbers, booleans, categories and dates, an array of numbers, or the path of a table;
    None stands for the data that `recipe` names. Values may be missing, and are missing as often in what is drawn.
    Some rows are held back: those of the part `valid` choose the epoch, and those of `test` stand beside drawn ones in
    `report`.

    Parameters:
        recipe: a Recipe, or the path of its file; None for one that suits the data.
        columns: what a column is where its values don't tell: number, boolean, category, date, ignored.
        csv: how a file of rows is written where that can't be told, by the keys of a recipe's data.csv: encoding, ...
        target: the column that classifiers of drawn rows foretell in `report`, instead of the recipe's.
        latents: the number of latent dimensions, instead of the recipe's.
        steps: updates of the weights, instead of the recipe's length.
        epsilon: the most that may be learned of any one row, by differentially private training (docs/synthesis.md);
            None for no such promise, or where `recipe` makes its own.
        delta: the probability that it doesn't hold; under 1 / the number of rows.
        random_state: a seed; a generator of numpy's, that is drawn from; or None for another fit each time.
        verbose: True shows progress, False doesn't, None does on a terminal and in a notebook.
        device: "cpu", "cuda", "cuda:1", "mps" or "auto"; None for what the setting VAE_DEVICE says.

    Attributes:
        recipe_: the whole recipe.
        seed_: the seed of the fit.
        told_: what was left out of a table, or read in one way of several, a sentence each.
        history_: DataFrame of one row an epoch; nats a row.
        rows_: the number of rows of the data, those that were held back with them.
        draws_: of the last `sample` or `write`, how many rows were drawn for how many, and how many broke a check.
    """

    _kept: ClassVar[tuple[str, ...]] = (*RecipeEstimator._kept, "rows_")

    def __init__(
        self,
        recipe: Recipe | str | Path | None = None,
        *,
        columns: Mapping[str, str] | None = None,
        csv: Mapping[str, Any] | None = None,
        target: str | None = None,
        latents: int | None = None,
        steps: int | None = None,
        epsilon: float | None = None,
        delta: float = 1e-5,
        random_state: RandomState = 0,
        verbose: bool | None = None,
        device: str | None = None,
    ) -> None:
        self.recipe, self.columns, self.csv, self.target = recipe, columns, csv, target
        self.latents, self.steps, self.epsilon, self.delta = latents, steps, epsilon, delta
        self.random_state, self.verbose, self.device = random_state, verbose, device

    def sample(
        self,
        n: int = 1,
        random_state: RandomState = None,
        *,
        where: str | Sequence[str] = (),
        balance: str | None = None,
        checks: str | Sequence[str] = (),
        only_valid: bool = False,
    ) -> Any:
        """`n` new rows, as the fit's were given: a DataFrame, or an array with NaN where a value is missing.

        Without a `random_state` each call gives others; with a seed the exported bundle gives the same. Each row meets
        the conditions `where`, such as `age >= 60`; each class of the column `balance` comes as often as the others.
        Rows that break one of `checks`, such as `start <= end` or `unique(id)`, are counted in `draws_`, and left out
        if `only_valid` (docs/synthesis.md).

        Raises:
            ValueError: `n` isn't a whole number from 1 up, a text is no rule of these columns, or such rows are too
                rare.
        """
        seed = self._seed(n, random_state)
        with self._in_own_words():
            drawing = Drawing(self._spec(), where, balance, checks, only_valid)
            rows = np.concatenate(list(drawing.rows(self._row_stream(seed), int(n))))
        self.draws_ = drawing.told()
        return as_given(rows, self._spec(), self._names, steps=True)

    def write(
        self,
        path: str | Path,
        n: int,
        random_state: RandomState = None,
        *,
        origin: Mapping[str, Any] | None = None,
        **rules: Unpack[Rules],
    ) -> Path:
        """Write what `sample` draws, by its rules, as .csv or .parquet: some at a time, whatever `n` is.

        Beside a .csv lies another file, whose name has .synthetic.json after it; of a .parquet file it is metadata. It
        says that nobody observed the rows, how they were made, what `draws_` says, and `origin`.

        Raises:
            ValueError: as `sample`, or the path has another suffix.
            OutputError: the file can't be written.
        """
        out = Path(path)
        if out.suffix.lower() not in (".csv", ".parquet"):
            raise InputError(f"path={str(path)!r} was given; wanted a name that ends in .csv or .parquet")
        seed = self._seed(n, random_state)
        privacy = self.trained_.privacy
        made = {
            "producer": f"vae-pipeline {__version__}",
            "weights_sha256": self.trained_.weights_sha256,
            "seed": seed,
            **({} if privacy is None else {"privacy": privacy.told}),
        }
        with self._in_own_words():
            drawing = Drawing(self._spec(), **rules)
            pieces = drawing.rows(self._row_stream(seed), int(n))
            write_synthetic(out, pieces, self._spec().columns, lambda: {**made, **(origin or {}), **drawing.told()})
        self.draws_ = drawing.told()
        return out

    def require_rules(self, X: Any, **rules: Unpack[Rules]) -> None:  # noqa: N803
        """Find out before a fit to `X` whether rows can be drawn by these rules, which are those of `sample`.

        Raises:
            ValueError: a text is no rule of its columns, or no row can meet the conditions.
        """
        seed = seed_of(self.random_state)
        with self._in_own_words(), TemporaryDirectory() as folder:
            write(clone(self)._given(X, None, recipe_of(self.recipe), seed).source, Path(folder), seed)
            spec = Prepared.open(Path(folder)).spec
            assert isinstance(spec, TableSpec)  # `_given` takes nothing else
            Drawing(spec, **rules)

    def report(self, X: Any = None) -> dict[str, Any]:  # noqa: N803
        """Figures of drawn rows beside those of training, and of test rows in their place (docs/figures.md).

        The data of the fit are kept for as long as this object is; of a copy, or of a model that was loaded, they are
        given again as `X`.

        Raises:
            ValueError: the data are needed, or aren't those of the fit.
        """
        check_is_fitted(self)
        with self._in_own_words(), self._computing() as device:
            prepared, model = Prepared.open(self._with_data(X, None) / "data"), self._table()
            privacy = self.trained_.privacy
            promised = {} if privacy is None else {"epsilon": privacy.epsilon, "delta": privacy.delta}
            try:
                figures = describe(model.to(device), prepared, self._spec(), self.recipe_.evaluate.target, self.seed_)
                return {**figures, **promised}
            finally:
                model.cpu()

    def _calibrate(self, prepared: Prepared, seed: int, device: torch.device) -> None:  # noqa: ARG002
        self.rows_ = sum(map(len, (prepared.train, prepared.valid, prepared.test)))
        self.told_ = (*self.told_, *(each.told for each in self._spec().follows))

    def _seed(self, n: int, random_state: RandomState) -> int:
        check_is_fitted(self)
        if not is_whole(n):
            raise InputError(f"n={n!r} was given; wanted a whole number from 1 up")
        return seed_of(random_state)

    def _spec(self) -> TableSpec:
        spec = self.trained_.spec
        assert isinstance(spec, TableSpec)  # a VAESynthesizer takes nothing else
        return spec

    def _table(self) -> TableVAE:
        model = self.trained_.model
        assert isinstance(model, TableVAE)  # `_whole` says so
        return model

    def _given(self, X: Any, y: Any, recipe: Recipe | None, seed: int) -> Given:  # noqa: N803
        given = super()._given(X, y, recipe, seed)
        if not isinstance(given.source, TableSource):
            raise InputError(
                f"data of the kind {given.data['kind']} were given; a VAESynthesizer takes rows of a table: a "
                "DataFrame, an array of two axes, or the path of a table"
            )
        if X is None:
            return given
        section = None if recipe is None else recipe.data
        own = isinstance(section, TableData | TumoursData)
        told = {name: getattr(section, name) for name in DATA if hasattr(section, name)} if own else DATA
        if self.epsilon is not None:
            told = {**told, "dependent": False}  # no noise would hide which values go together
        return replace(given, source=replace(given.source, **told), data={**given.data, **told})

    def _whole(self, recipe: Recipe | None, given: Given) -> Recipe:
        """The recipe, with the sections of a synthesiser where none was given."""
        whole = super()._whole(recipe, given)
        if recipe is not None and self.epsilon is not None:
            raise InputError(
                f"epsilon={self.epsilon!r} was given with a recipe, which says itself how private training is: set its "
                "train.private, and leave epsilon out"
            )
        if recipe is not None:
            if self.target is None:
                return whole
            evaluated = whole.evaluate.model_copy(update={"target": self.target})
            return whole.model_copy(update={"evaluate": evaluated})
        assert isinstance(given.facts, TableFacts)  # only a recipe's own data come without
        private = None if self.epsilon is None else {"epsilon": self.epsilon, "delta": self.delta}
        values = as_synthesizer(whole.model_dump(mode="json"), given.facts.examples, private)
        if self.latents is not None:
            values["model"]["posterior"]["latents"] = int(self.latents)
        values["evaluate"]["target"] = self.target
        if self.steps is not None:
            values["train"]["steps"] = int(self.steps)
        return parse(Recipe, values, Path("the recipe"))
