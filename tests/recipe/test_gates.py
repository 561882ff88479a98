"""Gates that a recipe may set: figures of the table, and of those the ones that its data can have."""

import json
from typing import get_args

import pytest
from tests.lanes import ROOT, edited
from typer.testing import CliRunner

from vae_pipeline.cli.main import app
from vae_pipeline.recipe import Recipe, figures
from vae_pipeline.recipe.data import Kind
from vae_pipeline.recipe.gates import ABSENT, NOUNS
from vae_pipeline.system.errors import RecipeError
from vae_pipeline.system.reading import parse


def gated(name, *figures, **sections):
    """Read a shipped recipe with gates on some figures."""
    values = Recipe.load(ROOT / "pipeline" / f"{name}.yaml").model_dump(mode="json")
    values["evaluate"]["gates"] = {figure: {"min": 0} for figure in figures}
    for section, changes in sections.items():
        values[section] = None if changes is None else {**values[section], **changes}
    return parse(Recipe, values, ROOT / "a.yaml")


@pytest.mark.parametrize(
    ("name", "figure", "said"),
    [
        ("tumours", "psnr", "it is a figure of images, and data.kind tumours gives rows of a table"),
        ("sentences", "psnr", "it is a figure of images, and data.kind drawn_sentences gives sentences"),
        ("smoke", "perplexity", "it is a figure of sentences, and data.kind synthetic gives images"),
        ("sentences", "auroc", "it is a figure of images, recordings and rows of a table"),
        ("smoke", "auroc", "it needs anomalies that labels tell"),
        ("digits", "pixel_auroc", "it needs masks of the defects"),
        ("smoke", "membership_auc_by_loss", "it needs an audit, which evaluate.privacy: true asks for"),
    ],
)
def test_a_gate_that_the_data_cannot_have_is_refused_before_training(name, figure, said):
    with pytest.raises(RecipeError, match="leave it out, or take one of") as refused:
        gated(name, "elbo", figure)
    told, _, others = str(refused.value).partition("; leave it out, or take one of ")
    assert f"evaluate.gates.{figure}: {said}" in told
    gated(name, *others.split(", "))  # all that are named are right


def test_check_refuses_it(tmp_path):
    shipped = (ROOT / "pipeline" / "tumours.yaml").read_text()
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(shipped.replace("gates: {auroc: {min: 0.9}}", "gates: {psnr: {min: 20}}"))
    refused = CliRunner().invoke(app, ["check", str(recipe)]).exception
    assert isinstance(refused, RecipeError)
    assert str(refused).startswith(f"{recipe}: evaluate.gates.psnr: it is a figure of images")


def test_without_a_detector_no_score_is_measured():
    gated("tumours", "auroc", "false_alarm_rate_0.05")
    for figure in ("auroc", "false_alarm_rate_0.05"):
        with pytest.raises(RecipeError, match=rf"gates\.{figure}: it needs a detector"):
            gated("tumours", figure, detection=None)
    with pytest.raises(RecipeError, match=r"needs a detector.* and it needs anomalies"):
        gated("smoke", "auroc", detection=None)


def test_defects_and_labels_are_told_by_the_data_section():
    gated("mnist_defects", "auroc", "heat_auroc", "pixel_auroc")
    gated("defects", "auroc", "heat_auroc", "pixel_auroc")
    gated("shuttle", "auroc")
    with pytest.raises(RecipeError, match=r"gates\.auroc: it needs anomalies"):
        gated("shuttle", "auroc", data={"label": None, "one_class": False})


def test_a_name_that_no_figure_has_is_refused_with_the_nearest():
    with pytest.raises(RecipeError, match="no figure of that name can have a gate; the nearest are psnr"):
        gated("smoke", "psnrr")
    with pytest.raises(RecipeError, match="valid names: elbo, distortion"):
        gated("smoke", "qqq")


def test_what_a_figure_is_only_compared_with_is_no_gate(smoke):
    with pytest.raises(ValueError, match="can have a gate"):
        edited(smoke, evaluate={"gates": {"baseline_elbo": {"min": 0}}})


def test_every_kind_and_need_has_words():
    assert set(NOUNS) == set(get_args(Kind)) and set(ABSENT) == set(get_args(figures.Need))


def test_keys_and_names_are_unique():
    for names in ([figure.key for figure in figures.FIGURES], [figure.name for figure in figures.FIGURES]):
        assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    "name", ["lane", "conditional_lane", pytest.param("ladder_lane", marks=pytest.mark.slow), "table_lane", "text_lane"]
)
def test_what_is_measured_is_said_to_be_measured(name, request):
    """The kinds of the table are those of real runs."""
    folders = request.getfixturevalue(name)
    kind = json.loads((folders.data / "spec.json").read_text()).get("kind", "image")
    metrics = json.loads((folders.report / "metrics.json").read_text())
    measured = [figure for figure in figures.FIGURES if figure.key in metrics]
    assert len(measured) > 15 and [figure.key for figure in measured if kind not in figure.kinds] == []


def test_an_audit_is_of_images_that_a_model_makes():
    audited = {"gates": {"membership_auc_in_pixels": {"max": 0.6}}, "privacy": True}
    assert gated("smoke", evaluate=audited).evaluate.privacy
    for name in ("tumours", "sentences"):
        with pytest.raises(RecipeError, match=r"evaluate\.privacy audits images, and data\.kind"):
            gated(name, evaluate={"gates": {}, "privacy": True})


def test_a_recipe_without_an_audit_is_stored_as_before():
    assert "privacy" not in gated("smoke").model_dump(mode="json")["evaluate"]
