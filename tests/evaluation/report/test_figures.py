"""A figure that is added to the table stands wherever figures do, without another edit."""

import dataclasses
import io
import json
from unittest.mock import MagicMock

import pytest
from rich.console import Console
from tests.generated import figures_page, schema
from tests.lanes import ROOT, edited, make_job
from tests.repository.test_glossary import undefined

from vae_pipeline.bundles.export.card import model_card
from vae_pipeline.evaluation.report.page import page
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.recipe import figures
from vae_pipeline.recipe.figures import Figure, SummaryColumn
from vae_pipeline.stages.evaluate import _record
from vae_pipeline.stages.summary import print_summary
from vae_pipeline.system.seal import seal
from vae_pipeline.training.trained import Trained

ADDED = Figure(
    "novelty", "Novelty", "How new {a_noun} is, of all {nouns}.", "latents", unit="nats", better="higher",
    column=SummaryColumn("novel", "{:.3f}", error=True), beside=(("novelty_floor", "of a known {noun} {}"),),
)  # fmt: skip
MEASURED = {"novelty": 0.625, "novelty_standard_error": 0.125, "novelty_floor": 0.0625}


@pytest.fixture(autouse=True)
def _added(monkeypatch):
    monkeypatch.setattr(figures, "FIGURES", (*figures.FIGURES, ADDED))


@pytest.fixture
def metrics(lane):
    return {**json.loads((lane.report / "metrics.json").read_text()), **MEASURED}


def test_the_report(findings):
    html = page(dataclasses.replace(findings, metrics={**findings.metrics, **MEASURED}))
    assert '<th scope="row">Novelty</th>' in html and '<data value="0.625">' in html
    assert "How new an image is, of all images. Higher is better." in html
    assert 'of a known image <data value="0.0625">' in html and "novelty floor" not in html


def test_the_model_card(smoke, lane, metrics):
    trained, prepared = Trained.load(lane.model), Prepared.open(lane.data)
    card = model_card("smoke", trained.recipe, smoke.export, prepared.spec, prepared.card, metrics, "0" * 64)
    assert "| Novelty (nats) | 0.625 ± 0.12 | of a known image 0.0625 |" in card


def test_a_share_is_told_in_percent_and_a_count_beside_it_as_it_is(findings, smoke, lane, metrics, monkeypatch):
    share = dataclasses.replace(ADDED, share=True, unit="", beside=(*ADDED.beside, ("importance_samples", "K = {}")))
    monkeypatch.setattr(figures, "FIGURES", (*figures.FIGURES[:-1], share))
    gates = {**findings.recipe["evaluate"], "gates": {"novelty": {"min": 0.05, "max": None}}}
    recipe = {**findings.recipe, "evaluate": gates}
    html = page(dataclasses.replace(findings, recipe=recipe, metrics={**findings.metrics, **MEASURED}))
    assert '<data value="0.625">62</data> ± <data value="0.125">12</data> %' in html
    assert '<data value="0.625">62.5 %</data></td><td>min 5 %: kept' in html
    assert 'of a known image <data value="0.0625">6.25 %</data><br>K = <data value="' in html
    trained, prepared = Trained.load(lane.model), Prepared.open(lane.data)
    card = model_card("smoke", trained.recipe, smoke.export, prepared.spec, prepared.card, metrics, "0" * 64)
    assert f"| 62.5 ± 12 % | of a known image 6.25 %; K = {metrics['importance_samples']} |" in card


def test_the_summary(metrics, tmp_path):
    (tmp_path / "smoke").mkdir()
    (tmp_path / "smoke" / "metrics.json").write_text(json.dumps(metrics))
    seal(tmp_path / "smoke")
    file = io.StringIO()
    print_summary(Console(file=file, width=200), tmp_path, tmp_path)
    assert "novel" in file.getvalue() and "0.625 ± 0.125" in file.getvalue()


def test_mlflow(smoke, lane, metrics, tmp_path):
    tracker = MagicMock()
    _record(tracker, make_job("smoke", smoke, tmp_path), "0" * 64, metrics, lane.report)
    (told,) = tracker.journal.return_value.metrics.call_args.args
    assert told["test_novelty"] == 0.625 and told["test_elbo"] == metrics["elbo"]


def test_gates_and_the_pages_of_figures(smoke):
    assert "novelty" in edited(smoke, evaluate={"gates": {"novelty": {"min": 0}}}).evaluate.gates
    assert (
        '"novelty"' in schema() and "| Novelty (nats) | `novelty` | yes | any | How new an example is" in figures_page()
    )


def test_the_glossary_is_asked_for_it():
    assert undefined((ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")) == ["novelty"]
