"""evaluate: a trained model on the test part; metrics.json, data for plots, pictures, and a page that shows all."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vae_pipeline.evaluation import detection, plots
from vae_pipeline.evaluation.gates import Gates, gates
from vae_pipeline.evaluation.kinds import Evaluation, describe
from vae_pipeline.kinds.store import Prepared, Split
from vae_pipeline.metrics.aggregate import aggregate, lower_bound
from vae_pipeline.metrics.alarms import EXAMPLES, alarms_of, without_epoch
from vae_pipeline.metrics.baselines import baseline_elbo
from vae_pipeline.metrics.bounds import elbo_terms, standard_error
from vae_pipeline.metrics.codebook import codebook_use
from vae_pipeline.metrics.detection import fit_detector, normal_part
from vae_pipeline.metrics.gain import Gain, decoder_gain
from vae_pipeline.metrics.importance import importance_bound
from vae_pipeline.metrics.latent_map import latent_map
from vae_pipeline.metrics.latents import ACTIVE, Latents, latents
from vae_pipeline.metrics.pareto import TRUSTED
from vae_pipeline.metrics.parts import chosen_rows, subset
from vae_pipeline.metrics.segments import Segmentation
from vae_pipeline.metrics.two_sample import against_prior
from vae_pipeline.metrics.usage import usage
from vae_pipeline.models.samplers import MixtureSampler
from vae_pipeline.models.spatial import QuantisedVAE, SpatialVAE
from vae_pipeline.models.vae import VAE
from vae_pipeline.numerics.device import prepare_device
from vae_pipeline.numerics.randomness import derive, in_float32
from vae_pipeline.recipe.evaluate import Evaluate
from vae_pipeline.recipe.figures import tracked
from vae_pipeline.stages.job import Job
from vae_pipeline.stages.report import PAGE, write_page
from vae_pipeline.system.errors import DataError, GateError
from vae_pipeline.system.files import (
    content_key,
    filled_folder,
    replace_file,
    require_writable,
    tree_digest,
    write_json,
)
from vae_pipeline.system.seal import seal
from vae_pipeline.system.tracking.journal import Journal, flatten
from vae_pipeline.system.tracking.tracker import Tracker, provenance
from vae_pipeline.training.trained import Row, Trained, write_history

SCATTERED = 10_000


@in_float32()
def evaluate(job: Job, data: Path, model: Path, out: Path) -> dict[str, Any]:
    """Fill `out` with index.html, metrics.json, curves.csv, rates.csv and plots/; returns the metrics.

    Raises:
        DataError, WeightsError: an input isn't what an earlier stage wrote.
        OutputError: `out` can't be written.
        GateError: a gate isn't kept; the report is written all the same.
    """
    require_writable(out, data, model)
    prepared, trained = Prepared.open(data), Trained.load(model)
    if prepared.spec != trained.spec:
        raise DataError(f"{model} was trained on data of another spec than {data}: prepare and train again")
    tracker = job.tracker()
    with tracker.sending() as send:  # MLflow takes as long to import as some models to evaluate
        metrics, found = _fill(out, job, trained, trained.sees(prepared))
        send(_record(tracker, job, trained.weights_sha256, metrics, out))
    if found.failed:
        for name, said in found.failed.items():
            job.console.print(f"{job.name}: gate {name}: {said}", style="red")
        raise GateError(f"{'; '.join(found.failed.values())}; the report is {out / PAGE}")
    return metrics


def _fill(out: Path, job: Job, trained: Trained, prepared: Prepared) -> tuple[dict[str, Any], Gates]:
    device = prepare_device(job.settings)
    vae = trained.model.to(device)
    metrics, used = measure(vae, prepared, job.recipe.evaluate, job.seed, device)
    if isinstance(vae, SpatialVAE):
        metrics["latent_map"] = latent_map(vae, prepared.train, job.seed, device)
    metrics |= {"sampler": trained.sampler.kind, "sampler_candidates": trained.sampler.distances}
    if isinstance(vae.sampler, MixtureSampler):
        metrics["sampler_components"] = len(vae.sampler.mean)
    if trained.privacy is not None:
        metrics |= {"epsilon": trained.privacy.epsilon, "delta": trained.privacy.delta}
    metrics["alarms"] = trained.alarms + alarms_on(trained, normal_part(prepared), metrics, job.seed, device)
    detector = fit_detector(vae, job.recipe.detection, prepared, job.seed, device)
    with filled_folder(out) as folder:
        (folder / "plots").mkdir()
        target, audited = job.recipe.evaluate.target, job.recipe.evaluate.privacy
        of = Evaluation(trained, prepared, detector, used, metrics, target, job.seed, job.settings.home, audited)
        add(metrics, describe(of, folder / "plots"))
        if detector is not None:
            by = Segmentation.of(job.recipe.detection, prepared.spec)
            add(metrics, detection.describe(detector, prepared, job.seed, folder / "plots", by))
        found = gates(metrics, job.recipe.evaluate, trained, prepared)
        metrics |= found.figures()
        write_json(folder / "metrics.json", metrics)
        write_history(folder / "curves.csv", [{**row, "elbo": _shown_elbo(row)} for row in trained.history])
        _write_rates(folder / "rates.csv", used)
        draw(trained, prepared.test, used, _places(vae, prepared, used, device), folder / "plots")
        write_page(folder, job, prepared, trained, used, metrics, found)
        seal(folder)
    return metrics, found


def measure(
    model: VAE, prepared: Prepared, wanted: Evaluate, seed: int, device: torch.device
) -> tuple[dict[str, Any], Latents]:
    """The figures of any observations, on the test part or its normal rows; what can't be measured is left out."""
    spec = prepared.spec
    test = normal_part(prepared)
    drawn = derive(seed, "evaluate")
    terms = elbo_terms(model, test, drawn, device)
    rows = chosen_rows(test, wanted.examples, seed)
    importance = importance_bound(model, subset(test, wanted.examples, seed), wanted.samples, drawn, device)
    bounds = importance.of_all(terms.elbo, rows)
    used = latents(model, test, device)
    whole = aggregate(model, test, drawn, device)
    apart = against_prior(model, whole.z, drawn)
    gain = decoder_gain(model, test, drawn, device, EXAMPLES)
    measure = model.likelihood.measure(spec.binary)
    metrics: dict[str, Any] = {
        "elbo": float(terms.elbo.mean()),
        "elbo_standard_error": standard_error(terms.elbo),
        "baseline_elbo": baseline_elbo(model.likelihood, prepared.train, test, spec, drawn, model.scaling),
        "distortion": float(terms.distortion.mean()),
        "rate": float(terms.rate.mean()),
        "measure": measure,
        "importance_bound": bounds[wanted.samples].mean,
        "importance_bound_standard_error": bounds[wanted.samples].standard_error,
        "importance_bounds": {str(count): bound.mean for count, bound in bounds.items()},
        "importance_samples": wanted.samples,
        "importance_examples": len(rows),
        "effective_sample_size": float(importance.effective_sample_size.mean() / wanted.samples),
        "active_units": used.active_units,
        "latents": model.latents,
        "mutual_information": whole.mutual_information,
        "mutual_information_cap": whole.cap,
        "aggregate_examples": len(whole.z),
        "test_examples": len(test),
        "left_out": {},
        "rate_per_dimension": {str(index): float(rate) for index, rate in enumerate(used.rate)},
    }
    if len(model.levels) > 1:
        metrics["rate_per_level"] = {
            str(number): float(rate) for number, rate in enumerate(terms.level_rates.mean(0), 1)
        }
        metrics["latents_per_level"] = {str(number): size for number, size in enumerate(model.levels, 1)}
    optional: dict[str, float | None] = {
        **({} if gain is None else gain.figures()),
        "aggregate_kl": whole.aggregate_kl,
        "total_correlation": whole.total_correlation,
        "dimensionwise_kl": whole.dimensionwise_kl,
    }
    optional |= model.likelihood.figures()
    if isinstance(model, QuantisedVAE):
        optional |= codebook_use(model, used.mean).figures()
    if measure == "mass" and spec.dimensions is not None:
        optional["bits_per_dimension"] = float(-terms.elbo.mean() / (spec.dimensions * np.log(2)))
    if importance.shape is not None:
        optional["pareto_k_over_0.7"] = float((importance.shape > TRUSTED).mean())
    if apart is not None:
        optional |= {"mmd2": apart.mmd2, "mmd2_p_value": apart.p_value, "two_sample_auc": apart.auc}
    least = lower_bound(model, prepared.train, test, drawn)
    if least is not None:
        optional["aggregate_kl_lower_bound"] = float(least.mean())
        optional["aggregate_kl_lower_bound_standard_error"] = standard_error(least)
    if model.is_map:
        reason = f"a density of {model.latents:,} latents, which are a map, would want a covariance of all of them"
        metrics["left_out"]["aggregate_kl_lower_bound"] = reason
    if whole.aggregate_kl is None:
        reason = (
            f"information of {whole.mutual_information:.3g} nats is within a nat of its cap, the log of "
            f"{len(whole.z):,} examples, so that it says how few these are"
        )
        metrics["left_out"] |= dict.fromkeys(("aggregate_kl", "total_correlation"), reason)
    return metrics | {name: value for name, value in optional.items() if value is not None}, used


def _places(model: VAE, prepared: Prepared, used: Latents, device: torch.device) -> npt.NDArray[Any]:
    """The posterior means of the test part, of its anomalies too; `used` are those of its normal rows."""
    return used.mean if len(used.mean) == len(prepared.test) else latents(model, prepared.test, device).mean


def add(metrics: dict[str, Any], found: Mapping[str, Any]) -> None:
    """Put figures to others; alarms, and reasons for what is left out, join those that are there."""
    joined = {"alarms": [*metrics["alarms"], *found.get("alarms", ())]}
    metrics |= {**found, **joined, "left_out": metrics["left_out"] | found.get("left_out", {})}


def alarms_on(
    trained: Trained, test: Split, metrics: Mapping[str, Any], seed: int, device: torch.device
) -> list[dict[str, Any]]:
    """Alarms for which the test part gives reason, in the form of those of training; they belong to no epoch."""
    used = usage(trained.model, test, derive(seed, "evaluate"), device, EXAMPLES)
    levels = list(metrics.get("rate_per_level", {}).values())
    found = alarms_of(used, Gain.of(metrics), metrics["rate"], trained.model.latents, trained.recipe, levels)
    return without_epoch(found)


def _shown_elbo(row: Row) -> float | None:
    """The ELBO that `dvc plots` draws: of the validation part or, where there is none, of training."""
    return row["train_elbo"] if row["valid_elbo"] is None else row["valid_elbo"]


def draw(trained: Trained, test: Split, used: Latents, places: npt.NDArray[Any], folder: Path) -> None:
    """The pictures of any observations; `places` are the posterior means of the test part."""
    plots.curves(folder / "curves.png", trained.history, trained.kept_epoch)
    rates, active = used.rate, used.variance_of_means > ACTIVE
    if trained.model.is_map:
        channels = trained.model.latent_shape[0]
        plots.rates(
            folder / "rate_per_dimension.png",
            rates.reshape(channels, -1).sum(axis=1),
            np.asarray(active.reshape(channels, -1).any(axis=1)),
            "channel",
        )
    else:
        plots.rates(folder / "rate_per_dimension.png", rates, active)
    if trained.model.latents == 1:
        return
    order = np.argsort(-used.rate)
    axes = (0, 1) if trained.model.latents == 2 else (int(order[0]), int(order[1]))
    points = places[:SCATTERED, axes]
    labels = None if test.labels is None else np.asarray(test.labels[:SCATTERED])
    names = (f"z{axes[0]}", f"z{axes[1]}")
    plots.scatter(folder / "latents.png", points, labels, trained.spec.classes, names)


def _write_rates(path: Path, used: Latents) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["dimension", "rate", "variance_of_means"])
    writer.writerows(zip(range(len(used.rate)), used.rate.tolist(), used.variance_of_means.tolist(), strict=True))
    replace_file(path, text.getvalue().encode())


def _record(tracker: Tracker, job: Job, weights: str, metrics: Mapping[str, Any], out: Path) -> Journal:
    params = flatten({"evaluate": job.recipe.evaluate.model_dump(mode="json"), "seed": job.seed})
    journal = tracker.journal("evaluate", content_key(params, weights, tree_digest(out)))
    told = {f"gates.{name}": ", ".join(metrics[f"{name}_gates"]) or "none" for name in ("failed", "waived")}
    journal.start(job.name, params, {**provenance(job.name), **told}, weights=weights)
    figures = {**metrics, "failed_gates": len(metrics["failed_gates"])}
    journal.metrics(tracked(figures))
    journal.artifact(out, to="report")
    journal.end("FINISHED")
    return journal
