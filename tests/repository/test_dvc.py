"""dvc.yaml says what each stage depends on; the imports say what it really does."""

import shlex
from pathlib import Path

import grimp
import pytest
import yaml
from tests.lanes import ROOT
from typer.main import get_command
from typer.testing import CliRunner

from vae_pipeline.cli import app
from vae_pipeline.recipe import Recipe

STAGES = {"prepare": "prepare", "train": "train", "evaluate": "eval", "export": "export"}
# These can't change what a stage writes from the same recipe and the same inputs.
WITHOUT_EFFECT = {
    "vae_pipeline": "the version's number",
    "vae_pipeline.errors": "what is said when nothing is written",
    "vae_pipeline.explain": "likewise",
    "vae_pipeline.files": "how files are put in place",
    "vae_pipeline.recipe": "its values are tracked as params",
    "vae_pipeline.settings": "where, and how fast",
    "vae_pipeline.stages.display": "what a person sees",
    "vae_pipeline.stages.interrupt": "when it ends early",
    "vae_pipeline.stages.job": "carries recipe and settings",
    "vae_pipeline.tracking.journal": "what MLflow is told",
    "vae_pipeline.tracking.tracker": "likewise",
}


@pytest.fixture(scope="module")
def pipeline():
    return yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


@pytest.fixture(scope="module")
def graph():
    return grimp.build_graph("vae_pipeline")


def covered(module, dependency):
    path = Path("src") / Path(*module.split("."))
    dependency = Path(dependency)
    return dependency in (path, path.with_suffix(".py")) or dependency in path.parents


@pytest.mark.parametrize("stage", STAGES)
def test_dependencies_are_the_imports(stage, pipeline, graph):
    name = f"vae_pipeline.stages.{stage}"
    imported = {name, *graph.find_upstream_modules(name)} - set(WITHOUT_EFFECT)
    listed = [path for path in pipeline[stage]["deps"] if path.startswith("src/")]
    missing = sorted(module for module in imported if not any(covered(module, path) for path in listed))
    idle = sorted(path for path in listed if not any(covered(module, path) for module in imported))
    assert (missing, idle) == ([], [])
    assert all((ROOT / path).exists() for path in listed)


@pytest.mark.parametrize("stage", STAGES)
def test_the_command_is_one_of_ours_and_takes_these_options(stage, pipeline):
    program, command, recipe, *options = shlex.split(pipeline[stage]["cmd"])
    assert (program, command) == ("vae-pipeline", STAGES[stage])
    assert recipe == "pipeline/${item.recipe}.yaml"
    known = {option for parameter in get_command(app).commands[command].params for option in parameter.opts}
    assert {option for option in options if option.startswith("--")} <= known


def test_every_section_is_tracked_by_one_stage(pipeline):
    tracked = [
        section
        for stage in pipeline.values()
        for params in stage["params"]
        for keys in params.values()
        for section in keys
    ]
    assert sorted(tracked) == sorted(set(Recipe.model_fields) - {"about"})


def test_params_name_recipes_that_are_there():
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    assert set(params) == {"recipes", "seed"}
    assert all((ROOT / "pipeline" / f"{name}.yaml").is_file() for name in params["recipes"])


def test_check_names_a_recipe_that_is_not_there(tmp_path):
    (tmp_path / "params.yaml").write_text("recipes: [nope]\nseed: 0\n")
    result = CliRunner().invoke(app, ["check", str(tmp_path / "params.yaml"), "--recipes", str(ROOT / "pipeline")])
    assert result.exception is not None
    assert "nope.yaml isn't there" in str(result.exception)
    assert "digits.yaml" in str(result.exception)
