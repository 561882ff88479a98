"""What the figures say, as sentences."""

from collections.abc import Mapping
from html import escape
from typing import Any, assert_never

from vae_pipeline.evaluation.report.findings import Findings
from vae_pipeline.evaluation.report.markup import datum, typeset
from vae_pipeline.kinds.spec import ImageSpec, TableSpec, TextSpec

READING = {
    "mass": "The bounds are on the log-probability of discrete values.",
    "density": "The bounds are on the log-density of values scaled to [0, 1]: they may be positive, and don't compare "
    "with those of discrete likelihoods.",
    "cross_entropy": "The images are grey and the likelihood is Bernoulli: the distortion is a cross-entropy, and the "
    "bounds are on no likelihood.",
}


TABLE_DENSITY = (
    "The bounds are on the log-density of scaled values (a table's columns by the scaling of the recipe): they may be "
    "positive, and compare within one data set and scaling alone."
)


def reading(findings: Findings) -> str:
    """Say what the bounds are bounds on."""
    measure = findings.metrics["measure"]
    return TABLE_DENSITY if isinstance(findings.spec, TableSpec) and measure == "density" else READING[measure]


def of(text: str, findings: Findings) -> str:
    """Words that speak of images, as they are for these observations."""
    match findings.spec:
        case ImageSpec():
            return text
        case TableSpec():
            return text.replace("Image", "Row").replace("image", "row")
        case TextSpec():
            return text.replace("an image", "a sentence").replace("Image", "Sentence").replace("image", "sentence")
        case _:
            assert_never(findings.spec)


def summary(findings: Findings) -> str:
    """The whole report in a few sentences."""
    return " ".join(sentence for sentence in (
        _training(findings),
        of(_description(findings.metrics), findings),
        _reconstruction(findings.metrics),
        _generation(findings.metrics),
        of(_detection(findings.metrics), findings),
        _checks(findings),
    ) if sentence)  # fmt: skip


def _training(findings: Findings) -> str:
    epochs, steps = len(findings.history), findings.recipe["train"].get("steps")
    kept = f"epoch {findings.kept_epoch} was kept" if epochs > 1 else "which was kept"
    count = f"{epochs:,} epochs; {kept}" if epochs > 1 else f"one epoch, {kept}"
    within = "" if steps is None else f"at most {steps:,} steps, validated as "
    return f"Trained on {findings.card['examples']['train']:,} {images(findings)} for {within}{count}."


def images(findings: Findings) -> str:
    """Name the observations, in the plural."""
    normal = "normal " if findings.card.get("split", {}).get("kind") == "one_class" else ""
    if isinstance(findings.spec, TableSpec):
        return f"{normal}rows of {findings.spec.dimensions} columns"
    if isinstance(findings.spec, TextSpec):
        return "sentences"
    channels, height, width = findings.spec.shape
    colour = "binary" if findings.spec.binary else {1: "grey", 3: "colour"}.get(channels, f"{channels}-channel")
    return f"{normal}{colour} images of {width} × {height} pixels"


def _description(metrics: Mapping[str, Any]) -> str:
    name, error = "importance_bound", metrics.get("importance_bound_standard_error")
    bound = f"importance bound, K = {metrics['importance_samples']:,}"
    match metrics["measure"]:
        case "mass":
            return f"It describes a test image in at most {_negated(metrics[name], error)} nats ({bound})."
        case "density":
            return f"It gives a test image a log-density of at least {datum(metrics[name], error)} nats ({bound})."
        case _:
            cost = _negated(metrics["elbo"], metrics.get("elbo_standard_error"))
            floor = metrics.get("entropy_floor")
            least = f", of which {datum(floor)} is a floor that no such model gets under" if floor is not None else ""
            return f"Distortion (here a cross-entropy) and rate of a test image come to {cost} nats{least}."


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


def _detection(metrics: Mapping[str, Any]) -> str:
    if "auroc" not in metrics:
        return ""
    recall = metrics.get("recall_at_fpr_0.01")
    found = "" if recall is None else f"; at 1 % false alarms it finds a share of {datum(recall)} of them"
    figures = {"auroc": "AUROC", "heat_auroc": "AUROC of heat maps", "pixel_auroc": "AUROC of pixels"}
    others = {"pca": "principal components", "knn": "the nearest training images"}
    ahead = []
    for prefix, other in others.items():
        better = [name for key, name in figures.items() if metrics.get(f"{prefix}_{key}", 0) > metrics.get(key, 1)]
        ahead += [f"{other} by {' and '.join(better)}"] if better else []
    falls_short = f" A simpler detector does better: {', '.join(ahead)}." if ahead else ""
    return (
        f"Its score tells {metrics['anomalies']:,} anomalies of the test part from normal images with an AUROC of "
        f"{datum(metrics['auroc'])}{found}.{falls_short}"
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
