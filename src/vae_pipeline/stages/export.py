"""export: a trained model to a bundle of ONNX graphs, refused unless every graph equals the model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vae_pipeline.bundles.export import parity
from vae_pipeline.bundles.export.bundle import Provenance, write_bundle
from vae_pipeline.bundles.export.calibration import Calibrated, alarm_parity, require_alarms
from vae_pipeline.bundles.export.card import model_card
from vae_pipeline.bundles.export.denoising import Denoising
from vae_pipeline.evaluation.report.exported import with_parity
from vae_pipeline.kinds.store import Prepared, Split
from vae_pipeline.metrics.denoising import calibrated_on, fit_denoiser
from vae_pipeline.metrics.detection import MOST, fit_detector
from vae_pipeline.metrics.directions import directions
from vae_pipeline.metrics.drawn_rows import draw_rows
from vae_pipeline.metrics.parts import subset
from vae_pipeline.metrics.segments import Segmentation, large_enough
from vae_pipeline.models.table import TableVAE
from vae_pipeline.numerics.device import prepare_device
from vae_pipeline.numerics.randomness import derive, in_float32
from vae_pipeline.recipe.detection import DetectionSection
from vae_pipeline.runtime.bundle import Bundle
from vae_pipeline.runtime.detector_entry import SegmentsEntry
from vae_pipeline.runtime.manifest import Manifest
from vae_pipeline.stages.job import Job
from vae_pipeline.system.errors import DataError
from vae_pipeline.system.files import (
    content_key,
    filled_folder,
    replace_file,
    require_writable,
    tree_digest,
    write_json,
)
from vae_pipeline.system.seal import unsealed
from vae_pipeline.system.tracking.journal import Journal, flatten
from vae_pipeline.system.tracking.registry import aliases_of
from vae_pipeline.system.tracking.tracker import Tracker, provenance
from vae_pipeline.system.typed_json import read_json
from vae_pipeline.training.trained import Trained

LOOKED_AT, LOOKED_AT_ONCE = 4 * parity.LARGEST, 32
"""Test rows of a table among which those that are compared are sought."""


@dataclass(frozen=True)
class ExportReport:
    """The result of an export."""

    graphs: int
    difference: float
    """Largest difference of all outputs and batches, as `parity.Agreement.relative`."""


@in_float32()
def export(job: Job, data: Path, model: Path, report: Path, out: Path) -> ExportReport:
    """Fill `out` with the graphs, golden answers, bundle.json, parity.json, MODEL_CARD.md and report.html.

    The bundle of a private model holds no real row, and no report.

    Raises:
        DataError, WeightsError: an input isn't what an earlier stage wrote.
        OutputError: `out` can't be written.
        ParityError: a graph answers otherwise than the model, by more than the recipe's tolerance.
    """
    require_writable(out, data, model, report)
    prepared, trained = Prepared.open(data), Trained.load(model)
    metrics, page = read_metrics(report), read_page(report, trained.weights_sha256)
    if prepared.spec != trained.spec:
        raise DataError(f"{model} was trained on data of another spec than {data}: prepare and train again")
    tracker = job.tracker()
    with tracker.sending() as send:
        done, order = _fill(out, job, trained, trained.sees(prepared), metrics, page)
        failed_gates = ", ".join(metrics["failed_gates"])
        if failed_gates:
            job.warn(f"{job.name}: the model fails its gates ({failed_gates}), as its card says")
        send(_record(tracker, job, trained.weights_sha256, done.difference, order, failed_gates, out))
    return done


def _fill(
    out: Path, job: Job, trained: Trained, prepared: Prepared, metrics: dict[str, Any], page: str
) -> tuple[ExportReport, parity.Ranking]:
    recipe = job.recipe
    prepare_device(job.settings)
    origin = Provenance(
        recipe=job.name,
        recipe_sha256=content_key(trained.recipe.model_dump(mode="json")),
        data_sha256=prepared.digest(),
        weights_sha256=trained.weights_sha256,
        sampler=trained.sampler.kind,
        licence=recipe.export.licence,
        privacy=trained.privacy,
    )
    calibrated = _calibrated(job, trained, prepared)
    towards = []
    if trained.privacy is None:  # means over training rows have no noise
        towards = directions(trained.model.cpu(), prepared.spec, prepared.train, prepared.valid, job.seed)
    with filled_folder(out) as folder:
        rows, order = write_bundle(
            trained.model,
            prepared.spec,
            calibrated,
            towards,
            shown(trained, prepared, job.seed),
            metrics,
            origin,
            job.seed,
            folder,
            _denoising(trained, prepared, job.seed),
            recipe.export.draws,
        )
        alarms = None if calibrated is None else alarm_parity(
            Bundle.load(folder), calibrated.detector, prepared.test
        )  # fmt: skip
        found = {
            "tolerance": recipe.export.tolerance,
            "scores": order.to_dict(),
            "alarms": None if alarms is None else alarms.to_dict(),
            "agreement": [row.to_dict() for row in rows],
        }
        write_json(folder / "parity.json", found)
        parity.require(rows, recipe.export.tolerance)
        if alarms is not None:
            require_alarms(alarms, recipe.export.tolerance)
        worst = max(row.relative for row in rows)
        card = model_card(
            job.name, trained.recipe, recipe.export, prepared.spec, prepared.card, metrics, trained.weights_sha256,
            privacy=trained.privacy,
        )  # fmt: skip
        said = parity.said(worst, order, *(() if trained.privacy is None else ("rows that the model drew",)))
        said += "" if calibrated is None else calibrated.said()
        replace_file(folder / "MODEL_CARD.md", (card + said).encode())
        files = ["parity.json", "MODEL_CARD.md"]
        if trained.privacy is None:  # the report's pictures are of real rows
            replace_file(folder / "report.html", with_parity(page, found).encode())
            files.append("report.html")
        Manifest.load(folder).save_with(folder, *files)
    return ExportReport(len({row.graph for row in rows}), worst), order


def shown(trained: Trained, prepared: Prepared, seed: int) -> Split:
    """The examples that graphs are run on, which lie in the bundle: of a private model none is real.

    Rows of a table whose density rounding decides aren't compared, unless all of the first ones are such.
    """
    model, test = trained.model.cpu(), prepared.test
    if trained.privacy is None:
        if not isinstance(model, TableVAE):
            return test
        x = torch.from_numpy(np.array(test.x[:LOOKED_AT]))
        rows = np.flatnonzero(~torch.cat([model.doubtful(some) for some in x.split(LOOKED_AT_ONCE)]).numpy())
        return Split(x.numpy()[rows], None if test.labels is None else test.labels[rows]) if len(rows) else test
    assert isinstance(model, TableVAE)  # a recipe says so
    return Split(draw_rows(model, parity.LARGEST, derive(seed, "shown")), None)


def _calibrated(job: Job, trained: Trained, prepared: Prepared) -> Calibrated | None:
    """The detector of a model that `write_bundle` has on the CPU too: both must be its answers there."""
    wanted, train = job.recipe.detection, trained.recipe.train
    detector = fit_detector(trained.model.cpu(), wanted, prepared, job.seed, torch.device("cpu"))
    chosen = train.keep == "best" or train.patience is not None
    if wanted is None or detector is None:
        return None
    return Calibrated(detector, wanted.collected, chosen, _segments(wanted, prepared, job.seed))


def _segments(wanted: DetectionSection, prepared: Prepared, seed: int) -> SegmentsEntry | None:
    by = Segmentation.of(wanted, prepared.spec)
    if by is None:
        return None
    rows = by.rows(subset(prepared.valid, MOST, seed))
    own = {name: len(found) for name, found in large_enough(rows).items()}
    return SegmentsEntry(by.by, own, {name: len(found) for name, found in rows.items() if name not in own})


def _denoising(trained: Trained, prepared: Prepared, seed: int) -> Denoising | None:
    section = trained.recipe.train.denoise
    denoiser = fit_denoiser(trained.model.cpu(), section, prepared, seed, torch.device("cpu"))
    return None if section is None or denoiser is None else Denoising(denoiser, section, calibrated_on(prepared.valid))


def read_metrics(report: Path) -> dict[str, Any]:
    """The figures that `eval` measured.

    Raises:
        DataError: they aren't there, or were altered.
    """
    path = report / "metrics.json"
    try:
        metrics = dict(read_json(path))
        metrics["measure"], metrics["elbo"], metrics["importance_samples"], metrics["failed_gates"]
    except FileNotFoundError as error:
        raise DataError(f"{path} isn't there: run `vae-pipeline eval` first") from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"{path} isn't what `vae-pipeline eval` wrote: run it again") from error
    unsealed(report, "eval", ["metrics.json", "index.html"])
    return metrics


def read_page(report: Path, weights_sha256: str) -> str:
    """The report of these weights.

    Raises:
        DataError: it isn't there, or is of others.
    """
    path = report / "index.html"
    try:
        page = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} can't be read: run `vae-pipeline eval` first") from error
    if weights_sha256 not in page:
        raise DataError(
            f"{path} isn't the report of these weights, {weights_sha256[:12]}: run `vae-pipeline eval` again"
        )
    return page


def _record(
    tracker: Tracker, job: Job, weights: str, worst: float, order: parity.Ranking, failed_gates: str, out: Path
) -> Journal:
    settings = job.settings
    params = flatten({"export": job.recipe.export.model_dump(mode="json")})
    registered = job.name if settings.registers else None
    promote = settings.mlflow_promote if settings.registers else None
    aliases = aliases_of(promote, failed_gates, job.warn)
    journal = tracker.journal("export", content_key(params, weights, tree_digest(out), registered, aliases))
    journal.start(job.name, params, provenance(job.name), weights=weights)
    journal.metrics({
        "export_largest_relative_difference": worst,
        "export_score_difference_nats": order.nats,
        "export_score_rank_correlation": order.rank_correlation,
        "export_score_flips": order.flips,
    })  # fmt: skip
    journal.bundle(out, "bundle", registered, aliases)
    journal.end("FINISHED")
    return journal
