"""evaluate: a trained model on the test part; metrics.json, data for plots, pictures, and a page that shows all."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vae_pipeline import plots
from vae_pipeline.data.store import Prepared, Split
from vae_pipeline.device import prepare_device
from vae_pipeline.errors import DataError, GateError
from vae_pipeline.files import content_key, filled_folder, replace_file, require_writable, tree_digest, write_json
from vae_pipeline.metrics.aggregate import aggregate
from vae_pipeline.metrics.alarms import EXAMPLES, alarms_of
from vae_pipeline.metrics.baselines import baseline_elbo, baseline_psnr
from vae_pipeline.metrics.bounds import elbo_terms, evaluating, standard_error, subset
from vae_pipeline.metrics.features import reference
from vae_pipeline.metrics.images import entropy_floor, fidelity
from vae_pipeline.metrics.importance import importance_bound
from vae_pipeline.metrics.latents import ACTIVE, Latents, latents
from vae_pipeline.metrics.pareto import TRUSTED
from vae_pipeline.metrics.samples import generation
from vae_pipeline.metrics.two_sample import against_prior
from vae_pipeline.metrics.usage import usage
from vae_pipeline.models.likelihoods import LocationScaleLikelihood
from vae_pipeline.models.vae import VAE
from vae_pipeline.pictures import Pixels, to_pixels
from vae_pipeline.randomness import derive, seeded
from vae_pipeline.recipe.evaluate import METRICS, Evaluate, Gate
from vae_pipeline.spec import DataSpec
from vae_pipeline.stages.job import Job
from vae_pipeline.stages.report import PAGE, write_page
from vae_pipeline.stages.trained import Row, Trained, write_history
from vae_pipeline.tracking.journal import flatten
from vae_pipeline.tracking.tracker import provenance

PAIRS, SAMPLES, PLANE = 30, 100, 20
TRAVERSED = 10
SCATTERED = 10_000


def evaluate(job: Job, data: Path, model: Path, out: Path) -> dict[str, Any]:
    """Fill `out` with index.html, metrics.json, curves.csv, rates.csv and plots/; returns the metrics.

    Raises:
        DataError, WeightsError: an input isn't what an earlier stage wrote.
        OutputError: `out` can't be written.
        GateError: a metric is outside the recipe's bounds; the report is written all the same.
    """
    require_writable(out, data, model)
    prepared, trained = Prepared.open(data), Trained.load(model)
    if prepared.spec != trained.spec:
        raise DataError(f"{model} was trained on data of another spec than {data}: prepare and train again")
    device = prepare_device(job.settings)
    vae = trained.model.to(device)
    metrics, used = measure(vae, prepared, job.recipe.evaluate, job.seed, device)
    metrics |= {"sampler": trained.sampler.kind, "sampler_candidates": trained.sampler.distances}
    metrics |= generation(vae, prepared, reference(prepared, job.settings.home, device), job.seed)
    metrics["alarms"] = trained.alarms + alarms_on(vae, prepared.test, metrics["rate"], job.seed, device)
    failed = breaches(metrics, job.recipe.evaluate.gates)
    metrics["failed_gates"] = list(failed)
    with filled_folder(out) as folder:
        write_json(folder / "metrics.json", metrics)
        write_history(folder / "curves.csv", [{**row, "elbo": _shown_elbo(row)} for row in trained.history])
        _write_rates(folder / "rates.csv", used)
        (folder / "plots").mkdir()
        draw(trained, prepared.test, used, job.seed, folder / "plots")
        write_page(folder, job, prepared, trained, used, metrics, failed)
    _record(job, trained.weights_sha256, metrics, out)
    if failed:
        raise GateError(f"{'; '.join(failed.values())}; the report is {out / PAGE}")
    return metrics


def measure(
    model: VAE, prepared: Prepared, wanted: Evaluate, seed: int, device: torch.device
) -> tuple[dict[str, Any], Latents]:
    """All figures of metrics.json, on the test part; what can't be measured is left out."""
    test, spec = prepared.test, prepared.spec
    drawn = derive(seed, "evaluate")
    terms = elbo_terms(model, test, drawn, device)
    bounded = subset(test, wanted.examples, seed)
    importance = importance_bound(model, bounded, wanted.samples, drawn, device)
    used = latents(model, test, device)
    near = fidelity(model, test, drawn, device)
    whole = aggregate(model, test, drawn, device)
    apart = against_prior(model, whole.z, drawn)
    measure = model.likelihood.measure(spec.binary)
    metrics: dict[str, Any] = {
        "elbo": float(terms.elbo.mean()),
        "elbo_standard_error": standard_error(terms.elbo),
        "baseline_elbo": baseline_elbo(model.likelihood, prepared.train, test, spec, drawn),
        "distortion": float(terms.distortion.mean()),
        "rate": float(terms.rate.mean()),
        "measure": measure,
        "importance_bound": float(importance.bound.mean()),
        "importance_bound_standard_error": standard_error(importance.bound),
        "importance_bounds": {str(count): float(bound.mean()) for count, bound in importance.bounds.items()},
        "importance_samples": wanted.samples,
        "importance_examples": len(bounded),
        "effective_sample_size": float(importance.effective_sample_size.mean() / wanted.samples),
        "active_units": used.active_units,
        "latents": model.latents,
        "mutual_information": whole.mutual_information,
        "mutual_information_cap": whole.cap,
        "aggregate_examples": len(whole.z),
        "aggregate_kl": whole.aggregate_kl,
        "mse": near.mse,
        "psnr": near.psnr,
        "ssim": near.ssim,
        "mse_of_sample": near.mse_of_sample,
        "psnr_of_sample": near.psnr_of_sample,
        "test_examples": len(test),
        "rate_per_dimension": {str(index): float(rate) for index, rate in enumerate(used.rate)},
    }
    optional: dict[str, float | None] = {
        "total_correlation": whole.total_correlation,
        "dimensionwise_kl": whole.dimensionwise_kl,
        "sharpness": near.sharpness,
        "baseline_psnr": baseline_psnr(prepared.train, test, spec, model.latents, drawn),
    }
    if isinstance(model.likelihood, LocationScaleLikelihood) and model.likelihood.kind != "per_element":
        optional["scale"] = float(model.likelihood.scale.detach().mean())
    if measure == "cross_entropy":
        optional["entropy_floor"] = entropy_floor(test, spec.low, spec.high)
    if measure == "mass":
        optional["bits_per_dimension"] = float(-terms.elbo.mean() / (spec.dimensions * np.log(2)))
    if importance.shape is not None:
        optional["pareto_k_over_0.7"] = float((importance.shape > TRUSTED).mean())
    if apart is not None:
        optional |= {"mmd2": apart.mmd2, "mmd2_p_value": apart.p_value, "two_sample_auc": apart.auc}
    return metrics | {name: value for name, value in optional.items() if value is not None}, used


def alarms_on(model: VAE, test: Split, rate: float, seed: int, device: torch.device) -> list[dict[str, Any]]:
    """What there is reason for on the test part, in the form of the alarms of training; it belongs to no epoch."""
    used = usage(model, test, derive(seed, "evaluate"), device, EXAMPLES)
    found = alarms_of(used, rate, model.latents)
    return [{"name": name, "about": about, "epoch": None, "cleared": None} for name, about in found.items()]


def _shown_elbo(row: Row) -> float | None:
    """What `dvc plots` draws: of the validation part or, where there is none, of training."""
    return row["train_elbo"] if row["valid_elbo"] is None else row["valid_elbo"]


def breaches(metrics: Mapping[str, Any], gates: Mapping[METRICS, Gate]) -> dict[str, str]:
    """The metrics that are outside the recipe's bounds, each with what is wrong."""
    failed: dict[str, str] = {}
    for name, gate in gates.items():
        value = metrics.get(name)
        if value is None:
            failed[name] = f"{name} isn't measured for this likelihood"
        elif gate.min is not None and not value >= gate.min:
            failed[name] = f"{name} is {value:.6g}, under its gate's min {gate.min:g}"
        elif gate.max is not None and not value <= gate.max:
            failed[name] = f"{name} is {value:.6g}, over its gate's max {gate.max:g}"
    return failed


def draw(trained: Trained, test: Split, used: Latents, seed: int, folder: Path) -> None:
    """All pictures."""
    model, spec = trained.model, trained.spec
    plots.curves(folder / "curves.png", trained.history, trained.kept_epoch)
    active = used.variance_of_means > ACTIVE
    plots.rates(folder / "rate_per_dimension.png", used.rate, active)
    shown = subset(test, PAIRS, seed)
    first = shown.labels[:1] if shown.labels is not None else None
    images = to_pixels(shown.images[:], spec.low, spec.high)
    plots.pairs(folder / "reconstructions.png", images, _reconstruct(model, shown, spec))
    with seeded(derive(seed, "samples")), torch.inference_mode():
        z = model.draw(torch.randn(SAMPLES, model.noise)).numpy()
    by_class = np.arange(SAMPLES) // 10 % max(1, model.classes)
    plots.grid(folder / "samples.png", _decode(model, z, by_class, spec), 10)
    order = np.argsort(-used.rate)
    if model.latents == 2:
        middle = np.full(PLANE**2, 0 if first is None else int(first[0]))
        plots.grid(folder / "manifold.png", _decode(model, plots.plane(PLANE), middle, spec), PLANE)
        axes: tuple[int, int] = (0, 1)
    else:
        chosen = order[:TRAVERSED]
        middle_z = plots.traversals(used.mean[0], chosen)
        label = np.full(len(middle_z), 0 if test.labels is None else int(test.labels[0]))
        plots.grid(folder / "traversals.png", _decode(model, middle_z, label, spec), len(middle_z) // len(chosen))
        if model.latents == 1:
            return
        axes = (int(order[0]), int(order[1]))
    points = used.mean[:SCATTERED, axes]
    labels = None if test.labels is None else np.asarray(test.labels[:SCATTERED])
    names = (f"z{axes[0]}", f"z{axes[1]}")
    plots.scatter(folder / "latents.png", points, labels, spec.classes, names)


@torch.inference_mode()
def _reconstruct(model: VAE, split: Split, spec: DataSpec) -> Pixels:
    device = next(model.parameters()).device
    images = torch.from_numpy(split.images[:]).to(device)
    labels = None if split.labels is None else torch.from_numpy(split.labels).to(device)
    with evaluating(model):
        return _pixels(model, model.decode(model.encode(images, labels).mean, labels).mean, spec)


@torch.inference_mode()
def _decode(model: VAE, z: npt.NDArray[Any], labels: npt.NDArray[Any], spec: DataSpec) -> Pixels:
    device = next(model.parameters()).device
    with evaluating(model):
        x_mean = model.decode(torch.from_numpy(z).to(device), torch.from_numpy(labels).to(device)).mean
    return _pixels(model, x_mean, spec)


def _pixels(model: VAE, x_mean: Tensor, spec: DataSpec) -> Pixels:
    return to_pixels(model.scaling.inverse(x_mean).cpu().numpy(), spec.low, spec.high)


def _write_rates(path: Path, used: Latents) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["dimension", "rate", "variance_of_means"])
    writer.writerows(zip(range(len(used.rate)), used.rate.tolist(), used.variance_of_means.tolist(), strict=True))
    replace_file(path, text.getvalue().encode())


def _record(job: Job, weights: str, metrics: Mapping[str, Any], out: Path) -> None:
    tracker = job.tracker()
    params = flatten({"evaluate": job.recipe.evaluate.model_dump(mode="json"), "seed": job.seed})
    journal = tracker.journal("evaluate", content_key(params, weights, tree_digest(out)))
    journal.start(job.name, params, provenance(job.name), weights=weights)
    journal.metrics({f"test_{key}": value for key, value in metrics.items() if isinstance(value, int | float)})
    journal.artifact(out, to="report")
    journal.end("FINISHED")
    tracker.send(journal)
