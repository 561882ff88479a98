"""init and run at the command line."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from tests.lanes import ROOT, edited
from tests.system.tracking.exports import graphs_of
from typer.testing import CliRunner

from vae_pipeline.cli.main import app
from vae_pipeline.recipe import Recipe
from vae_pipeline.system.errors import DataError, GateError, RecipeError

PARAMS = "# which recipes run\nrecipes:\n- digits   # the first\n\nseed: 7  # any\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with some images of its own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").touch()
    (tmp_path / "params.yaml").write_text(PARAMS)
    (tmp_path / "data" / "raw").mkdir(parents=True)
    np.save("data/raw/my faces.npy", np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8))
    return tmp_path


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False).output


def test_init_says_what_it_found_and_what_comes_next(project):
    output = run("init", "data/raw/my faces.npy")
    assert "60 images of 1 x 8 x 8" in output
    assert "pipeline/my_faces.yaml: 16 latents, likelihood discretised gaussian, 2,000 steps of 64" in output
    assert "add a line to the recipes of params.yaml" in output
    assert output.endswith("next: vae-pipeline run pipeline/my_faces.yaml\n")
    assert (project / "params.yaml").read_text() == PARAMS
    assert Recipe.load(project / "pipeline" / "my_faces.yaml").data.train.images.path == "data/raw/my faces.npy"


def test_init_adds_the_recipe_and_keeps_the_comments(project):
    assert "next: dvc repro export@my_faces" in run("init", "data/raw/my faces.npy", "--add")
    assert (project / "params.yaml").read_text() == PARAMS.replace("first\n", "first\n- my_faces\n")
    assert "names it already" in run("init", "data/raw/my faces.npy", "--add", "--force")


def test_init_elsewhere_in_the_project_names_the_folder_to_go_to(project, monkeypatch):
    monkeypatch.chdir(project / "data" / "raw")
    assert f"next: cd {project} && vae-pipeline run pipeline/my_faces.yaml" in run("init", "my faces.npy")


def test_init_takes_how_a_table_is_written_and_what_its_columns_are(project):
    rows = "".join(f"Straße {index % 5};{index % 7}\n" for index in range(60))
    Path("orte.csv").write_bytes(f"Straße;zahl\n{rows}".encode("cp1252"))
    with pytest.raises(DataError, match="reads 'Straße': say which, or another, in --csv encoding=") as caught:
        run("init", "orte.csv")
    assert "data.csv" not in str(caught.value)
    assert "2 columns: 2 categories" in run("init", "orte.csv", "--csv", "encoding=cp1252", "--column", "zahl=category")
    data = Recipe.load(Path("pipeline/orte.yaml")).data
    assert (data.csv.encoding, data.columns) == ("cp1252", {"zahl": "category"})


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (["init", "data/raw/my faces.npy", "--csv", "encoding=cp1252"], DataError, "is none"),
        (["init", "data/raw/my faces.npy", "--csv", "encoding"], DataError, "wanted KEY=VALUE"),
        (["init"], DataError, "give either data"),
        (["init", "data/raw/my faces.npy", "--label", "y=0"], DataError, "names a column of a table"),
        (["init", "data/raw/my faces.npy", "--label", "y"], DataError, "COLUMN=NORMAL is wanted"),
        (
            ["init", "data/raw/my faces.npy", "--conditional"],
            RecipeError,
            "needs images or recordings that have labels",
        ),
        (["init", "data/raw/my faces.npy", "--add", "--out", "mine.yaml"], RecipeError, "isn't in pipeline"),
    ],
    ids=lambda value: " ".join(value[2:]) if isinstance(value, list) else "",
)
def test_a_mistake_writes_nothing(words, error, message, project):
    with pytest.raises(error, match=message):
        run(*words)
    assert (project / "params.yaml").read_text() == PARAMS
    assert not (project / "pipeline").exists()


@pytest.mark.slow
def test_run_makes_what_dvc_would_and_names_it(tmp_path, monkeypatch, lane):
    monkeypatch.chdir(tmp_path)
    recipe = edited(Recipe.load(ROOT / "pipeline" / "smoke.yaml"), evaluate={"gates": {"elbo": {"min": 0.0}}})
    values = recipe.model_dump(mode="json")
    Path("mine.yaml").write_text(yaml.safe_dump(values))
    failed = CliRunner().invoke(app, ["run", "mine.yaml"])
    assert "under its min of 0" in str(failed.exception)
    assert Path("reports/mine/index.html").is_file()
    assert "--despite-gates exports" in str(failed.exception)
    assert not Path("exports").exists()
    with graphs_of(lane):
        exported = CliRunner().invoke(app, ["run", "mine.yaml", "--despite-gates"])
    assert isinstance(exported.exception, GateError)
    assert "the model fails its gates (elbo)" in exported.output
    assert Path("exports/mine/bundle.json").is_file()
    shutil.rmtree("exports")
    values["evaluate"]["gates"] = {}
    Path("mine.yaml").write_text(yaml.safe_dump(values))
    with graphs_of(lane):
        assert "report       reports/mine/index.html\nONNX bundle  exports/mine" in run("run", "mine.yaml")
    assert Path("exports/mine/bundle.json").is_file()
