"""The page of a study: first what to do, then the gains of all arms, what could have been seen, and how it was done."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from statistics import fmean

from vae_pipeline.evaluation.report.frame import framed
from vae_pipeline.evaluation.report.markup import MINUS, figure, listed, picture, table
from vae_pipeline.evaluation.study.findings import NONE, SYNTHETIC, OfSize
from vae_pipeline.metrics.paired_gains import PairedGain
from vae_pipeline.recipe.study import GENERATED, Study

FIGURES = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "auc": "AUC"}
PARTS = {"valid": "validation", "test": "test"}


@dataclass(frozen=True)
class Facts:
    """The facts that the page tells beside the findings."""

    name: str
    about: str
    study: Study
    seed: int
    examples: Mapping[str, int]
    """Images of each part."""
    classes: Sequence[str]
    digests: Mapping[str, str]
    minutes: float
    """The time that all classifiers and generators took."""


def page(facts: Facts, found: Sequence[OfSize], png: bytes) -> str:
    """The page as HTML."""
    named = FIGURES[facts.study.metric]
    alt = f"The gain of {named} of each arm over none, by size, with intervals."
    caption = (
        "Each dot is a repeat, each ring an arm to use; blue the validation part, grey the test part. The lines are "
        "corrected intervals of the mean gain."
    )
    sections = {
        "Gains": figure(picture(png, alt), caption)
        + "".join(_gains(f"Gain of {named} on the {words} part, points", found, part) for part, words in PARTS.items()),
        "What could have been seen": _power(found),
        "Figures": _figures(found),
        "How it was done": _method(facts),
        "What it doesn't say": _caveats(facts),
    }
    content = "\n".join(
        f'<section class="study">\n<h2>{title}</h2>\n{part}\n</section>' for title, part in sections.items()
    )
    head = f'<p class="summary">{escape(advice(found, named))}</p>'
    reasons = "".join(f"<li>{escape(line)}</li>" for line in reasons_of(found, named))
    return framed("Study of augmentation", facts.name, facts.about, f"{head}\n<ul>{reasons}</ul>\n{content}")


def advice(found: Sequence[OfSize], named: str) -> str:
    """Say what to do, in a sentence."""
    uses = [
        f"{each.verdict} with {each.size} labels ({_points(each.confirmation)} of {named} on the test part)"
        for each in found
        if each.verdict is not None and each.confirmation is not None
    ]
    rest = [each.size for each in found if each.verdict is None]
    if not uses:
        return f"Use none: no augmentation proved a gain of {named} with {listed(rest)} labels."
    without = f"; with {listed(rest)} labels use none" if rest else ""
    helped = any(each.verdict in GENERATED for each in found)
    vae = "" if helped else " Images of a VAE aren't among them."
    return f"Use {listed(uses)}{without}.{vae}"


def reasons_of(found: Sequence[OfSize], named: str) -> list[str]:
    """The reasons, a line for each size."""
    return [f"{each.size} labels: {_reason(each, named)}." for each in found]


def _reason(each: OfSize, named: str) -> str:
    best = max(each.valid, key=lambda arm: each.valid[arm].mean)
    if each.chosen is None:
        if each.valid[best].mean <= 0:
            return f"no arm gains on the validation part; {best} loses least, {_points(each.valid[best])}"
        told = f"{_points(each.valid[best])} on the validation part (p {each.valid[best].p:.2g}), which may be chance"
        return f"no arm is surely better than none; {best} comes nearest with {told}"
    gain, p = _points(each.valid[each.chosen]), each.valid[each.chosen].p
    chosen = f"{each.chosen} gains {gain} of {named} on the validation part (p {p:.2g})"
    assert each.confirmation is not None  # of a chosen arm
    confirmed = "confirms it" if each.verdict else "doesn't confirm it, so the verdict is none"
    return f"{chosen}, and the test part, {_points(each.confirmation)}, {confirmed}"


def _points(gain: PairedGain | None) -> str:
    assert gain is not None
    return f"{_number(gain.mean)} points, from {_number(gain.low)} to {_number(gain.high)}"


def _number(share: float) -> str:
    return f"{100 * share + 0.0:+.1f}".replace("-", MINUS)


def _table(caption: str, found: Sequence[OfSize], arms: Iterable[str], cell: Mapping[tuple[str, str], str]) -> str:
    header = ["arm", *(f"{each.size} labels" for each in found)]
    return table(caption, header, ([arm, *(cell.get((each.size, arm), "") for each in found)] for arm in arms))


def _gains(caption: str, found: Sequence[OfSize], part: str) -> str:
    cells = {}
    for each in found:
        for arm, gain in (each.valid if part == "valid" else each.test).items():
            text = f"{_number(gain.mean)} [{_number(gain.low)}, {_number(gain.high)}]"
            cells[each.size, arm] = f"<strong>{text}</strong>" if gain.sure else text
    return _table(caption, found, found[0].valid, cells)


def _power(found: Sequence[OfSize]) -> str:
    cells = {(each.size, arm): _number(gain.detectable) for each in found for arm, gain in each.valid.items()}
    words = (
        "<p>The least true gain that this study would have found on the validation part with a probability of 80 %, "
        "were the true deviation of the differences the one that was observed, by a paired t test at the level of one "
        "of so many arms. A smaller gain may be there and was missed: more repeats find it.</p>"
    )
    return words + _table("Least gain that could have been seen, points", found, found[0].valid, cells)


def _figures(found: Sequence[OfSize]) -> str:
    arms = dict.fromkeys(each.arm for of_size in found for each in of_size.outcomes)
    tables = []
    for metric, named in FIGURES.items():
        cells = {}
        for each in found:
            for arm in arms:
                means = [each.figures(arm, part, metric) for part in PARTS]
                if means[0]:
                    cells[each.size, arm] = " / ".join(f"{100 * fmean(values):.1f}" for values in means)
        tables.append(_table(f"Mean {named}, validation / test, %", found, arms, cells))
    note = (
        f"<p>{NONE} is the training without augmentation. {SYNTHETIC} has seen nothing but new images of the VAE, and "
        "is tried on real ones (train on synthetic, test on real); it is no arm to choose.</p>"
    )
    return note + "".join(tables)


def _method(facts: Facts) -> str:
    study, examples = facts.study, facts.examples
    named, images = FIGURES[study.metric], study.steps * study.batch
    moved = study.geometric.told.removeprefix("In each epoch the training images were ").rstrip(".")
    lines = [
        f"{study.repeats} labelled sets of each size were drawn of {examples['train']:,} training images, by class "
        f"({len(facts.classes)} classes). With all labels they are one and the same set, and repeats differ in weights "
        "and batches alone.",
        f"In each repeat every arm trained {_network(study)} from the same initial weights for "
        f"{study.steps:,} steps of {study.batch} images ({images:,} in all).",
        f"The generator is the recipe's VAE, conditional on the label, trained for {study.generator_steps:,} steps on "
        f"the labelled set alone. {100 * study.share:g} % of a batch are its images: vae_prior new ones, vae_posterior "
        f"variants of labelled ones (spread {study.spread:g}), vae_interpolation between two of a class, geometric_vae "
        "variants beside images that are changed as by geometric.",
        f"geometric: images are {moved}. class_weights: all classes count alike in the loss. oversampling: all classes "
        "are drawn alike. mixup: two images and their labels are mixed, by weights of Beta(0.2, 0.2) (Zhang et al., "
        "2018).",
        f"The arm is chosen by {named} on the {examples['valid']:,} validation images, and looked at once on the "
        f"{examples['test']:,} test images. It is chosen where the corrected interval excludes 0 and the corrected p "
        "value is under 0.05, and confirmed where both hold on the test part for that arm alone.",
        "Intervals are percentile bootstrap intervals of the mean paired difference over repeats (Efron and "
        "Tibshirani, 1993), simultaneous over the arms of a size by Bonferroni's correction; p values are of paired t "
        "tests, corrected by Holm's step-down (Holm, 1979). Sizes are questions of their own: nothing is corrected "
        "over them.",
        f"Seed {facts.seed}; {facts.minutes:.1f} minutes of computing.",
        *(f"{what}: <code>{digest}</code>" for what, digest in facts.digests.items()),
    ]
    return "<ul>" + "".join(f"<li>{line}</li>" for line in lines) + "</ul>"


def _network(study: Study) -> str:
    if study.classifier is None:
        return "the same small convolutional network"
    return f"the same network, <code>{escape(study.classifier)}</code>,"


def _caveats(facts: Facts) -> str:
    lines = [
        "The intervals are over labelled sets and trainings, on these very images: other validation images (there are "
        f"{facts.examples['valid']:,}), or another hospital's, may say otherwise.",
        "One classifier was tried, for few steps. A larger or a tuned one may gain less, or nothing. "
        "Published figures are of other networks and don't compare (ResNet-18 with all labels of PneumoniaMNIST: AUC "
        "0.944, accuracy 0.854; Yang et al., MedMNIST v2, 2023).",
        "Whether an image of the VAE copies a labelled one isn't looked at here.",
    ]
    return "<ul>" + "".join(f"<li>{line}</li>" for line in lines) + "</ul>"
