"""Sentences that say what the figures mean."""

from collections.abc import Mapping
from html import escape
from typing import Any

from vae_pipeline.evaluation.report.findings import Findings
from vae_pipeline.evaluation.report.markup import datum, listed, percent, typeset
from vae_pipeline.kinds.words import Wording
from vae_pipeline.recipe.figures import names
from vae_pipeline.recipe.sharpness import Sharpness

COMPARED = ("auroc", "heat_auroc", "pixel_auroc", "aupro")
"""The figures of detection that simpler detectors have too."""


def reading(measure: str, words: Wording) -> str:
    """Say what the bounds are bounds on."""
    match measure:
        case "mass":
            return "The bounds are on the log-probability of discrete values."
        case "density":
            return (
                f"The bounds are on the log-density of {words.scaled}: they may be positive, and compare within one "
                "data set and scaling alone, and not with those of discrete likelihoods."
            )
        case _:
            return (
                f"The {words.nouns} are grey and the likelihood is Bernoulli: the distortion is a cross-entropy, which "
                "can't fall below the entropy floor, and the bounds are on no likelihood."
            )


def summary(findings: Findings) -> str:
    """The whole report in a few sentences."""
    return " ".join(sentence for sentence in (
        _training(findings),
        _description(findings.metrics, findings.words.noun),
        _reconstruction(findings.metrics),
        _generation(findings.metrics),
        _detection(findings.metrics, findings.words.nouns),
        _checks(findings),
    ) if sentence)  # fmt: skip


def _training(findings: Findings) -> str:
    epochs, steps = len(findings.history), findings.recipe["train"].get("steps")
    kept = f"epoch {findings.kept_epoch} was kept" if epochs > 1 else "which was kept"
    count = f"{epochs:,} epochs; {kept}" if epochs > 1 else f"one epoch, {kept}"
    within = "" if steps is None else f"at most {steps:,} steps, validated as "
    sharpness = findings.recipe["train"].get("sharpness")
    beside = "" if sharpness is None else f" {escape(Sharpness.model_validate(sharpness).told)}"
    skipped = sum(row.get("skipped_steps") or 0 for row in findings.history)
    without = f" {skipped:,.0f} of its steps were skipped, as their gradients were too large." if skipped else ""
    examples = f"{findings.card['examples']['train']:,} {observations(findings)}"
    return f"Trained on {examples} for {within}{count}.{beside}{without}"


def observations(findings: Findings) -> str:
    """Name the observations, in the plural."""
    normal = "normal " if findings.card.get("split", {}).get("kind") == "one_class" else ""
    return f"{normal}{findings.words.short}"


def _description(metrics: Mapping[str, Any], noun: str) -> str:
    name, error = "importance_bound", metrics.get("importance_bound_standard_error")
    bound = f"importance bound, K = {metrics['importance_samples']:,}"
    match metrics["measure"]:
        case "mass":
            return f"It describes a test {noun} in at most {_negated(metrics[name], error)} nats ({bound})."
        case "density":
            return f"It gives a test {noun} a log-density of at least {datum(metrics[name], error)} nats ({bound})."
        case _:
            cost = _negated(metrics["elbo"], metrics.get("elbo_standard_error"))
            floor = metrics.get("entropy_floor")
            least = f", of which {datum(floor)} is a floor that no such model gets under" if floor is not None else ""
            return f"Distortion (here a cross-entropy) and rate of a test {noun} come to {cost} nats{least}."


def _negated(value: float, error: float | None) -> str:
    spread = f" ± {typeset(error, error)}" if error is not None else ""
    return typeset(-value, error) + spread


def _reconstruction(metrics: Mapping[str, Any]) -> str:
    baseline = metrics.get("baseline_psnr")
    beside = f", where as many principal components reach {datum(baseline)} dB" if baseline is not None else ""
    active, latents = metrics["active_units"], metrics["latents"]
    used = f"Its latents carry {datum(metrics['rate'])} nats in {active:,} active dimensions of {latents:,}"
    if "psnr" not in metrics:
        return f"{used}."
    return f"{used}, from which reconstructions come to {datum(metrics['psnr'])} dB PSNR{beside}."


def _generation(metrics: Mapping[str, Any]) -> str:
    distance, floor = metrics.get("frechet_samples"), metrics.get("frechet_floor")
    if distance is None:
        return ""
    beside = f"; training images lie at {datum(floor)}" if floor is not None else ""
    return f"Samples lie at a Fréchet distance of {datum(distance)} from test images{beside}."


def _detection(metrics: Mapping[str, Any], nouns: str) -> str:
    if "auroc" not in metrics:
        return ""
    recall = metrics.get("recall_at_fpr_0.01")
    found = "" if recall is None else f"; at 1 % false alarms it finds {percent(recall)} of them"
    named = names()
    others = {"pca": "principal components", "knn": "the nearest training images"}
    ahead = []
    for prefix, other in others.items():
        better = [named[key] for key in COMPARED if metrics.get(f"{prefix}_{key}", 0) > metrics.get(key, 1)]
        ahead += [f"{other} by {listed(better)}"] if better else []
    falls_short = f" A simpler detector does better: {'; '.join(ahead)}." if ahead else ""
    return (
        f"Its score tells {metrics['anomalies']:,} anomalies of the test part from normal {nouns} with an AUROC of "
        f"{datum(metrics['auroc'], metrics.get('auroc_standard_error'))}{found}.{falls_short}"
    )


def _checks(findings: Findings) -> str:
    said = []
    if not findings.breaches:
        said.append("all gates are kept" + (f", {len(findings.waived)} waived" if findings.waived else ""))
    if "alarms" in findings.metrics and not findings.standing:
        said.append("no alarm stands" if findings.alarms else "no alarm was raised")
    return f"{' and '.join(said).capitalize()}." if said else ""


def sampler(findings: Findings) -> str:
    """Name the sampler of new latents."""
    chosen = findings.metrics.get("sampler", findings.recipe["sampler"])
    return "the prior" if chosen == "prior" else f"the sampler “{escape(str(chosen))}”"
