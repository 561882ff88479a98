"""The findings of an audit of files, and the words by which they are told."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vae_pipeline.kinds.image.pictures import Pixels
from vae_pipeline.recipe.figures import Figure
from vae_pipeline.recipe.figures.figure import TABLE

NOTHING = 0.5  # of an area that tells nothing
SHARE = 0.002  # of images less than half as far as any test image, over which they are told


@dataclass(frozen=True)
class Copy:
    """A synthetic image or row that is a training one, or lies near to it."""

    file: str
    row: int
    """Its place in the file, from 0."""
    training_row: int
    found: str
    """`copy`: it equals the other; `pixels` or `features`: it lies less than half as far as any test image."""


@dataclass(frozen=True)
class AuditFindings:
    """The findings of an audit."""

    figures: Mapping[str, Any]
    """The figures by their keys; `left_out` holds the reason why a figure is missing."""
    copies: Sequence[Copy]
    pairs: Mapping[str, tuple[Pixels, Pixels]] = field(default_factory=dict)
    """The synthetic images that lie nearest to training images, and these, by their space; of images alone."""


def _ends(key: str) -> tuple[tuple[str, str], ...]:
    return ((f"{key}_low", "95 % from {}"), (f"{key}_high", "to {}"))


def _in(space: str) -> tuple[Figure, ...]:
    return (
        Figure(
            f"half_as_far_in_{space}", f"Near-copies, in {space}",
            f"Share whose nearest training image, in {space}, is less than half as far as that of any test image.",
            "privacy", share=True, better="lower",
        ),
        Figure(
            f"nearer_than_any_test_in_{space}", f"Nearer than any test image, in {space}",
            "Share that lies nearer to a training image than every test image does. Smooth images lie near to much: "
            "look at the pairs.",
            "privacy", share=True, beside=(("nearer_than_chance", "by chance {}"),),
        ),
        Figure(
            f"nearer_to_training_in_{space}", f"Nearer to training, in {space}",
            "Share whose nearest image, among as many of training as of the test part, is one of training: half if "
            "they know nothing of single images.",
            "privacy", share=True, better="lower",
        ),
        Figure(
            f"membership_auc_in_{space}", f"Membership told, in {space}",
            "AUROC of telling training images from test images by the distance to the nearest synthetic one: 0.5 if "
            "nothing is told.",
            "privacy", better="lower", beside=_ends(f"membership_auc_in_{space}"),
        ),
        Figure(
            f"membership_recall_in_{space}", f"Members found, in {space}",
            "Share of training images that are told so, where 0.1 % of test images are taken for such: 0.1 % if "
            "nothing is told.",
            "privacy", share=True, better="lower", beside=_ends(f"membership_recall_in_{space}"),
        ),
    )  # fmt: skip


OF_IMAGES = (
    Figure(
        "copies", "Copies", "Share that is a training image, to the last of 256 levels.",
        "privacy", share=True, better="lower", beside=(("copies_of_test", "test images {}"),),
    ),
    *_in("pixels"),
    *_in("features"),
)  # fmt: skip
OF_ROWS = (
    Figure(
        "copies", "Copies", "Share that is a row of training, to the last digit.",
        "privacy", share=True, better="lower", kinds=TABLE, beside=(("copies_of_test", "test rows {}"),),
    ),
    Figure(
        "nearer_to_training", "Nearer to training",
        "Share whose nearest row, among as many of training as of the test part, is one of training: half if they know "
        "nothing of single rows.",
        "privacy", share=True, better="lower", kinds=TABLE,
    ),
    Figure(
        "membership_auc", "Membership told",
        "AUROC of telling rows of training from test rows by the distance to the nearest synthetic row: 0.5 if nothing "
        "is told.",
        "privacy", better="lower", kinds=TABLE, beside=_ends("membership_auc"),
    ),
    Figure(
        "disclosure", "Values guessed",
        "Share of values of training rows that are guessed right by somebody who knows all others of the row, and "
        "takes the value of the synthetic row that is nearest in these.",
        "privacy", share=True, better="lower", kinds=TABLE, beside=(("disclosure_of_test", "test rows {}"),),
    ),
)  # fmt: skip


def verdict(found: AuditFindings, nouns: str) -> list[str]:
    """Say what the files give away, and what couldn't be asked, in sentences."""
    figures = found.figures
    asked = OF_ROWS if nouns == "rows" else OF_IMAGES
    areas = [each.key for each in asked if each.key.startswith("membership_auc") and each.key in figures]
    return [
        _copied(sum(each.found == "copy" for each in found.copies), figures["files"], nouns),
        *_near(figures),
        *_told(figures, areas),
        *(
            f"{count:,} values of column {name} are none that the data have, so that their rows are no copies."
            for name, count in figures.get("unknown", {}).items()
        ),
        *_left_out(figures["left_out"], asked),
    ]


def _copied(count: int, of: int, nouns: str) -> str:
    if not count:
        return f"None of {of:,} {nouns} is a copy of a training one."
    return f"{count:,} of {of:,} {nouns} {'is a copy' if count == 1 else 'are copies'} of training {nouns}."


def _near(figures: Mapping[str, Any]) -> Iterator[str]:
    for space in ("pixels", "features"):
        near = figures.get(f"half_as_far_in_{space}", 0)
        if near > SHARE:
            yield f"{near:.1%} lie less than half as far from a training image as any test image, in {space}."


def _told(figures: Mapping[str, Any], areas: Sequence[str]) -> Iterator[str]:
    told = [key for key in areas if figures[f"{key}_low"] > NOTHING]
    for key in told:
        where = key.removeprefix("membership_auc").replace("_", " ")
        low, high = (figures[f"{key}_{end}"] for end in ("low", "high"))
        area = f"AUROC {figures[key]:.3f}, at 95 % from {low:.3f} to {high:.3f}"
        yield f"They tell who was trained on, by distance{where}: {area}."
    if areas and not told:
        yield "By distance, who was trained on is told no better than chance tells it, at 95 %."


def _left_out(reasons: Mapping[str, str], asked: Sequence[Figure]) -> Iterator[str]:
    for reason in dict.fromkeys(reasons.values()):
        names = [figure.name for figure in asked if reasons.get(figure.key) == reason]
        yield f"Left out ({'; '.join(names)}): {reason}."
