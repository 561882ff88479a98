"""The audit of images that are written already, against the images that they are to stand for."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vae_pipeline.evaluation.audit.found import OF_IMAGES, AuditFindings, Copy
from vae_pipeline.kinds.image.pictures import Pixels, to_pixels
from vae_pipeline.kinds.observations import Examples
from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.metrics.copied_images import KnownImages
from vae_pipeline.metrics.detection import normal_part
from vae_pipeline.metrics.features import reference
from vae_pipeline.metrics.image_privacy import audit_drawn, spaces, too_few
from vae_pipeline.metrics.memorised import Memorised, memorised_in, too_few_to_compare
from vae_pipeline.metrics.samples import SAMPLES
from vae_pipeline.models.scaling import Scaling
from vae_pipeline.numerics.randomness import derive

VALUES = 2**27  # of the images that are compared, at most: half a gigabyte
ROWS = 512  # compared at a time
SHARES = ("half_as_far", "nearer_than_any_test")


@dataclasses.dataclass(frozen=True)
class _Read:
    """The images of all files, as far as they are kept."""

    places: list[tuple[str, int]]
    """The file of each, and its place in it."""
    copied: npt.NDArray[np.int64]
    """The training image that each is; -1 where it is none."""
    chosen: npt.NDArray[np.int64]
    """The places of those that are kept."""
    x: npt.NDArray[Any]


def audit_images(
    files: Sequence[Examples], prepared: Prepared, spec: ImageSpec, home: Path, device: torch.device, seed: int
) -> AuditFindings:
    """The figures of synthetic images; copies are looked for among all, the rest asked of 10,000 that are drawn.

    `home` keeps the classifier by whose features images are compared.
    """
    prepared = dataclasses.replace(prepared, test=normal_part(prepared))
    known = KnownImages(prepared.train, spec)
    read = _read(files, known, spec, seed)
    count = len(read.places)
    figures: dict[str, Any] = {"files": count, "compared_files": len(read.chosen), "left_out": {}}
    figures |= {"copies": float((read.copied >= 0).mean()), "copies_of_test": known.share(prepared.test)}
    copies = [Copy(*place, int(row), "copy") for place, row in zip(read.places, read.copied, strict=True) if row >= 0]
    drawn = _scaled(read.x, spec, device)
    features = reference(prepared, home, device)
    if (reason := too_few(prepared)) is None:
        figures |= audit_drawn(drawn, prepared, features, seed)
    else:
        figures["left_out"] = {figure.key: reason for figure in OF_IMAGES[1:]}
    pairs = {}
    for space, of in spaces(features).items():
        near = memorised_in(drawn, prepared, of, seed)
        pairs[space] = _pairs(near, spec)
        if not near.figures:
            few = too_few_to_compare(prepared)
            figures["left_out"] |= {f"{name}_in_{space}": few for name in SHARES}
            continue
        figures |= {f"{name}_in_{space}": near.figures[name] for name in SHARES}
        figures["nearer_than_chance"] = near.figures["nearer_than_chance"]
        close = np.flatnonzero(near.distance < near.usual / 2)
        copies += [Copy(*read.places[int(read.chosen[at])], int(near.row[at]), space) for at in close]
    return AuditFindings(figures, copies, pairs)


def _read(files: Sequence[Examples], known: KnownImages, spec: ImageSpec, seed: int) -> _Read:
    """Read every image once, and keep as many as are compared."""
    count = sum(each.count for each in files)
    most = min(count, SAMPLES, max(1, VALUES // spec.dimensions))
    chosen = np.sort(np.random.default_rng(derive(seed, "audited files")).permutation(count)[:most])
    places: list[tuple[str, int]] = []
    copied, kept = [], []
    for piece in (each for file in files for each in file.some()):
        here = chosen[(chosen >= len(places)) & (chosen < len(places) + len(piece.x))] - len(places)
        kept.append(piece.x[here].astype(np.float32))
        copied.append(known.rows(piece.x))
        places += zip(piece.files, piece.rows.tolist(), strict=True)
    return _Read(places, np.concatenate(copied), chosen, np.concatenate(kept))


def _scaled(x: npt.NDArray[Any], spec: ImageSpec, device: torch.device) -> Callable[[], Iterator[Tensor]]:
    """Images on [0, 1], some at a time, at each call anew."""
    scaling = Scaling(spec.low, spec.high)
    return lambda: (scaling(torch.from_numpy(x[at : at + ROWS]).to(device)) for at in range(0, len(x), ROWS))


def _pairs(near: Memorised, spec: ImageSpec) -> tuple[Pixels, Pixels]:
    return to_pixels(near.samples, 0, 1), to_pixels(near.originals.x[:], spec.low, spec.high)
