"""Directions of the latent space: mean differences of labelled latents, and what each is worth.

Attributes that go together in the data (a smile and open lips, say) have directions that do: the difference of means
moves towards all that comes along.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.spec import DataSpec
from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.detection import auroc_error
from vae_pipeline.metrics.latents import latents
from vae_pipeline.metrics.parts import subset
from vae_pipeline.models.vae import VAE

EXAMPLES, NUMBERS = 20_000, 2**25  # encoded of a part, at most: examples, and latents of them
LEAST = 5  # training examples that show something, and as many that don't
CLASSES = 100  # at most: a direction for each of a thousand people would tell of nobody
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Direction:
    """The mean of latents that show something, less that of those that don't."""

    name: str
    kind: Literal["attribute", "class"]
    shown: int
    """Training examples that show it."""
    others: int
    """Training examples that don't."""
    auroc: float | None
    """The area under the curve of the projection of validation examples; None where all of them or none show it."""
    auroc_standard_error: float | None
    vector: Array
    """[latents], float32: a step of this length leads from one mean to the other."""


def directions(model: VAE, spec: DataSpec, train: Split, valid: Split, seed: int) -> list[Direction]:
    """A direction for each attribute, and for each class unless the model is conditional on it.

    Means are of the posterior means of the training part (or of 20,000 of its examples), and the figures of the
    validation part. An attribute, or a class, that fewer than five examples show, or all but so many, has none.
    """
    if not _named(spec, model) or spec.stepwise:
        return []
    device = next(model.parameters()).device
    most = min(EXAMPLES, max(LEAST, NUMBERS // model.latents))
    parts = [subset(part, most, seed) for part in (train, valid)]
    marks, judged = (_marks(part, spec, model) for part in parts)
    z = latents(model, parts[0], device).mean
    seen = latents(model, parts[1], device).mean if len(parts[1]) else np.zeros((0, model.latents))
    found = []
    for (name, kind), shown, judges in zip(_named(spec, model), marks.T, judged.T, strict=True):
        if min(shown.sum(), (~shown).sum()) < LEAST:
            continue
        vector = z[shown].mean(0) - z[~shown].mean(0)
        told = _worth(seen @ vector, judges)
        found.append(Direction(name, kind, int(shown.sum()), int((~shown).sum()), *told, vector.astype(np.float32)))
    return found


def _named(spec: DataSpec, model: VAE) -> list[tuple[str, Literal["attribute", "class"]]]:
    """Names that may have a direction; an attribute goes before a class of its name."""
    classes = [] if model.classes or not 2 <= len(spec.classes) <= CLASSES else spec.classes
    names: dict[str, Literal["attribute", "class"]] = dict.fromkeys(classes, "class")
    return list((names | dict.fromkeys(spec.attributes, "attribute")).items())


def _marks(part: Split, spec: DataSpec, model: VAE) -> npt.NDArray[np.bool_]:
    """[examples, names]: True where an example shows what is named."""
    columns = []
    for name, kind in _named(spec, model):
        if kind == "attribute":
            assert part.attributes is not None  # a spec that names attributes has them stored
            columns.append(part.attributes[:, spec.attributes.index(name)])
        else:
            assert part.labels is not None  # likewise
            columns.append(part.labels == spec.classes.index(name))
    return np.stack(columns, axis=1)


def _worth(projection: Array, shown: npt.NDArray[np.bool_]) -> tuple[float | None, float | None]:
    """The AUROC of a projection and its standard error."""
    if not 0 < shown.sum() < len(shown):
        return None, None
    from sklearn.metrics import roc_auc_score  # noqa: PLC0415 (a second of a CPU, which exports do without)

    auroc = float(roc_auc_score(shown, projection))
    return auroc, auroc_error(auroc, int(shown.sum()), int((~shown).sum()))
