"""rate-distortion: one model at several prices of the rate; the curve that they give on the validation part.

Each point but the first goes on from the weights of the one before it, from cheap rate to dear: a dimension that was
given up doesn't come back, so the other way would carry its losses along.

Source: Alemi, Poole, Fischer, Dillon, Saurous and Murphy, Fixing a Broken ELBO, 2018.
"""

import csv
import io
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from vae_pipeline.evaluation import rate_distortion_plot
from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.metrics.bounds import elbo_terms
from vae_pipeline.metrics.images import entropy_floor
from vae_pipeline.metrics.usage import usage
from vae_pipeline.numerics.device import prepare_device
from vae_pipeline.numerics.randomness import derive, in_float32
from vae_pipeline.recipe.objective import ConstantControl, TargetRateControl
from vae_pipeline.recipe.train import Train
from vae_pipeline.stages.job import Job, sections_of
from vae_pipeline.stages.launch import launched
from vae_pipeline.stages.train import train
from vae_pipeline.system.errors import DataError, RecipeError, SettingsError
from vae_pipeline.system.files import content_key, filled_folder, replace_file, require_writable, write_json
from vae_pipeline.system.locking import held
from vae_pipeline.system.tracking.journal import flatten, running
from vae_pipeline.system.tracking.tracker import provenance
from vae_pipeline.training.checkpoint import run_key
from vae_pipeline.training.trained import Trained

BETAS = "0.1,0.3,1,3,10"
SHORTER = 4  # a point that goes on from another one is trained for this part of the recipe's length

Control = ConstantControl | TargetRateControl


@dataclass(frozen=True)
class Point:
    """A trained model on the validation part; nats an example."""

    beta: float
    """The weight of the rate: as asked for, or where the controller ended."""
    target_rate: float | None
    rate: float
    distortion: float
    elbo: float
    """The ELBO at beta = 1."""
    active_units: int
    mutual_information: float
    """The mutual information of observation and latents; at most the log of the number of examples."""


@in_float32()
def rate_distortion(
    job: Job, data: Path, out: Path, controls: Sequence[Control], epochs: int | None = None
) -> list[Point]:
    """Fill `out` with curve.csv, curve.json, curve.png and curve.svg.

    What is trained so far is kept until the curve is drawn, so that the same command goes on after an interruption.

    Raises:
        DataError: `data` isn't a folder that `prepare` filled, or has no validation part.
        TrainingError, Interrupted: as `train`.
        OutputError: `out` can't be written.
    """
    require_writable(out, data)
    if launched():
        raise SettingsError("rate-distortion trains in one process: run it without a launcher (WORLD_SIZE is set)")
    prepared = Prepared.open(data)
    if not len(prepared.valid):
        raise DataError(
            f"{data} has no validation part, on which the curve is drawn: set the recipe's data.valid and prepare again"
        )
    device = prepare_device(job.settings)
    following = _shorter(job.recipe.train, epochs)
    jobs = [_job_of(job, control, following if index else {}) for index, control in enumerate(controls)]
    digest = prepared.digest()
    key = content_key([run_key(sections_of(each), digest, device) for each in jobs])
    folders = [job.settings.home / "sweeps" / key / str(index) for index in range(len(jobs))]
    points: list[Point] = []
    with held(running(job.settings.home, key), "draws this curve", job.warn):
        for index, (each, folder) in enumerate(zip(jobs, folders, strict=True)):
            if not folder.is_dir():
                train(each, data, folder, folders[index - 1] / "weights.safetensors" if index else None)
            trained = Trained.load(folder)
            points.append(_measured(trained, trained.sees(prepared), job.seed, device))
        with filled_folder(out) as filled:
            _write(filled, job, prepared, Trained.load(folders[0]), points)
        _record(job, key, folders, points, out)
        shutil.rmtree(folders[0].parent, ignore_errors=True)
    return points


def controls_of(betas: str | None, rates: str | None) -> list[Control]:
    """The points of a sweep over beta or over the rate, from cheap rate to dear, as texts such as `0.1,1,10` name them.

    Raises:
        RecipeError: both are given, or one isn't such a text.
    """
    if rates is None:
        return [
            ConstantControl(kind="constant", beta=beta)
            for beta in sorted(_numbers("--betas", BETAS if betas is None else betas))
        ]
    if betas is not None:
        raise RecipeError("--betas and --rates are both given: the curve is swept by one of them")
    nats = _numbers("--rates", rates)
    if 0 in nats:
        raise RecipeError(f"--rates {rates}: a target must be over 0")
    return [TargetRateControl(kind="target_rate", nats=each) for each in sorted(nats, reverse=True)]


def _numbers(option: str, text: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise RecipeError(f"{option} {text}: give numbers with commas between them, such as {BETAS}") from error
    if not all(math.isfinite(number) and number >= 0 for number in numbers):
        raise RecipeError(f"{option} {text}: each number must be finite, and none negative")
    if len(set(numbers)) < len(numbers):
        raise RecipeError(f"{option} {text}: one number is given twice")
    return numbers


def _shorter(train: Train, epochs: int | None) -> dict[str, int | None]:
    """The length of a point that goes on from another one: so many epochs, or a part of the recipe's length."""
    if epochs is not None:
        return {"epochs": epochs, "steps": None}
    given = {"epochs": train.epochs, "steps": train.steps}
    return {name: None if count is None else max(1, count // SHORTER) for name, count in given.items()}


def _job_of(job: Job, control: Control, length: Mapping[str, int | None]) -> Job:
    """The job of one point; the best epoch by the ELBO at beta = 1 is no point of another beta: the last is kept."""
    train = job.recipe.train.model_copy(update={"keep": "last", "patience": None, "stop_on_alarm": False, **length})
    recipe = job.recipe.model_copy(update={"rate_control": control, "train": train, "sampler": "prior"})
    settings = job.settings.model_copy(update={"mlflow_uri": "off"})  # recorded as points of the curve, once it's drawn
    return replace(job, name=f"{job.name} {_name(control)}", recipe=recipe, settings=settings)


def _name(control: Control) -> str:
    return f"beta {control.beta:g}" if isinstance(control, ConstantControl) else f"rate {control.nats:g}"


def _measured(trained: Trained, prepared: Prepared, seed: int, device: torch.device) -> Point:
    control, model, seed = trained.recipe.rate_control, trained.model.to(device), derive(seed, "rate-distortion")
    terms = elbo_terms(model, prepared.valid, seed, device)
    used = usage(model, prepared.valid, seed, device)
    return Point(
        beta=control.beta if isinstance(control, ConstantControl) else float(trained.history[-1]["beta"] or 0),
        target_rate=control.nats if isinstance(control, TargetRateControl) else None,
        rate=float(terms.rate.mean()),
        distortion=float(terms.distortion.mean()),
        elbo=float(terms.elbo.mean()),
        active_units=used.active_units,
        mutual_information=used.mutual_information,
    )


def _write(folder: Path, job: Job, prepared: Prepared, trained: Trained, points: Sequence[Point]) -> None:
    spec = prepared.spec
    measure = trained.model.likelihood.measure(spec.binary)
    floor = {"mass": 0.0}.get(measure)
    if measure == "cross_entropy":
        assert isinstance(spec, ImageSpec)
        floor = entropy_floor(prepared.valid, spec.low, spec.high)
    rows: list[dict[str, Any]] = [asdict(point) for point in points]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    replace_file(folder / "curve.csv", text.getvalue().encode())
    curve = {
        "recipe": job.name,
        "seed": job.seed,
        "validation_examples": len(prepared.valid),
        "latents": trained.model.latents,
        "measure": measure,
        "distortion_floor": floor,
        "points": rows,
    }
    write_json(folder / "curve.json", curve)
    for suffix in ("png", "svg"):
        rate_distortion_plot.draw(folder / f"curve.{suffix}", job.name, rows, trained.model.latents, floor)


def _record(job: Job, key: str, folders: Sequence[Path], points: Sequence[Point], out: Path) -> None:
    tracker = job.tracker()
    journal = tracker.journal("rate-distortion", key)
    params = flatten({"data": job.recipe.data.model_dump(mode="json"), **sections_of(job).model_dump(mode="json")})
    del params["about"]
    journal.start(job.name, params, provenance(job.name))
    for step, (folder, point) in enumerate(zip(folders, points, strict=True), start=1):
        trained = Trained.load(folder)
        figures = {name: value for name, value in asdict(point).items() if value is not None}
        epochs = [
            {name: value for name, value in row.items() if value is not None and name not in ("epoch", "kept")}
            for row in trained.history
        ]
        epochs[-1] |= figures
        own = flatten(trained.recipe.model_dump(mode="json", include={"rate_control", "train", "seed"}))
        journal.metrics(figures, step)
        journal.child(
            f"beta {point.beta:g}" if point.target_rate is None else f"rate {point.target_rate:g}", own, epochs
        )
    journal.artifact(out, to="curve")
    journal.end("FINISHED")
    tracker.send(journal)
