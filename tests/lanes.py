"""Running stages in tests."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import yaml
from rich.console import Console
from typer.testing import CliRunner

from tests.tables import mixed_frame, table_recipe
from vae_pipeline.cli.main import app
from vae_pipeline.recipe import Recipe
from vae_pipeline.recipe.evaluate import IMPLIED
from vae_pipeline.runtime.signatures import DRAWS, SIGNATURES, GraphName
from vae_pipeline.stages.evaluate import evaluate
from vae_pipeline.stages.export import export
from vae_pipeline.stages.job import Job
from vae_pipeline.stages.prepare import prepare
from vae_pipeline.stages.train import train
from vae_pipeline.system.settings import Settings
from vae_pipeline.training.trained import read_history

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


def names_of_graphs(lane: Lane) -> list[GraphName]:
    """The graphs of a lane of images: those of every model, and draws where its recipe asks for them."""
    *first, last = SIGNATURES
    drawn = DRAWS if json.loads((lane.bundle / "bundle.json").read_text())["recipe"] == "conditional" else ()
    return [*first, *drawn, last]


def alter(bundle: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change bundle.json, and leave its own digest out, so that what lies behind it is looked at."""
    manifest = json.loads((bundle / "bundle.json").read_text())
    manifest.pop("sha256", None)
    change(manifest)
    (bundle / "bundle.json").write_text(json.dumps(manifest))


def figures(folder: Path) -> npt.NDArray[Any]:
    """Those of each epoch of a trained model, [epochs, figures]."""
    return np.array([[v for v in row.values() if v is not None] for row in read_history(folder / "history.csv")])


def run_commands(recipe: Recipe, folder: Path) -> Lane:
    """`run_lane` by the command line."""
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
    lane = Lane.of(folder)
    data, model, report = ["--data", lane.data], ["--model", lane.model], ["--report", lane.report]
    for command, arguments, out in (
        ("prepare", [], lane.data),
        ("train", data, lane.model),
        ("eval", [*data, *model], lane.report),
        ("export", [*data, *model, *report], lane.bundle),
    ):
        words = [str(word) for word in (command, folder / "recipe.yaml", *arguments, "--out", out)]
        environment = {"VAE_HOME": str(folder / "home"), "VAE_MLFLOW_URI": "off", "VAE_THREADS": "2"}
        result = CliRunner().invoke(app, words, env=environment, catch_exceptions=False)
        assert result.exit_code == 0, result.output
    return lane


def _shipped(name: str) -> Recipe:
    return Recipe.load(ROOT / "pipeline" / f"{name}.yaml")


def _conditional(_: Path) -> Recipe:
    net = {"kind": "convolution", "channels": [8, 16], "activation": "silu"}
    model = {
        "encoder": net,
        "decoder": {**net, "channels": [16, 8]},
        "likelihood": {"kind": "gaussian", "scale": "learned", "mean": "sigmoid"},
        "posterior": {"kind": "gaussian", "latents": 3},
        "conditional": True,
    }
    return edited(_shipped("smoke"), model=model, train={"epochs": 2}, evaluate=WAIVED, export={"draws": True})


def _ladder(_: Path) -> Recipe:
    model = {
        "kind": "ladder",
        "levels": [
            {"stride": 6, "channels": 16, "latents": 2, "blocks": 1},
            {"stride": 2, "channels": 8, "latents": 1, "blocks": 1},
        ],
        "activation": "silu",
        "likelihood": {"kind": "bernoulli"},
        "conditional": False,
    }
    return Recipe.model_validate(
        {
            **edited(_shipped("smoke"), train={"epochs": 2}, evaluate={"samples": 10, **WAIVED}).model_dump(
                mode="json"
            ),
            "model": model,
        }
    )


def _table(folder: Path) -> Recipe:
    mixed_frame().to_csv(folder / "rows.csv", index=False)
    return edited(table_recipe(ROOT, folder / "rows.csv"), detection={"contributions": "left_out"})


def _sentences(_: Path) -> Recipe:
    return edited(
        _shipped("sentences"),
        data={"examples": 900},
        train={"epochs": 6, "batch": 32, "learning_rate": 0.01},
        evaluate={"samples": 20, "examples": 50, **WAIVED},
    )


LANES: dict[str, Callable[[Path], Recipe]] = {
    "smoke": lambda _: _shipped("smoke"),
    "conditional": _conditional,
    "ladder": _ladder,
    "table": _table,
    "sentences": _sentences,
}
"""Recipes that tests share; the argument is a folder for files of theirs."""


def make_lane(name: str, folder: Path) -> Lane:
    """One of `LANES`, in an empty folder."""
    recipe = LANES[name](folder)
    if name == "sentences":
        return run_commands(recipe, folder)
    return run_lane(make_job(name, recipe, folder / "home"), folder)
