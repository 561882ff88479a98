"""audit: do synthetic files, by whatever made them, give away the data that they are to stand for?"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from vae_pipeline.evaluation import plots
from vae_pipeline.evaluation.audit.found import AuditFindings, Copy
from vae_pipeline.evaluation.audit.images import audit_images
from vae_pipeline.evaluation.audit.page import AuditFacts, page
from vae_pipeline.evaluation.audit.rows import audit_rows
from vae_pipeline.evaluation.gates import breaches
from vae_pipeline.kinds.image.decoding import Resize
from vae_pipeline.kinds.image.synthetic_files import ARCHIVE
from vae_pipeline.kinds.observations import Examples
from vae_pipeline.kinds.spec import ImageSpec, TableSpec
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.kinds.words import words_of
from vae_pipeline.numerics.device import prepare_device
from vae_pipeline.numerics.randomness import in_float32
from vae_pipeline.recipe.evaluate import Gate
from vae_pipeline.stages.progress_display import showing_progress
from vae_pipeline.system.errors import DataError
from vae_pipeline.system.files import (
    content_key,
    filled_folder,
    replace_file,
    require_writable,
    tree_digest,
    write_json,
)
from vae_pipeline.system.settings import Settings

PAGE = "index.html"
NEAR = "half_as_far"


@dataclass(frozen=True)
class Asked:
    """The options of an audit."""

    seed: int = 0
    key: str | None = None
    """The array of an .npz."""
    resize: Resize = "none"
    most: Mapping[str, float] | None = None
    """The most that figures may be, by the beginnings of their keys."""


@in_float32()
def audit(
    files: Sequence[Path], data: Path, out: Path | None, asked: Asked, settings: Settings, console: Console
) -> tuple[AuditFindings, dict[str, str]]:
    """Find what the files give away of `data`, and the bounds that aren't kept; fill `out` where it is given.

    `out` gets index.html, audit.json, copies.csv and, of images, a .png of the nearest pairs in either space.

    Raises:
        DataError: the files or the data can't be used, or are of no kind that is audited.
        OutputError: `out` can't be written; nothing is measured.
    """
    if out is not None:
        require_writable(out, data, *files)
    prepared = Prepared.open(data)
    with showing_progress(console, data.name):
        found = _found(files, prepared, asked, settings)
    broken = _broken(found, asked.most or {})
    if out is not None:
        with filled_folder(out) as folder:
            _write(folder, found, broken, prepared, files, asked)
    return found, broken


def _found(files: Sequence[Path], prepared: Prepared, asked: Asked, settings: Settings) -> AuditFindings:
    spec, data = prepared.spec, prepared.folder
    if isinstance(spec, ImageSpec):
        read = replace(spec, dtype="float32")  # a mean is no whole number
        images = [_examples(path, read, asked) for path in files]
        return audit_images(images, prepared, spec, settings.home, prepare_device(settings), asked.seed)
    if isinstance(spec, TableSpec):
        if NEAR in (asked.most or {}):
            raise DataError(f"{data} holds rows, and near-copies are of images: leave --max-near-copies out")
        return audit_rows([_examples(path, spec, asked) for path in files], prepared, spec, asked.seed)
    raise DataError(f"{data} holds {words_of(spec).nouns}, and an audit of files is of images and of rows of a table")


def _examples(path: Path, spec: ImageSpec | TableSpec, asked: Asked) -> Examples:
    """The observations of a path, which may be a folder or an archive that `augment` filled."""
    if isinstance(spec, ImageSpec) and (path / ARCHIVE).is_file():
        path = path / ARCHIVE
    key = asked.key or ("images" if path.name == ARCHIVE else None)
    return Examples([path], spec, key, asked.resize)


def _broken(found: AuditFindings, most: Mapping[str, float]) -> dict[str, str]:
    """The figures over what they may be, by their keys."""
    keys = {*found.figures, *found.figures["left_out"]}
    bounded = {
        name: [key for key in (name, f"{name}_in_pixels", f"{name}_in_features") if key in keys] for name in most
    }
    return breaches(found.figures, {key: Gate(max=most[name]) for name, named in bounded.items() for key in named})


def _write(
    folder: Path, found: AuditFindings, broken: dict[str, str], prepared: Prepared, files: Sequence[Path], asked: Asked
) -> None:
    sheets = {}
    for space, (synthetic, training) in found.pairs.items():
        path = folder / f"closest_in_{space}.png"
        plots.pairs(path, synthetic, training)
        sheets[space] = path.read_bytes()
    digests = {
        "prepared data": prepared.digest(),
        "files": content_key([tree_digest(path) for path in files if path.exists()]),
    }
    parts = {"train": len(prepared.train), "test": len(prepared.test)}
    facts = AuditFacts(prepared.folder.name, words_of(prepared.spec), parts, asked.seed, broken, digests)
    replace_file(folder / PAGE, page(facts, found, sheets).encode())
    told: dict[str, Any] = {"data": facts.name, "seed": asked.seed, "figures": found.figures, "broken": broken}
    write_json(folder / "audit.json", {**told, "sha256": digests})
    text = io.StringIO()
    table = csv.DictWriter(text, [field.name for field in fields(Copy)], lineterminator="\n")
    table.writeheader()
    table.writerows(map(asdict, found.copies))
    replace_file(folder / "copies.csv", text.getvalue().encode())
