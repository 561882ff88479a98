"""VAEDetector: anomaly detection in a table as an estimator of scikit-learn, with PyOD's names.

from vae_pipeline.detector import VAEDetector
detector = VAEDetector(alpha=0.01).fit(normal_rows)
detector.predict(new_rows)               # 1 where the row is anomalous, else 0
"""

import math
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from vae_pipeline.data.columns import Outline
from vae_pipeline.data.frames import encode, plain
from vae_pipeline.data.store import Split
from vae_pipeline.data.table_store import fit_column
from vae_pipeline.metrics.detection import MOST, calibrated, score
from vae_pipeline.models.build import build
from vae_pipeline.models.vae import VAE
from vae_pipeline.randomness import derive, seeded
from vae_pipeline.raw import centre
from vae_pipeline.recipe.data import ColumnScaling
from vae_pipeline.recipe.detection import Detection, Score
from vae_pipeline.recipe.model import DenseNet, GaussianPosterior, MixedLikelihood, MixturePrior, Model
from vae_pipeline.recipe.objective import ElboObjective, WarmUpControl
from vae_pipeline.recipe.train import Train
from vae_pipeline.spec import TableSpec
from vae_pipeline.training.batches import Batches
from vae_pipeline.training.loop import Training, fit

Floats = npt.NDArray[np.float64]
BATCH = 256
EPOCH = 40  # steps, at least, between validations
JUDGED = 0.1  # of the rows that aren't held back, by which the epoch is chosen
DECIMALS = 4  # of a score
CPU = torch.device("cpu")


class VAEDetector(BaseEstimator):  # type: ignore[misc]
    """A VAE of a table's rows; one recipe for tables of any size, and a threshold that needs no anomaly to be known.

    Rows are numbers, or a DataFrame of numbers, booleans, dates and categories; values may be missing where they were
    in training too. `y` is ignored: train on rows that are normal, or nearly all of them.

    Parameters:
        alpha: false-alarm rate that the threshold is set for, among rows like those of training.
        held_back: share of the rows that isn't trained on, and calibrates the threshold.
        kind: of the score: what is high where a row is unlikely; see docs/models/detection.md.
        draws: of z, the same for each row; more make the score a little surer, and slower.

    Attributes:
        decision_scores_: scores of the rows given to `fit`.
        threshold_: of a score, over which `predict` says 1 (split conformal: Vovk et al., 2005). Infinite where fewer
            than 1 / alpha - 1 rows were held back, which can't tell so low a rate.
        labels_: 1 for those of `fit` over the threshold, else 0.
        calibration_scores_: of the rows held back, rising.
    """

    def __init__(
        self,
        alpha: float = 0.05,
        *,
        latents: int = 8,
        layers: tuple[int, ...] = (128, 128),
        components: int = 16,
        steps: int = 2400,
        scaling: ColumnScaling = "standard",
        kind: Score = "negative_elbo",
        draws: int = 4,
        held_back: float = 0.2,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.alpha, self.latents, self.layers, self.components = alpha, latents, layers, components
        self.steps, self.scaling, self.kind, self.draws = steps, scaling, kind, draws
        self.held_back, self.random_state = held_back, random_state

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def fit(self, X: Any, y: object = None) -> Self:  # noqa: ARG002, N803 (the names are scikit-learn's)
        """Train and calibrate.

        Raises:
            ValueError: a parameter or the rows can't be: too few, not of two dimensions, infinite.
            DataError: a column holds what no column can, or nothing.
        """
        if not 0 < self.alpha < 1 or not 0 < self.held_back < 1:
            raise ValueError(
                f"alpha={self.alpha!r} and held_back={self.held_back!r} were given; wanted numbers between 0 and 1"
            )
        frame = self._frame(X, reset=True)
        seed = int(check_random_state(self.random_state).randint(2**31))
        outlines = [Outline(name, None) for name in frame.columns]
        for outline in outlines:
            outline.add(frame[outline.name])
        columns = [outline.column() for outline in outlines]
        values = encode(frame, columns, "X")
        order = np.random.default_rng(derive(seed, "parts")).permutation(len(values))
        count = min(max(1, round(self.held_back * len(values))), len(values) - 1)
        fitted = values[order[count:]]
        self.columns_ = tuple(fit_column(column, fitted[:, at], self.scaling) for at, column in enumerate(columns))
        rows = centre(values, self.columns_)
        held_back, rest = rows[order[:count]], rows[order[count:]]
        with seeded(derive(seed, "fit")):
            model = self._train(rest, seed)
        wanted = Detection(score=self.kind, draws=self.draws, collected=None)
        self.detector_ = calibrated(model, wanted, Split(rest[:MOST], None), Split(held_back, None), CPU)
        scores = np.sort(self._score(held_back))
        self.calibration_scores_ = scores
        over = math.floor(self.alpha * (count + 1) + 1e-9) - 1  # so many may lie over the threshold
        self.threshold_ = float("inf") if over < 0 else float(scores[count - 1 - over])
        self.decision_scores_ = self._score(rows)
        self.labels_ = (self.decision_scores_ > self.threshold_).astype(int)
        return self

    def decision_function(self, X: Any) -> Floats:  # noqa: N803
        """The score of each row, high where it is anomalous."""
        return self._score(self._rows(X))

    def predict(self, X: Any) -> npt.NDArray[np.int_]:  # noqa: N803
        """1 where a row is over the threshold, else 0."""
        return (self.decision_function(X) > self.threshold_).astype(int)

    def predict_proba(self, X: Any) -> Floats:  # noqa: N803
        """[p, 1 - p] of each row, with p the share of normal rows at least as anomalous: small for an anomaly."""
        p_value = self.p_values(X)
        return np.stack([p_value, 1 - p_value], axis=1)

    def p_values(self, X: Any) -> Floats:  # noqa: N803
        """(1 + rows held back that score at least as high) / (1 + rows held back)."""
        scores = self.decision_function(X)
        over = len(self.calibration_scores_) - np.searchsorted(self.calibration_scores_, scores)
        return np.asarray((1 + over) / (1 + len(self.calibration_scores_)))

    def explain(self, X: Any) -> Floats:  # noqa: N803
        """[rows, columns]: nats of distortion that each value adds over what is usual of its column."""
        rows = torch.from_numpy(self._rows(X))
        with torch.no_grad():
            return np.concatenate([self.detector_(part).contributions.double().numpy() for part in rows.split(BATCH)])

    def _score(self, rows: npt.NDArray[Any]) -> Floats:
        # To what float32 leaves of a sum: so that a row has one score, whatever rows it comes with.
        return np.asarray(score(self.detector_, Split(rows, None), CPU).round(DECIMALS))

    def _rows(self, X: Any) -> npt.NDArray[np.float32]:  # noqa: N803
        check_is_fitted(self)
        return centre(encode(self._frame(X, reset=False), self.columns_, "X"), self.columns_)

    def _frame(self, X: Any, reset: bool) -> pd.DataFrame:  # noqa: N803
        """The rows as a DataFrame; checked, as scikit-learn does, unless some columns hold no numbers."""
        least = 2 if reset else 1
        if isinstance(X, pd.DataFrame) and not all(pd.api.types.is_numeric_dtype(kind) for kind in X.dtypes):
            validate_data(self, X, reset=reset, skip_check_array=True)
            if len(X) < least:
                raise ValueError(f"X has {len(X)} rows, and at least {least} are wanted")
            return plain(X.reset_index(drop=True), "X")
        values = validate_data(
            self, X, reset=reset, dtype=np.float64, ensure_all_finite="allow-nan", ensure_min_samples=least
        )
        names = getattr(self, "feature_names_in_", [f"x{index}" for index in range(values.shape[1])])
        return pd.DataFrame(values, columns=[str(name) for name in names])

    def _train(self, rows: npt.NDArray[np.float32], seed: int) -> VAE:
        judged = round(JUDGED * len(rows))
        valid, rows = Split(rows[:judged], None), rows[judged:]
        # A small table is repeated, so that an epoch has EPOCH steps or more.
        rows = np.tile(rows, (math.ceil(EPOCH * BATCH / len(rows)), 1))
        net = DenseNet(kind="dense", layers=tuple(self.layers), activation="silu")
        model = build(
            Model(
                encoder=net,
                posterior=GaussianPosterior(kind="gaussian", latents=self.latents),
                prior=MixturePrior(kind="mixture", components=self.components),
                decoder=net,
                likelihood=MixedLikelihood(kind="mixed", scale="learned_per_column"),
                conditional=False,
            ),
            TableSpec(self.columns_, ()),
        )
        batches = Batches(Split(rows, None), BATCH, seed, CPU, labelled=False)
        train = Train(
            epochs=max(1, math.ceil(self.steps / len(batches))), max_minutes=None, batch=BATCH, accumulate=1,
            precision="float32", learning_rate=0.002, schedule="one_cycle", warm_up=0.0, weight_decay=0.0, clip=10.0,
            ema=None, keep="best" if judged else "last", patience=None, stop_on_alarm=False,
        )  # fmt: skip
        control = WarmUpControl(kind="warm_up", beta=1.0, share=0.3)
        training = Training.start(model, train, control)
        for _ in fit(training, train, ElboObjective(kind="elbo"), batches, valid, seed):
            pass
        model.load_state_dict(training.weights(train))
        return model.eval()
