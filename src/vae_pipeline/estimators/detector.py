"""VAEDetector: anomaly detection in a table as an estimator of scikit-learn, with PyOD's names.

from vae_pipeline import VAEDetector
detector = VAEDetector(alpha=0.01).fit(normal_rows)
detector.predict(new_rows)               # 1 where the row is anomalous, else 0
"""

import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted

from vae_pipeline.estimators.base import Estimator
from vae_pipeline.estimators.course import trained
from vae_pipeline.estimators.parameters import Contamination, require_valid
from vae_pipeline.estimators.surroundings import seed_of
from vae_pipeline.estimators.tables import frame_of, outlines_of, values_of
from vae_pipeline.kinds.raw import checked
from vae_pipeline.kinds.spec import TableSpec, load_spec
from vae_pipeline.kinds.store import Split
from vae_pipeline.kinds.table.store import fit_column
from vae_pipeline.metrics.bounds import elbo_terms
from vae_pipeline.metrics.detection import MOST, calibrated, score
from vae_pipeline.metrics.left_out import WIDEST, rows_at_once
from vae_pipeline.models.build import build
from vae_pipeline.models.detector import Detector
from vae_pipeline.models.tails import EmpiricalTail
from vae_pipeline.models.vae import VAE
from vae_pipeline.models.weights import read_safetensors, save_weights
from vae_pipeline.numerics.randomness import derive, in_float32, seeded
from vae_pipeline.recipe.data import ColumnScaling
from vae_pipeline.recipe.detection import Contributions, DetectionSection, Score
from vae_pipeline.recipe.model import DenseNet, GaussianPosterior, MixedLikelihood, MixturePrior, Model
from vae_pipeline.runtime.detection import alarms

Floats = npt.NDArray[np.float64]
BATCH = 256  # rows explained at a time
SMALL = 2000  # rows, under which validation may end a training early
LEFT_OUT = 0.3  # of these rows, where some may be anomalies: those that a first fit finds the least likely
SHORTER = 16  # times, each of the two fits then: a long one learns the anomalies too
DECIMALS = 4  # of a score
CPU = torch.device("cpu")
TOLD = ("decision_scores_", "labels_")
"""Answers on the rows of `fit`."""


class VAEDetector(Estimator):
    """A VAE of a table's rows; one recipe for tables of any size, and a threshold that needs no anomaly to be known.

    Rows are numbers, or a DataFrame of numbers, booleans, dates and categories. A column may lack values where it did
    in training, and a gap then counts for as much as it is rare beside what is there; in any other column a missing
    value is refused. `y` is ignored: train on rows that are normal, or say that some aren't.

    Fits in several threads take turns, since torch's generator is one for the process; run them in processes to gain
    time. One seed gives one fit either way.

    Parameters:
        alpha: false-alarm rate that the threshold is set for, among rows like those of training.
        contamination: "none" where all rows to fit are normal (one class), "some" where anomalies may be among them and
            nothing tells which: two short fits, between which the least likely three tenths are left out.
        columns: of a DataFrame, what a column is where its values don't tell: number, boolean, category, date, ignored.
        held_back: share of the rows that isn't trained on, and calibrates the threshold.
        kind: of the score: what is high where a row is unlikely; see docs/models/detection.md. With
            "neighbour_ensemble" what is saved holds training rows, up to 4,096.
        draws: of z, the same for each row; more make the score a little surer, and slower.
        steps: updates of the weights, at most: given fewer than 2,000 rows, training ends once validation says that no
            more is learned.

    Attributes:
        decision_scores_: scores of the rows given to `fit`.
        threshold_: of a score, over which `predict` says 1 (split conformal: Vovk et al., 2005). Infinite where fewer
            than 1 / alpha - 1 rows were held back, which can't tell so low a rate; `fit` warns of it.
        labels_: 1 for those of `fit` that are alarms, else 0.
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
        contamination: Contamination = "none",
        columns: Mapping[str, str] | None = None,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.alpha, self.latents, self.layers, self.components = alpha, latents, layers, components
        self.steps, self.scaling, self.kind, self.draws = steps, scaling, kind, draws
        self.held_back, self.contamination, self.columns = held_back, contamination, columns
        self.random_state = random_state

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def fit(self, X: Any, y: object = None) -> Self:  # noqa: ARG002, N803 (the names are scikit-learn's)
        """Train and calibrate.

        Raises:
            ValueError: a parameter or the rows can't be: too few, not of two dimensions, infinite, a column of nothing.
        """
        with self._wholly(), self._in_own_words():
            require_valid(self.get_params())
            frame = frame_of(self, X, reset=True, least=2)
            seed = self._seed()
            columns = [outline.column() for outline in outlines_of(frame, self.columns or {})]
            values = values_of(frame, columns)
            order = np.random.default_rng(derive(seed, "parts")).permutation(len(values))
            count = min(max(1, round(self.held_back * len(values))), len(values) - 1)
            fitted = values[order[count:]]
            self.columns_ = tuple(fit_column(column, fitted[:, at], self.scaling) for at, column in enumerate(columns))
            rows = self._centred(values)
            held_back, rest = rows[order[:count]], rows[order[count:]]
            told: Contributions = "left_out" if len(columns) <= WIDEST else "distortion"
            wanted = DetectionSection(score=self.kind, draws=int(self.draws), collected=None, contributions=told)
            with seeded(derive(seed, "fit")):
                model, kept = self._model(rest, seed, patient=len(values) >= SMALL)
                train = kept if self.kind == "neighbour_ensemble" else rest
                self.detector_ = calibrated(model, wanted, Split(train[:MOST], None), Split(held_back, None), CPU)
                self.threshold_ = self._tail.threshold(float(self.alpha))
            self.calibration_scores_ = self._tail.scores.double().numpy()
            if math.isinf(self.threshold_):
                warnings.warn(
                    f"{count} rows were held back, and alpha={self.alpha:g} takes {math.ceil(1 / self.alpha) - 1}: no "
                    "row can be an alarm; give more rows, or a larger alpha or held_back",
                    UserWarning,
                    stacklevel=2,
                )
            self.decision_scores_ = self._score(rows)
            self.labels_ = self._alarms(self.decision_scores_)
        return self

    def fit_predict(self, X: Any, y: object = None) -> npt.NDArray[np.int_]:  # noqa: ARG002, N803
        """`fit`, and 1 for each of its rows that is an alarm, else 0."""
        return self.fit(X).labels_

    def decision_function(self, X: Any) -> Floats:  # noqa: N803
        """The score of each row, high where it is anomalous."""
        return self._score(self._rows(X))

    def score_samples(self, X: Any) -> Floats:  # noqa: N803
        """The score with its sign turned, as scikit-learn has it: low where a row is anomalous."""
        return -self.decision_function(X)

    def predict(self, X: Any) -> npt.NDArray[np.int_]:  # noqa: N803
        """1 where a row is an alarm, its p-value at most alpha; else 0."""
        return self._alarms(self.decision_function(X))

    def predict_proba(self, X: Any) -> Floats:  # noqa: N803
        """[p, 1 - p] of each row, with p the share of normal rows at least as anomalous: small for an anomaly."""
        p_value = self.p_values(X)
        return np.stack([p_value, 1 - p_value], axis=1)

    def p_values(self, X: Any) -> Floats:  # noqa: N803
        """(1 + rows held back that score at least as high) / (1 + rows held back), as a bundle's graph computes it."""
        return self._p_values(self.decision_function(X))

    @in_float32()
    def explain(self, X: Any) -> Floats:  # noqa: N803
        """[rows, columns]: nats by which each value makes its row less likely, over what is usual of its column.

        Each column is left out in turn, and the rest of the row judged: so a column isn't blamed for another's value.
        Of a table of over 128 columns, and of a detector saved by older versions, it is each value's nats of distortion
        over what is usual.
        """
        rows = torch.from_numpy(self._rows(X))
        parts = rows.split(rows_at_once(int(self.draws), rows.shape[1]))
        with torch.no_grad():
            return np.concatenate([self.detector_(part).contributions.double().numpy() for part in parts])

    def _seed(self) -> int:
        """The seed of a fit; of None one that nobody knows, and numpy's global generator isn't drawn from."""
        given = seed_of(None) if self.random_state is None else self.random_state
        return int(check_random_state(given).randint(2**31))

    @property
    def _tail(self) -> EmpiricalTail:
        tail = self.detector_.calibration
        assert tail is not None  # `fit` calibrates
        return tail

    @in_float32()
    def _score(self, rows: npt.NDArray[Any]) -> Floats:
        # To what float32 leaves of a sum: so that a row has one score, whatever rows it comes with.
        return np.asarray(score(self.detector_, Split(rows, None), CPU).round(DECIMALS))

    @in_float32()
    def _p_values(self, scores: Floats) -> Floats:
        return self._tail.p_value(torch.from_numpy(scores).float()).double().numpy()

    def _alarms(self, scores: Floats) -> npt.NDArray[np.int_]:
        return alarms(self._p_values(scores), float(self.alpha)).astype(int)

    def _rows(self, X: Any) -> npt.NDArray[np.float32]:  # noqa: N803
        check_is_fitted(self)
        with self._in_own_words():
            return self._centred(values_of(frame_of(self, X, reset=False, least=1), self.columns_))

    def _centred(self, values: Floats) -> npt.NDArray[np.float32]:
        """Rows as the model takes them, from values in the data's units.

        Raises:
            DataError: one is missing where none may be, or infinite.
        """
        return checked(values, TableSpec(self.columns_, ()))

    def _model(self, rows: npt.NDArray[np.float32], seed: int, patient: bool) -> tuple[VAE, npt.NDArray[np.float32]]:
        """A trained model, and the rows that weren't left out of its training."""
        if self.contamination == "none":
            return trained(self._network(), rows, seed, int(self.steps), patient=patient), rows
        steps = math.ceil(self.steps / SHORTER)
        terms = elbo_terms(trained(self._network(), rows, seed, steps, patient=True), Split(rows, None), seed, CPU)
        unlikely = terms.distortion + terms.rate
        rows = rows[unlikely <= np.quantile(unlikely, 1 - LEFT_OUT)]
        return trained(self._network(), rows, seed, steps, patient=True), rows

    def _network(self) -> VAE:
        """A model with fresh weights."""
        net = DenseNet(kind="dense", layers=tuple(int(width) for width in self.layers), activation="silu")
        return build(
            Model(
                encoder=net,
                posterior=GaussianPosterior(kind="gaussian", latents=int(self.latents)),
                prior=MixturePrior(kind="mixture", components=int(self.components)),
                decoder=net,
                likelihood=MixedLikelihood(kind="mixed", scale="learned_per_column", missing="modelled"),
                conditional=False,
            ),
            TableSpec(self.columns_, ()),
        )

    def _write(self, folder: Path) -> None:
        TableSpec(self.columns_, ()).save(folder / "spec.json")
        state = {f"detector.{name}": tensor for name, tensor in self.detector_.state_dict().items()}
        told = {name: torch.from_numpy(vars(self)[name]) for name in TOLD}
        save_weights(state | told, folder / "weights.safetensors")

    def _read(self, folder: Path) -> None:
        spec = load_spec(folder / "spec.json")
        tensors, _ = read_safetensors(folder / "weights.safetensors")
        assert isinstance(spec, TableSpec)  # the seal says that it is the one that was written
        self.columns_ = spec.columns
        state = {name.partition(".")[2]: tensor for name, tensor in tensors.items() if name not in TOLD}
        with seeded(0):  # fresh weights, overwritten at once
            self.detector_ = Detector.restored(self._network(), self.kind, state, spec.event_shape).eval()
        self.threshold_ = self._tail.threshold(float(self.alpha))
        self.calibration_scores_ = self._tail.scores.double().numpy()
        for name in TOLD:
            setattr(self, name, tensors[name].numpy())
