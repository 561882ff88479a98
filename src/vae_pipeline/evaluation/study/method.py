"""The facts of a study, and the lines of its page that say how it was done and what it doesn't say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from vae_pipeline.recipe.study import Study

FIGURES = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "auc": "AUC"}


@dataclass(frozen=True)
class Facts:
    """The facts that the page tells beside the findings."""

    name: str
    about: str
    study: Study
    seed: int
    examples: Mapping[str, int]
    """Images of each part."""
    groups: Mapping[str, int]
    """The number of groups, such as patients, of each part; empty where none are known."""
    labelled_groups: Mapping[str, tuple[int, int]]
    """The least and the most groups that a labelled set is of, by its size; empty where none are known."""
    classes: Sequence[str]
    digests: Mapping[str, str]
    minutes: float
    """The time that all classifiers and generators took."""


def choosing(study: Study) -> str:
    """The name of the part on which an arm is chosen, which stands before the word part."""
    return "validation" if study.folds is None else "held-back"


def method(facts: Facts) -> str:
    """The lines that say how the study was done."""
    study = facts.study
    named, images = FIGURES[study.metric], study.steps * study.batch
    moved = study.geometric.told.removeprefix("In each epoch the training images were ").rstrip(".")
    lines = [
        f"{study.repeats} labelled sets of each size were drawn of {_images(facts, 'train', 'training')}, by class "
        f"({len(facts.classes)} classes).{_by_group(facts)} {_all(study)}",
        *_folds(facts),
        f"In each repeat every arm trained {_network(study)} from the same initial weights for "
        f"{study.steps:,} steps of {study.batch} images ({images:,} in all).",
        f"The generator is the recipe's VAE, conditional on the label, trained for {study.generator_steps:,} steps on "
        f"the labelled set alone. {100 * study.share:g} % of a batch are its images: vae_prior new ones, vae_posterior "
        f"variants of labelled ones (spread {study.spread:g}), vae_interpolation between two of a class, geometric_vae "
        "variants beside images that are changed as by geometric.",
        f"geometric: images are {moved}. class_weights: all classes count alike in the loss. oversampling: all classes "
        "are drawn alike. mixup: two images and their labels are mixed, by weights of Beta(0.2, 0.2) (Zhang et al., "
        "2018).",
        f"The arm is chosen by {named} on {_chosen_by(facts)}, and looked at once on the "
        f"{_images(facts, 'test', 'test')}. It is chosen where the corrected interval excludes 0 and the corrected p "
        "value is under 0.05, and confirmed where both hold on the test part for that arm alone.",
        "Intervals are percentile bootstrap intervals of the mean paired difference over repeats (Efron and "
        "Tibshirani, 1993), simultaneous over the arms of a size by Bonferroni's correction; p values are of paired t "
        "tests, corrected by Holm's step-down (Holm, 1979). Sizes are questions of their own: nothing is corrected "
        f"over them.{_corrected(study)}",
        f"Seed {facts.seed}; {facts.minutes:.1f} minutes of computing.",
        *(f"{what}: <code>{digest}</code>" for what, digest in facts.digests.items()),
    ]
    return "<ul>" + "".join(f"<li>{line}</li>" for line in lines) + "</ul>"


def _images(facts: Facts, part: str, named: str) -> str:
    groups = f" of {facts.groups[part]:,} groups" if part in facts.groups else ""
    return f"{facts.examples[part]:,} {named} images{groups}"


def _by_group(facts: Facts) -> str:
    if not facts.labelled_groups:
        return ""
    counts = (f"{size} labels {least:,} to {most:,}" for size, (least, most) in facts.labelled_groups.items())
    return (
        " Groups, such as patients, were drawn whole until there were enough images, and the last one of each class "
        f"was cut short. Groups that a set is of: {'; '.join(counts)}."
    )


def _all(study: Study) -> str:
    if study.folds is None:
        return "With all labels they are one and the same set, and repeats differ in weights and batches alone."
    return "All labels are those of the training images that the repeat doesn't hold back."


def _chosen_by(facts: Facts) -> str:
    if facts.study.folds is None:
        return f"the {_images(facts, 'valid', 'validation')}"
    return "the images that each repeat holds back"


def _folds(facts: Facts) -> list[str]:
    folds, together = facts.study.folds, "images of one group" if facts.groups else "equal images"
    if folds is None:
        return []
    return [
        f"Each repeat holds back one of {folds} folds of the training part and draws its labelled set from the others. "
        f"Folds are divided by class, with {together} in one fold, and anew after every {folds} repeats. The "
        "validation part isn't used."
    ]


def _corrected(study: Study) -> str:
    if study.folds is None:
        return ""
    return (
        f" Repeats share images, so that the variance of a mean gain is taken to be 1/{study.repeats} + "
        f"1/{study.folds - 1} times that of the gains, in place of 1/{study.repeats}: the intervals, the tests and the "
        "least gain that could have been seen follow from it (Nadeau and Bengio, 2003; for repeated folds, Bouckaert "
        "and Frank, 2004)."
    )


def _network(study: Study) -> str:
    if study.classifier is None:
        return "the same small convolutional network"
    return f"the same network, <code>{escape(study.classifier)}</code>,"


def caveats(facts: Facts) -> str:
    """The lines that say what the study doesn't."""
    lines = [
        _over(facts),
        "One classifier was tried, for few steps. A larger or a tuned one may gain less, or nothing. "
        "Published figures are of other networks and don't compare (ResNet-18 with all labels of PneumoniaMNIST: AUC "
        "0.944, accuracy 0.854; Yang et al., MedMNIST v2, 2023).",
    ]
    return "<ul>" + "".join(f"<li>{line}</li>" for line in lines) + "</ul>"


def _over(facts: Facts) -> str:
    if facts.study.folds is None:
        return (
            "The intervals are over labelled sets and trainings, on these very images: others than these "
            f"{_images(facts, 'valid', 'validation')}, or another hospital's, may say otherwise."
        )
    return (
        f"The intervals of choosing are over labelled sets, trainings and the images that are held back, all of these "
        f"{_images(facts, 'train', 'training')}; those of the test part are on these very test images. Another "
        "hospital's may say otherwise."
    )
