"""The page of an audit of files: what they give away, the nearest pairs, and the figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from vae_pipeline.evaluation.audit.found import OF_IMAGES, OF_ROWS, AuditFindings, Copy, verdict
from vae_pipeline.evaluation.report.figures import figure_table
from vae_pipeline.evaluation.report.frame import framed
from vae_pipeline.evaluation.report.markup import figure, picture, table
from vae_pipeline.kinds.words import Wording

SHOWN = 20  # copies that the page names
PIXELS = (
    "The synthetic images that lie nearest to a training image, in pixels; under each, that image. Smooth images lie "
    "near to much: what is the same image was copied."
)
FEATURES = "The same in feature space, in which a copy that is moved or brighter may be near too."


@dataclass(frozen=True)
class AuditFacts:
    """The facts that the page tells beside the findings."""

    name: str
    """The prepared data's."""
    words: Wording
    examples: Mapping[str, int]
    """Observations of each part."""
    seed: int
    broken: Mapping[str, str]
    """The bounds that aren't kept, each with what is wrong."""
    digests: Mapping[str, str]


@dataclass(frozen=True)
class _Measured:
    metrics: Mapping[str, Any]
    words: Wording


def page(facts: AuditFacts, found: AuditFindings, sheets: Mapping[str, bytes]) -> str:
    """The page as HTML; `sheets` are .png of the nearest pairs, by their space."""
    nouns = facts.words.nouns
    said = "".join(f"<p>{escape(line)}</p>" for line in verdict(found, nouns))
    content = f'<div class="summary">{said}</div>'
    if facts.broken:
        lines = "".join(f"<li>{escape(line)}</li>" for line in facts.broken.values())
        content += f'<div class="attention"><h2>Bounds that aren’t kept</h2><ul>{lines}</ul></div>'
    captions = {"pixels": PIXELS, "features": FEATURES}
    shown = [
        figure(picture(png, f"Synthetic images above the training images nearest in {space}."), captions[space])
        for space, png in sheets.items()
    ]
    if shown:
        content += f"<section><h2>The nearest pairs</h2>{''.join(shown)}</section>"
    asked = OF_ROWS if nouns == "rows" else OF_IMAGES
    measured = _Measured(found.figures, facts.words)
    content += f"<section><h2>Figures</h2>{figure_table('What they give away', asked, measured)}</section>"
    if found.copies:
        content += f"<section><h2>Copies</h2>{_copies(found.copies)}</section>"
    method = "".join(f"<li>{line}</li>" for line in _method(facts, found))
    content += f"<section><h2>How it was asked</h2><ul>{method}</ul></section>"
    about = f"{found.figures['files']:,} {nouns} beside {facts.examples['train']:,} of training."
    return framed(f"Audit of synthetic {nouns}", facts.name, about, content)


def _copies(copies: Sequence[Copy]) -> str:
    rows = [[escape(each.file), f"{each.row:,}", f"{each.training_row:,}", each.found] for each in copies[:SHOWN]]
    more = f"<p>copies.csv has all {len(copies):,}.</p>" if len(copies) > SHOWN else ""
    return table("Those found, from row 0", ["file", "row", "training row", "by"], rows) + more


def _method(facts: AuditFacts, found: AuditFindings) -> list[str]:
    nouns, figures = facts.words.nouns, found.figures
    compared = figures.get("compared_files", figures["files"])
    some = f"; all else was asked of {compared:,} that were drawn" if compared < figures["files"] else ""
    sides = figures.get("audited_images", figures.get("audited_rows", 0))
    return [
        f"Copies were looked for among all {figures['files']:,} synthetic and all {facts.examples['train']:,} training "
        f"{nouns}{some}.",
        f"Membership was asked of {sides:,} training {nouns} and as many of the test part, which are the floor: what "
        "is found of them follows from the population. They must be of the same population, and of other patients.",
        f"That an attack of today fails on the average proves nothing of any one. Seed {facts.seed}.",
        *(f"{what}: <code>{digest}</code>" for what, digest in facts.digests.items()),
    ]
