"""Running stages in tests."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
from rich.console import Console

from vae_pipeline.recipe import Recipe
from vae_pipeline.recipe.evaluate import IMPLIED
from vae_pipeline.settings import Settings
from vae_pipeline.stages.evaluate import evaluate
from vae_pipeline.stages.export import export
from vae_pipeline.stages.job import Job
from vae_pipeline.stages.prepare import prepare
from vae_pipeline.stages.train import train
from vae_pipeline.stages.trained import read_history

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Lane:
    """The folders of one recipe after all four stages."""

    data: Path
    model: Path
    report: Path
    bundle: Path

    @classmethod
    def of(cls, folder: Path) -> "Lane":
        """Those in one folder."""
        return cls(folder / "data", folder / "model", folder / "report", folder / "bundle")


def make_job(name: str, recipe: Recipe, home: Path, **settings) -> Job:
    values = {"home": home, "mlflow_uri": "off", "mirror": None, "threads": 2, "mlflow_wait_s": 120.0, **settings}
    return Job(
        name,
        recipe,
        0,
        Settings.model_construct(**{**Settings().model_dump(), **values}),
        Console(quiet=True, markup=False),
    )


WAIVED = {"waive": list(get_args(IMPLIED))}
"""For the evaluation of models that are trained too short to be results."""


def edited(recipe: Recipe, **sections) -> Recipe:
    """The recipe with some keys of some sections changed."""
    values = recipe.model_dump(mode="json")
    for section, changes in sections.items():
        values[section] = {**values[section], **changes}
    return Recipe.model_validate(values)


def run_lane(job: Job, folder: Path) -> Lane:
    lane = Lane.of(folder)
    prepare(job, lane.data)
    train(job, lane.data, lane.model)
    evaluate(job, lane.data, lane.model, lane.report)
    export(job, lane.data, lane.model, lane.report, lane.bundle)
    return lane


def alter(bundle: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change bundle.json, and leave its own digest out, so that what lies behind it is looked at."""
    manifest = json.loads((bundle / "bundle.json").read_text())
    manifest.pop("sha256", None)
    change(manifest)
    (bundle / "bundle.json").write_text(json.dumps(manifest))


def figures(folder: Path) -> npt.NDArray[Any]:
    """Those of each epoch of a trained model, [epochs, figures]."""
    return np.array([[v for v in row.values() if v is not None] for row in read_history(folder / "history.csv")])
