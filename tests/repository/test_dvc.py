"""dvc.yaml says what each stage depends on; the imports say what it really does."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import grimp
import pytest
import yaml
from tests.lanes import ROOT
from typer.main import get_command
from typer.testing import CliRunner

from vae_pipeline.cli.main import app
from vae_pipeline.recipe import Recipe
from vae_pipeline.training.checkpoint import SOURCES

STAGES = {"prepare": "prepare", "train": "train", "evaluate": "eval", "export": "export", "study": "study"}
MODULES = {"study": "augmentation.study"}
# These can't change what a stage writes from the same recipe and the same inputs.
WITHOUT_EFFECT = {
    "vae_pipeline.system.version": "a number",
    "vae_pipeline.system.errors": "what is said when nothing is written",
    "vae_pipeline.system.explain": "likewise",
    "vae_pipeline.system.reading": "likewise",
    "vae_pipeline.system.files": "how files are put in place",
    "vae_pipeline.system.redaction": "which secrets are hidden",
    "vae_pipeline.system.locking": "who waits for whom",
    "vae_pipeline.system.workbench": "what is kept of half a work",
    "vae_pipeline.system.workers": "in how many processes",
    "vae_pipeline.system.stopping": "when it ends early",
    "vae_pipeline.runtime.sentences": "tasks on a bundle, which no stage asks for",
    "vae_pipeline.recipe": "its values are tracked as params",
    "vae_pipeline.system.settings": "where, and how fast",
    "vae_pipeline.system.garbage": "when memory is given back",
    "vae_pipeline.system.progress": "what a person sees",
    "vae_pipeline.stages.display": "likewise",
    "vae_pipeline.stages.launch": "in how many processes",
    "vae_pipeline.stages.progress_display": "likewise",
    "vae_pipeline.stages.interrupt": "when it ends early",
    "vae_pipeline.stages.job": "carries recipe and settings",
    "vae_pipeline.system.tracking.journal": "what MLflow is told",
    "vae_pipeline.system.tracking.tracker": "likewise",
    "vae_pipeline.system.tracking.replay": "likewise",
    "vae_pipeline.system.tracking.connection": "likewise",
    "vae_pipeline.system.tracking.courier": "likewise",
    "vae_pipeline.system.tracking.held": "likewise",
    "vae_pipeline.system.tracking.sender": "likewise",
    "vae_pipeline.system.tracking.registry": "likewise",
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
    name = f"vae_pipeline.stages.{MODULES.get(stage, stage)}"
    modules = {name, *graph.find_upstream_modules(name)} - set(WITHOUT_EFFECT)
    tracked = {module for module in modules if module.startswith("vae_pipeline.recipe.")}
    if stage in ("evaluate", "export"):  # the others read the names of gates there, and write none of its words
        tracked = {module for module in tracked if not module.startswith("vae_pipeline.recipe.figures")}
    imported = modules - tracked
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


def test_every_section_is_tracked_by_one_stage_and_detection_by_the_two_that_calibrate(pipeline):
    tracked = [
        section
        for name, stage in pipeline.items()
        for params in stage["params"]
        for keys in params.values()
        for section in keys
        if name != "study" or section == "study"  # which trains models of its own
    ]
    assert sorted(tracked) == sorted([*(set(Recipe.model_fields) - {"about"}), "detection"])


def test_params_name_recipes_that_are_there():
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    assert set(params) == {"recipes", "seed", "studies"}
    assert all((ROOT / "pipeline" / f"{name}.yaml").is_file() for name in params["recipes"])
    assert set(params["studies"]) <= set(params["recipes"])


def test_check_names_a_recipe_that_is_not_there(tmp_path):
    (tmp_path / "params.yaml").write_text("recipes: [nope]\nseed: 0\n")
    result = CliRunner().invoke(app, ["check", str(tmp_path / "params.yaml"), "--recipes", str(ROOT / "pipeline")])
    assert result.exception is not None
    assert "nope.yaml isn't there" in str(result.exception)
    assert "digits.yaml" in str(result.exception)


def test_the_key_of_a_run_holds_the_code_that_train_depends_on(pipeline):
    listed = {path.removeprefix("src/vae_pipeline/") for path in pipeline["train"]["deps"] if path.startswith("src/")}
    assert set(SOURCES) == listed


@pytest.mark.slow
def test_dvc_runs_what_changed_and_nothing_else(tmp_path):
    """A clone with the recipe smoke: repro, repro again, an experiment, a comparison; without the slow export."""
    for name in ("dvc.yaml", ".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("src", "pipeline", ".dvc", "data/raw"):
        ignore = shutil.ignore_patterns("cache", "tmp", "__pycache__", "*.local")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignore)
    (tmp_path / "params.yaml").write_text("recipes:\n- smoke\nstudies: []\nseed: 0\n")
    programs = Path(sys.executable).parent
    identity = {f"GIT_{who}_{what}": "t@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    unset = {"VAE_HOME"}  # as a user has it: beside dvc.yaml
    env = {name: value for name, value in os.environ.items() if name not in unset} | identity
    env["PATH"] = f"{programs}{os.pathsep}{env['PATH']}"

    def run(*command):
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def ran(output):
        return re.findall(r"Running stage '(\w+)@smoke'", output)

    run("git", "init", "--quiet")
    run("git", "add", "--all")
    run("git", "commit", "--quiet", "--message", "start")
    assert ran(run("dvc", "repro", "evaluate@smoke")) == ["prepare", "train", "evaluate"]
    assert ran(run("dvc", "repro", "evaluate@smoke")) == []
    (tmp_path / "data" / "raw" / "of_another_recipe.csv").write_text("1\n")
    assert ran(run("dvc", "repro", "evaluate@smoke")) == ["prepare"]  # whose output is the same: nothing trains
    outputs = yaml.safe_load((tmp_path / "dvc.lock").read_text())["stages"]["evaluate@smoke"]["outs"]
    assert "reports/smoke/index.html" in [output["path"] for output in outputs]
    run("git", "add", "dvc.lock")
    run("git", "commit", "--quiet", "--message", "first run")
    before = {path.name: path.read_bytes() for path in (tmp_path / "models" / "smoke").iterdir()}
    shutil.rmtree(tmp_path / "models" / "smoke")
    run("dvc", "checkout", "train@smoke")
    assert {path.name: path.read_bytes() for path in (tmp_path / "models" / "smoke").iterdir()} == before

    changed = run("dvc", "exp", "run", "-S", "pipeline/smoke.yaml:train.learning_rate=0.001", "evaluate@smoke")
    assert ran(changed) == ["train", "evaluate"]
    compared = json.loads(run("dvc", "metrics", "diff", "--json"))["reports/smoke/metrics.json"]["elbo"]
    assert compared["new"] < compared["old"]
    assert len(json.loads(run("dvc", "exp", "show", "--json"))) == 2
    assert "index.html" in run("dvc", "plots", "diff")
