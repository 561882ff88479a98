"""A sweep in MLflow: one run, with a child for each trial, whatever the tracker does."""

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console
from tests.lanes import ROOT, make_job

from vae_pipeline.recipe.space import Space
from vae_pipeline.stages.search import Search
from vae_pipeline.stages.sweep import sweep
from vae_pipeline.system.settings import Settings
from vae_pipeline.system.tracking.sender import Sender

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # MLflow's own


@pytest.fixture
def search(tmp_path):
    texts = ["train.keep=best,last", "rate_control={kind: constant, beta: 1.0},{kind: target_rate, nats: 3.0}"]
    return Search(ROOT / "pipeline" / "smoke.yaml", Space.parse(texts), "elbo", 1, tmp_path / "best.yaml")


def runs(address):
    import mlflow

    client = mlflow.MlflowClient(address)
    (experiment,) = [each for each in client.search_experiments() if each.name == "vae-pipeline"]
    found = client.search_runs([experiment.experiment_id])
    return client, {run.info.run_name: run for run in found}, len(found)


def test_a_sweep_is_a_run_with_a_child_for_each_trial(smoke, search, prepared, tmp_path):
    address = f"sqlite:///{tmp_path / 'mlflow.db'}"
    job = make_job("smoke", smoke, tmp_path / "home", mlflow_uri=address)
    sweep(job, search, tmp_path / "sweep", prepared.folder)
    rows = sweep(job, replace(search, trials=4), tmp_path / "sweep", prepared.folder)  # the parent has finished once
    client, found, count = runs(address)
    assert count == 5 and set(found) == {"smoke sweep", *(f"smoke trial {number}" for number in range(4))}
    parent = found["smoke sweep"]
    assert parent.info.status == "FINISHED" and parent.data.params["metric"] == "elbo"
    artifacts = {file.path for file in client.list_artifacts(parent.info.run_id, "sweep")}
    assert artifacts == {"sweep/history.png", "sweep/parameters.png", "sweep/trials.csv"}
    for row in rows:
        child = found[f"smoke trial {row.trial}"]
        assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert child.data.tags["vae.trial"] == row.state
        assert child.data.params == row.parameters
        if row.state == "complete":
            assert child.info.status == "FINISHED"
            assert child.data.metrics["valid_elbo"] == pytest.approx(row.metric)
            history = client.get_metric_history(child.info.run_id, "valid_elbo")
            assert [point.step for point in history] == [*range(1, smoke.train.epochs + 1)]
        else:
            assert child.info.status == "FAILED" and "target_rate is at its target" in child.data.tags["vae.note"]
    assert sorted(row.state for row in rows) == ["complete"] * 3 + ["refused"]
    best = max(row.metric for row in rows if row.metric is not None)
    assert parent.data.metrics["best_valid_elbo"] == pytest.approx(best)


def test_a_dead_tracker_costs_one_warning_and_sync_sends_the_trials_later(smoke, search, prepared, tmp_path):
    said = StringIO()
    job = make_job("smoke", smoke, tmp_path / "home", mlflow_uri="http://127.0.0.1:9")
    job = replace(job, console=Console(file=said, width=1000))
    sweep(job, replace(search, trials=2), tmp_path / "sweep", prepared.folder)
    assert said.getvalue().count("warning: MLflow at ") == 1
    address = f"sqlite:///{tmp_path / 'mlflow.db'}"
    settings = Settings.model_construct(**{**job.settings.model_dump(), "mlflow_uri": address})
    outcomes = []
    Sender(settings, pytest.fail).sync(lambda path, outcome: outcomes.append(outcome))
    assert outcomes == ["sent"] and runs(address)[2] == 3
