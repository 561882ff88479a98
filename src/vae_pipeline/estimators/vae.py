"""VAE: a Variational Autoencoder fitted from Python, in scikit-learn's manner, by the pipeline's stages.

from vae_pipeline import VAE
vae = VAE().fit(X)                       # rows, a DataFrame, images, sentences, or a path
vae.transform(X), vae.sample(16), vae.score(X)
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sklearn.base import TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from vae_pipeline.estimators import answers
from vae_pipeline.estimators.by_recipe import RecipeEstimator
from vae_pipeline.estimators.observations import given_back, pair
from vae_pipeline.estimators.parameters import is_whole
from vae_pipeline.estimators.surroundings import RandomState, seed_of
from vae_pipeline.estimators.tables import as_given
from vae_pipeline.kinds.spec import AudioSpec, ImageSpec, TableSpec
from vae_pipeline.kinds.table.drawing import Drawing, Rules
from vae_pipeline.runtime.paths import path_between
from vae_pipeline.system.errors import InputError

Array = npt.NDArray[Any]
DRAWS = 16  # of z, over which an ELBO is averaged


class VAE(TransformerMixin, RecipeEstimator):  # type: ignore[misc]
    """A Variational Autoencoder of images, of a table's rows or of sentences.

    `fit` takes what `X` is:

    | X | is learned as |
    |---|---|
    | array [n, features] of numbers, NaN where one is missing | rows of a table |
    | DataFrame of numbers, booleans, categories and dates | rows of a table |
    | array [n, height, width] | grey images |
    | array [n, channels, height, width], or [n, height, width, channels] of up to 4 channels | images |
    | list of texts | sentences |
    | path of a folder of pictures, an array, a table or a text | what `vae-pipeline init` takes it for |
    | None | the data that `recipe` names |

    Some rows are held back: those of the part `valid` choose the epoch, those of `test` measure what `export` reports.
    The same recipe, data and `random_state` give the weights that `vae-pipeline train` gives, bit for bit, on the same
    machine with the same number of threads. Nothing is tracked, and the process is left as it was: generators, threads
    and default dtype.

    Fits in several threads take turns, since torch's generator is one for the process; run them in processes to gain
    time.

    Parameters:
        recipe: a Recipe, or the path of its file; None for one that suits the data, as `vae-pipeline init` writes it.
        latents: the number of latent dimensions, instead of the recipe's.
        steps: updates of the weights, instead of the recipe's length.
        conditional: True for a model of images given their labels, which `fit` takes as `y`.
        columns: of a table, what a column is where its values don't tell: number, boolean, category, date, ignored.
        csv: how a file of rows is written where that can't be told, by the keys of a recipe's data.csv: encoding, ...
        random_state: a seed; a generator of numpy's, that is drawn from; or None for another fit each time.
        verbose: True shows progress, False doesn't, None does on a terminal and in a notebook.
        device: "cpu", "cuda", "cuda:1", "mps" or "auto"; None for what the setting VAE_DEVICE says.

    Attributes:
        recipe_: the whole recipe. Saved beside the data, by the names that its section `data` has for them, it makes
            the same model by the command line.
        seed_: the seed of the fit.
        told_: what was left out of a table, or read in one way of several, a sentence each.
        history_: DataFrame of one row an epoch; nats an example.
        classes_: the labels, where there are any.
        draws_: of the last `sample` of a table's rows, how many were drawn for how many, and how many broke a check.
    """

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags

    def fit_transform(self, X: Any, y: Any = None) -> Any:  # noqa: N803
        """`fit`, then `transform` of the same rows."""
        return self.fit(X, y).transform(X, y)

    def transform(self, X: Any, y: Any = None) -> npt.NDArray[np.float32]:  # noqa: N803
        """The posterior's mean of each row, [n, latents]; a conditional model wants labels `y`, [n].

        Raises:
            ValueError: the rows can't be used.
        """
        return self._means(X, y)

    def inverse_transform(self, X: Any, y: Any = None) -> Any:  # noqa: N803
        """E[x|z] of latents [n, latents] in the data's units, as rows are given: images, rows, or sentences.

        Of sentences each token is the likeliest one. Rows are a DataFrame unless `fit` had an array, all of numbers.

        Raises:
            ValueError: the latents aren't [n, latents] of finite numbers.
        """
        check_is_fitted(self)
        wanted = self.trained_.model.latents
        z = np.asarray(X)
        if z.ndim != 2 or z.shape[1] != wanted or not len(z) or z.dtype.kind not in "iuf" or not np.isfinite(z).all():
            raise InputError(f"latents of shape {list(z.shape)} were given; wanted [n, {wanted}] of finite numbers")
        return self._decoded(z.astype(np.float32), y)

    def reconstruct(self, X: Any, y: Any = None) -> Any:  # noqa: N803
        """E[x|z] at the posterior's mean of each row, in the data's units."""
        x, labels = self._rows(X, y)
        with self._computing() as device:
            z = answers.means(self.trained_.model, x, labels, device)
        return self._decoded(z, y, x=x)

    def sample(
        self, n: int = 1, y: Any = None, random_state: RandomState = None, *, draw: bool | None = None,
        where: str | Sequence[str] = (), balance: str | None = None, checks: str | Sequence[str] = (),
        only_valid: bool = False,
    ) -> Any:  # fmt: skip
        """New observations: `n` draws of z by the fitted sampler, or by the prior, each as E[x|z].

        Sentences are drawn, and so are a table's rows, with their noise, their classes and their gaps, unless `draw` is
        False; images, with the noise of their likelihood, where it is True. `y` is the label of all, or of each, for a
        conditional model. Without a `random_state` each call gives others; with a seed the exported bundle gives the
        same. `where`, `balance`, `checks` and `only_valid` choose among a table's drawn rows, as they do of a
        `VAESynthesizer`; `draws_` counts them.

        Raises:
            ValueError: `n` isn't a whole number from 1 up, `draw` is True of sound, which has means alone, or rules are
                given of anything but a table's drawn rows, or are none of its columns, or such rows are too rare.
        """
        check_is_fitted(self)
        if not is_whole(n):
            raise InputError(f"n={n!r} was given; wanted a whole number from 1 up")
        trained, seed = self.trained_, seed_of(random_state)
        if draw and isinstance(trained.spec, AudioSpec):
            raise InputError("draw=True was given, and samples of sound are means: leave it out")
        rules: Rules = {"where": where, "balance": balance, "checks": checks, "only_valid": only_valid}
        if draw is not False and isinstance(trained.spec, TableSpec):
            with self._in_own_words():
                drawing = Drawing(trained.spec, **rules)
                rows = np.concatenate(list(drawing.rows(self._row_stream(seed), int(n))))
            self.draws_ = drawing.told()
            return as_given(rows, trained.spec, self._names)
        if any(rules.values()):
            raise InputError("where, balance or checks were given, which are of a table's drawn rows: leave them out")
        with self._computing() as device:
            labels = self._labels(y, int(n))
            z = answers.drawn(trained.model, int(n), seed, device, labels)
            if draw and isinstance(trained.spec, ImageSpec):
                images = answers.drawn_images(trained.model, z, labels, trained.spec, device, seed)
                return given_back(images, trained.spec, self._layout, self._names)
        return self._decoded(z, y, seed)

    def score_samples(
        self, X: Any, y: Any = None, *, samples: int | None = None  # noqa: N803
    ) -> npt.NDArray[np.float64]:  # fmt: skip
        """The ELBO of each row, [n], in nats at beta = 1, averaged over 16 draws of z; a lower bound on log p(x).

        With `samples`, the importance bound of so many draws, which is closer (Burda et al., 2016, eq. 8). Continuous
        values have densities, on values as the model scales them; whole numbers, sentences and binary images
        probabilities.

        Raises:
            ValueError: the rows can't be used.
        """
        x, labels = self._rows(X, y)
        if samples is not None and samples < 1:
            raise InputError(f"samples={samples!r} was given; wanted a whole number from 1 up, or None for the ELBO")
        trained, importance = self.trained_, samples is not None
        with self._computing() as device:
            return answers.bounds(trained.model, x, labels, trained.spec, device, samples or DRAWS, importance)

    def score(self, X: Any, y: Any = None) -> float:  # noqa: N803
        """The mean of `score_samples`: higher is better."""
        return float(self.score_samples(X, y).mean())

    def interpolate(
        self, a: Any, b: Any, steps: int = 8, y: Any = None, *, kind: Literal["linear", "spherical"] = "spherical"
    ) -> Any:
        """Observations on the way between the posterior means of two, [steps, ...] in the data's units.

        `a` and `b` are one observation each: an image, a row, a sentence; `y` is the label of both.

        Raises:
            ValueError: they can't be used, or `steps` is under 2.
        """
        check_is_fitted(self)
        if steps < 2:
            raise InputError(f"steps={steps!r} was given; a path needs at least 2")
        first, last = self._means(pair(a, b), None if y is None else [y, y])
        z = path_between(first, last, np.linspace(0, 1, steps), kind)
        return self._decoded(z.astype(np.float32), y)

    def get_feature_names_out(self, input_features: Any = None) -> Array:  # noqa: ARG002 (the name is scikit-learn's)
        """z0, z1, ...: the names of what `transform` gives."""
        check_is_fitted(self)
        return np.array([f"z{index}" for index in range(self.trained_.model.latents)], dtype=object)

    def _means(self, X: Any, y: Any) -> npt.NDArray[np.float32]:  # noqa: N803
        x, labels = self._rows(X, y)
        with self._computing() as device:
            return answers.means(self.trained_.model, x, labels, device)

    def _decoded(self, z: Array, y: Any, seed: int | None = None, x: Array | None = None) -> Any:
        spec, labels = self.trained_.spec, self._labels(y, len(z))
        with self._computing() as device:
            found = answers.decoded(self.trained_.model, z, labels, spec, device, seed, x)
        return given_back(found, spec, self._layout, self._names)
