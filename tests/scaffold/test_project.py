"""A project that is laid out says what this repository's own pipeline says, and its files are well formed."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from sklearn.datasets import load_iris
from tests.lanes import ROOT
from typer.main import get_command
from typer.testing import CliRunner

from vae_pipeline.cli.main import app
from vae_pipeline.scaffold.project import lay_out
from vae_pipeline.system.errors import OutputError, RecipeError
from vae_pipeline.system.version import __version__

CI = (".github/workflows/pipeline.yml", ".gitlab-ci.yml")
OURS = re.compile(r"\bvae-pipeline ([a-z-]+)")


@pytest.fixture
def project(tmp_path):
    lay_out("faces", tmp_path / "faces")
    return tmp_path / "faces"


def scripts(node: object) -> list[str]:
    """What a CI file gives to a shell: `run` of GitHub's steps, `script` and `after_script` of GitLab's jobs."""
    if isinstance(node, list):
        return [each for value in node for each in scripts(value)]
    if not isinstance(node, dict):
        return []
    found = [scripts(value) for value in node.values()]
    own = [line for key in ("run", "script", "after_script") for line in _lines(node.get(key))]
    return [*own, *(each for value in found for each in value)]


def _lines(script: object) -> list[str]:
    return [script] if isinstance(script, str) else list(script or ())


def test_the_stages_are_those_of_this_repository_but_for_the_code(project):
    laid, ours = (yaml.safe_load((folder / "dvc.yaml").read_text())["stages"] for folder in (project, ROOT))
    for stage in ours.values():
        stage["deps"] = [*(each for each in stage["deps"] if not each.startswith("src/")), "requirements.txt"]
    assert laid == ours


def test_its_package_is_this_version_and_nothing_is_left_to_fill_in(project):
    files = [path for path in project.rglob("*") if path.is_file() and ".git" not in path.relative_to(project).parts]
    assert f"vae-pipeline=={__version__}" in (project / "requirements.txt").read_text().splitlines()
    assert (project / "README.md").read_text().startswith("# faces\n")
    assert [path for path in files if re.search(r"@[A-Z]+@", path.read_text())] == []
    assert (project / ".git").is_dir()


@pytest.mark.parametrize("name", CI)
def test_the_scripts_of_the_ci_files_are_shell_and_call_what_is_there(name, project):
    content = yaml.safe_load((project / name).read_text())
    found = scripts(content)
    assert sum("dvc repro" in script for script in found) == 1
    assert sum("summary --markdown" in script for script in found) == 1
    for script in found:
        subprocess.run(["bash", "-n"], input=re.sub(r"\$\{\{.*?\}\}", "x", script), text=True, check=True)
        assert set(OURS.findall(script)) <= set(get_command(app).commands)


def test_the_github_file_has_what_a_workflow_needs(project):
    content = yaml.load((project / CI[0]).read_text(), yaml.BaseLoader)  # `on` is no boolean there
    assert set(content["on"]) == {"pull_request", "workflow_dispatch"}
    assert content["permissions"] == {"contents": "write", "pull-requests": "write"}
    for job in content["jobs"].values():
        assert {"runs-on", "steps", "timeout-minutes"} <= set(job)
        assert all(("uses" in step) != ("run" in step) for step in job["steps"])
        assert all(re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step["uses"]) for step in job["steps"] if "uses" in step)


def test_the_gitlab_file_has_what_a_pipeline_needs(project):
    content = yaml.safe_load((project / CI[1]).read_text())
    stages = content.pop("stages")
    assert all({"stage", "image", "script", "rules"} <= set(job) for job in content.values())
    assert [job["stage"] for job in content.values()] == stages
    assert all(set(job.get("needs", ())) <= set(content) for job in content.values())


def test_make_prints_its_help(project):
    said = subprocess.run(["make", "-C", project], capture_output=True, text=True, check=True).stdout
    assert "make run" in said
    assert "make setup" in said


def test_what_the_commands_make_is_not_committed_and_goes_with_clean(project):
    ignored, made = (project / ".gitignore").read_text().split(), ("models", "reports", "exports", "sweeps", ".vae")
    said = subprocess.run(["make", "-C", project, "-n", "clean"], capture_output=True, text=True, check=True).stdout
    assert {f"/{each}/" for each in made} <= set(ignored) and set(made) <= set(said.split())


@pytest.mark.parametrize("scm", [True, False])
def test_without_git_dvc_is_told_so(scm, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    lay_out("faces", tmp_path, scm)
    assert "no_scm = true" in (tmp_path / ".dvc" / "config").read_text()
    assert not (tmp_path / ".git").exists()


def test_it_goes_into_an_empty_folder_or_a_new_one_and_never_over_others(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".venv").mkdir()
    run = CliRunner().invoke
    assert "next: vae-pipeline init DATA" in run(app, ["init", "--project", "faces"]).output
    assert "next: cd faces && " in run(app, ["init", "--project", "faces"]).output
    with pytest.raises(OutputError, match="holds files already"):
        run(app, ["init", "--project", "faces"], catch_exceptions=False)
    with pytest.raises(RecipeError, match="can't name a project"):
        run(app, ["init", "--project", "../faces"], catch_exceptions=False)


@pytest.mark.parametrize("taken", [".gitignore", ".dvc/config", ".gitlab-ci.yml", ".github/workflows/pipeline.yml"])
def test_no_hidden_file_is_replaced(tmp_path, monkeypatch, taken):
    monkeypatch.chdir(tmp_path)
    mine = tmp_path / taken
    mine.parent.mkdir(parents=True, exist_ok=True)
    mine.write_text("mine")
    with pytest.raises(OutputError, match="holds files already"):
        lay_out("faces", tmp_path)
    assert "next: cd faces && " in CliRunner().invoke(app, ["init", "--project", "faces", "--no-scm"]).output
    assert mine.read_text() == "mine"


def run_in(folder: Path, program: Path, *words: str) -> str:
    """The output of a command in a clean environment."""
    environment = {"PATH": f"{program.parent}:/usr/bin:/bin", "HOME": str(folder), "VAE_MLFLOW_URI": "off"}
    environment |= {"VAE_THREADS": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [program, *words], cwd=folder, env=environment, check=True, capture_output=True, text=True
    ).stdout


@pytest.mark.slow
def test_from_a_wheel_to_samples_without_this_repository(tmp_path):
    """The built wheel, in an environment of its own, whose other packages are those of the tests."""
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, ROOT]
    subprocess.run(build, check=True, capture_output=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    python, ours, dvc = (tmp_path / "env" / "bin" / name for name in ("python", "vae-pipeline", "dvc"))
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", wheel]
    subprocess.run(pip, check=True)
    (site,) = (tmp_path / "env").glob("lib/python*/site-packages")
    # A line of a .pth file is one more folder; the .pth files in that folder, and so the editable package, aren't read.
    (site / "others.pth").write_text(f"{Path(pytest.__file__).parent.parent}\n")
    dvc.write_text(f'#!/bin/sh\nexec {python} -m dvc "$@"\n')
    dvc.chmod(0o755)
    assert run_in(tmp_path, python, "-c", "import vae_pipeline; print(vae_pipeline.__file__)").startswith(str(site))

    work = tmp_path / "work"
    work.mkdir()
    run_in(work, ours, "init", "--project", "irises")
    load_iris(as_frame=True).data.to_csv(work / "data" / "raw" / "some irises.csv", index=False)
    assert "next: dvc repro export@some_irises" in run_in(work, ours, "init", "data/raw/some irises.csv", "--add")
    run_in(work, dvc, "repro")
    run_in(work, ours, "sample", "exports/some_irises", "--count", "5", "-o", "new.csv")
    assert len((work / "new.csv").read_text().splitlines()) == 6
    assert "| some_irises |" in run_in(work, ours, "summary", "--markdown")
