"""Gates: the figures that a recipe may set bounds for, and whether its data can have them at all."""

import difflib
from collections.abc import Collection, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, GetJsonSchemaHandler

from vae_pipeline.recipe import figures
from vae_pipeline.recipe.data import Data, Kind, kind_of, told
from vae_pipeline.recipe.denoise import Denoise
from vae_pipeline.recipe.detection import DetectionSection
from vae_pipeline.recipe.figures.images import IMAGES
from vae_pipeline.recipe.model import AnyModel, FeatureView

NOUNS: dict[Kind, str] = {"image": "images", "audio": "recordings", "table": "rows of a table", "text": "sentences"}
ABSENT: dict[figures.Need, str] = {
    "detector": "a detector, which is fitted where detection isn't null and data.valid isn't 0",
    "anomalies": "anomalies that labels tell from what is normal, which the data section doesn't name",
    "denoiser": "a denoiser, which is calibrated where train.denoise isn't null and data.valid isn't 0",
    "masks": "masks of the defects, which the data section doesn't name",
    "audit": "an audit, which evaluate.privacy: true asks for",
}


class _Names:
    """The names of gates, for the schema of a recipe."""

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "enum": list(figures.gates())}


def _known(name: str) -> str:
    valid = figures.gates()
    if name not in valid:
        near = difflib.get_close_matches(name, valid, n=3)
        known = f"the nearest are {', '.join(near)}" if near else f"valid names: {', '.join(valid)}"
        raise ValueError(f"no figure of that name can have a gate; {known}")
    return name


GateName = Annotated[str, AfterValidator(_known), _Names()]


def together(nouns: Sequence[str]) -> str:
    """A list in words: images, recordings and rows of a table."""
    *others, last = nouns
    return f"{', '.join(others)} and {last}" if others else last


def require_possible(
    named: Collection[str],
    data: Data,
    detection: DetectionSection | None,
    denoise: Denoise | None = None,
    model: AnyModel | None = None,
    audited: bool = False,
) -> None:
    """Refuse gates on figures that no model of such data has.

    Raises:
        ValueError: a gate is on such a figure; says why, and which gates these data can have.
    """
    kind = kind_of(data)
    has: set[figures.Need] = {*told(data)}
    if detection is not None and data.valid != 0:
        has.add("detector")
    if denoise is not None and data.valid != 0:
        has.add("denoiser")
    if audited:
        has.add("audit")
    view = None if model is None else model.view
    decoded = set() if not isinstance(view, FeatureView) else {figure.key for figure in IMAGES}
    valid = figures.gates()
    possible = [
        name
        for name, figure in valid.items()
        if kind in figure.kinds and has.issuperset(figure.needs) and name not in decoded
    ]
    for name in named:
        figure = valid[name]
        if name in possible:
            continue
        if kind not in figure.kinds:
            of = together([NOUNS[each] for each in figure.kinds])
            why = f"it is a figure of {of}, and data.kind {data.kind} gives {NOUNS[kind]}"
        elif view is not None and name in decoded:
            why = f"it is of images that a model makes, and model.view.kind {view.kind} gives features, which are none"
        else:
            why = " and ".join(f"it needs {ABSENT[need]}" for need in figure.needs if need not in has)
        raise ValueError(f"evaluate.gates.{name}: {why}; leave it out, or take one of {', '.join(possible)}")
