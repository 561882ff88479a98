"""Anomaly detection: a detector calibrated on held-back examples, and how well its scores tell anomalies from normal.

No anomaly takes part in the calibration; labels serve to measure, and for nothing else.
"""

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vae_pipeline.kinds.store import Prepared, Split
from vae_pipeline.metrics.bounds import PerExample, evaluating
from vae_pipeline.metrics.latents import latents
from vae_pipeline.metrics.left_out import KNOWN, require_narrow, rows_at_once
from vae_pipeline.metrics.parts import at_once, batches, read, subset, taken
from vae_pipeline.metrics.segments import Segmentation, large_enough
from vae_pipeline.models.detector import Detector
from vae_pipeline.models.neighbours import KEPT
from vae_pipeline.models.tails import EmpiricalTail, SegmentTails
from vae_pipeline.models.vae import VAE
from vae_pipeline.recipe.detection import DetectionSection

NORMAL = 0  # the label of normal rows; anomalies have 1
RATES = (0.001, 0.01, 0.05)
ALPHAS = (0.01, 0.05, 0.1)
MOST = 10_000  # examples that a calibration, or a part's latent covariance, is taken from
RANKED = 2_000  # training examples that an ensemble's ranks are among
ROWS = 1024  # draws decoded at a time, at most


def normal_part(prepared: Prepared) -> Split:
    """The test part without its anomalies, where labels tell them; all of it where they say something else."""
    return normal_rows(prepared.test) if prepared.tells_anomalies else prepared.test


def normal_rows(split: Split) -> Split:
    """The rows that aren't anomalies; all where nothing says which are, or all are."""
    if split.labels is None or not (split.labels == NORMAL).any():
        return split
    return taken(split, np.flatnonzero(split.labels == NORMAL))


def fit_detector(
    model: VAE, wanted: DetectionSection | None, prepared: Prepared, seed: int, device: torch.device
) -> Detector | None:
    """A detector calibrated on the validation part; None where there is no such part, or none is wanted.

    Its guarantee is that of split conformal prediction, if training didn't look at that part; within each segment that
    has a tail of its own.

    Raises:
        DataError: the data have no such segments, or too many columns for such contributions.
    """
    if wanted is None or not len(prepared.valid):
        return None
    require_narrow(wanted, prepared.spec)
    by, held_back = Segmentation.of(wanted, prepared.spec), subset(prepared.valid, MOST, seed)
    return calibrated(model, wanted, subset(prepared.train, MOST, seed), held_back, device, by)


@torch.no_grad()  # and not inference_mode: an exporter traces what is kept here
def calibrated(
    model: VAE,
    wanted: DetectionSection,
    train: Split,
    held_back: Split,
    device: torch.device,
    by: Segmentation | None = None,
) -> Detector:
    """A detector of `model`; `held_back` are examples that weren't trained on, calibrated in all and `by` segments."""
    noise = np.random.default_rng(0).standard_normal((wanted.draws, model.latents)).astype(np.float32)
    means = torch.from_numpy(latents(model, train, device).mean).float()
    detector = Detector(model, wanted.score, torch.from_numpy(noise), means, train.x.shape[1:]).to(device)
    with evaluating(model):
        detector.rank_by(_scores(detector, taken(train, np.arange(min(RANKED, len(train)))), device)[0])
        if wanted.score == "neighbour_ensemble":
            kept = taken(train, _spread(len(train), KEPT))
            ranked = _scores(detector, taken(kept, np.arange(min(RANKED, len(kept)))), device)[0]["negative_elbo"]
            every, some = (read(part, slice(None), device).x for part in (train, kept))
            detector.keep_rows(every, some, ranked.to(device))
        scores, usual = _scores(detector, held_back, device)
        detector.calibrate(scores, usual)
        if wanted.contributions == "left_out":
            some = read(taken(held_back, _spread(len(held_back), KNOWN)), slice(None), device).x
            left_out = [detector.left_out(part) for part in some.split(rows_at_once(len(noise), some.shape[1]))]
            detector.usual_left_out = torch.cat(left_out).double().mean(0).float()
    if by is not None:
        score, parts = detector.chosen(scores), large_enough(by.rows(held_back))
        tails = {by.names.index(name): EmpiricalTail(score[rows]) for name, rows in parts.items()}
        detector.segments = SegmentTails(by.column, tails) if tails else None
    return detector.to(device)


def _spread(count: int, most: int) -> npt.NDArray[np.int64]:
    """Indices of at most so many rows, even over all: a table may be sorted; then in an order by chance."""
    chosen = np.arange(min(count, most)) * count // min(count, most)
    return np.random.default_rng(0).permutation(chosen)


def _scores(detector: Detector, split: Split, device: torch.device) -> tuple[dict[str, Tensor], Tensor]:
    """Every score but the ensemble, and the mean distortion of each value."""
    found: defaultdict[str, list[Tensor]] = defaultdict(list)
    usual = torch.zeros((), dtype=torch.float64)
    for rows in batches(split, device, "calibration", _rows(detector, split)):
        scores, by_element = detector.scores(rows.x, rows.label)
        usual = usual + by_element.double().sum(0).cpu() / len(split)
        for kind, values in scores.items():
            found[kind].append(values.cpu())
    return {kind: torch.cat(parts) for kind, parts in found.items()}, usual.float()


@dataclass(frozen=True)
class Detected:
    """The answers of a detector on the examples of a part."""

    score: PerExample
    p_value: PerExample
    every: dict[str, PerExample]
    """Each kind of score."""


@torch.inference_mode()
def detect(detector: Detector, split: Split, device: torch.device) -> Detected:
    """Score a part."""
    every: defaultdict[str, list[npt.NDArray[Any]]] = defaultdict(list)
    p_values = []
    with evaluating(detector.model):
        for rows in batches(split, device, "scores", _rows(detector, split)):
            scores, _ = detector.scores(rows.x, rows.label)
            scores["rank_ensemble"] = detector.ensemble(scores)
            p_value = detector.p_value(scores[detector.kind], rows.x, rows.label)
            p_values.append(p_value.double().cpu().numpy())
            for kind, values in scores.items():
                every[kind].append(values.double().cpu().numpy())
    joined = {kind: np.concatenate(parts) for kind, parts in every.items()}
    return Detected(joined[detector.kind], np.concatenate(p_values), joined)


@torch.inference_mode()
def score(detector: Detector, split: Split, device: torch.device) -> PerExample:
    """The detector's own score of a part, and no other."""
    with evaluating(detector.model):
        found = [
            detector.chosen(detector.scores(rows.x, rows.label)[0]).double().cpu().numpy()
            for rows in batches(split, device, "scores", _rows(detector, split))
        ]
    return np.concatenate(found)


@torch.inference_mode()
def heat(detector: Detector, split: Split, device: torch.device) -> npt.NDArray[np.float32]:
    """The heat maps of images, [examples, height, width], summed over channels."""
    with evaluating(detector.model):
        found = [
            detector(rows.x, rows.label).contributions.sum(1).cpu().numpy()
            for rows in batches(split, device, "scores", _rows(detector, split))
        ]
    return np.concatenate(found)


@torch.inference_mode()
def spread(detector: Detector, found: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The findings of another detector on features [examples, *features], as heat maps [examples, rows, columns]."""
    assert detector.heat is not None  # features are of images
    device = detector.noise.device
    parts = torch.from_numpy(found).split(ROWS)
    return np.concatenate([detector.heat(part.to(device)).sum(1).cpu().numpy() for part in parts])


def _rows(detector: Detector, split: Split) -> int:
    return max(1, at_once(split, ROWS) // len(detector.noise))


def detection(score: PerExample, anomalous: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Figures of a score that is to be high where `anomalous`; nothing where one of the two is absent."""
    if anomalous.all() or not anomalous.any():
        return {}
    from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve  # noqa: PLC0415 (a second of a CPU, which exports do without)

    false_alarms, recall, _ = roc_curve(anomalous, score, drop_intermediate=False)
    at = {f"recall_at_fpr_{rate:g}": float(recall[false_alarms <= rate].max()) for rate in RATES}
    return {
        "auroc": float(roc_auc_score(anomalous, score)),
        "average_precision": float(average_precision_score(anomalous, score)),
        **at,
        "anomalies": int(anomalous.sum()),
    }


def credible(found: Mapping[str, Any], examples: int) -> dict[str, Any]:
    """The figures of `detection`, among so many normal `examples`, with standard errors.

    Left out is a recall at a rate of false alarms that fewer than 1 / rate examples can't show: it is that of none.
    """
    anomalies, left_out = found["anomalies"], {}
    told = dict(found) | {"auroc_standard_error": auroc_error(found["auroc"], anomalies, examples)}
    for rate in RATES:
        name = f"recall_at_fpr_{rate:g}"
        if examples * rate < 1:
            del told[name]
            left_out[name] = (
                f"a false-alarm rate of {rate:g} takes {math.ceil(1 / rate)} normal examples to be seen, and there are "
                f"{examples}"
            )
        else:
            expected = _succeeding(found[name], anomalies)
            told[f"{name}_standard_error"] = math.sqrt(expected * (1 - expected) / anomalies)
    return told | {"left_out": left_out}


def auroc_error(auroc: float, anomalies: int, normal: int) -> float:
    """The standard error of an AUROC that is neither 0 nor 1 for sure: `hanley_mcneil` by the rule of succession."""
    return hanley_mcneil(_succeeding(auroc, min(anomalies, normal)), anomalies, normal)


def hanley_mcneil(area: float, positives: int, negatives: int) -> float:
    """The standard error of an AUROC, of exponential scores: those of other distributions are much alike.

    Source: Hanley and McNeil, The Meaning and Use of the Area under a Receiver Operating Characteristic Curve, 1982,
    eq. 1 and 2.
    """
    of_positives, of_negatives = area / (2 - area), 2 * area**2 / (1 + area)
    spread = area * (1 - area) + (positives - 1) * (of_positives - area**2) + (negatives - 1) * (of_negatives - area**2)
    return math.sqrt(max(0.0, spread) / (positives * negatives))


def _succeeding(share: float, count: int) -> float:
    """The rule of succession: neither all nor none of a few is a certainty."""
    return (share * count + 1) / (count + 2)


def alarm_share(p_value: PerExample, alpha: float) -> float:
    """The share of examples that are alarms, as a bundle alarms."""
    return float((p_value.astype(np.float32) <= np.float32(alpha)).mean())


def false_alarms(p_value: PerExample, examples: int) -> dict[str, Any]:
    """The shares of normal examples over the thresholds of some alphas, by a calibration on so many `examples`.

    A share is left out where fewer examples than 1 / alpha can't show it: on either side it could only come to 0.
    """
    found: dict[str, Any] = {"calibration_examples": examples, "left_out": {}}
    for alpha in ALPHAS:
        name, count = f"false_alarm_rate_{alpha:g}", len(p_value)
        if count * alpha < 1 or (examples + 1) * alpha < 1:
            found["left_out"][name] = (
                f"alpha {alpha:g} takes {math.ceil(1 / alpha)} normal examples to be seen, and as many, less one, to "
                f"calibrate; there are {count} and {examples}"
            )
            continue
        share = alarm_share(p_value, alpha)
        expected = _succeeding(share, count)
        spread = expected * (1 - expected) * (1 / count + 1 / examples)  # the threshold is a draw too
        found |= {name: share, f"{name}_standard_error": math.sqrt(spread)}
    return found
