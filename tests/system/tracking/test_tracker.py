import json
import shutil
import time
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from tests.lanes import edited, make_job, run_lane
from tests.system.tracking.exports import graphs_of

from vae_pipeline.recipe.study import Study
from vae_pipeline.stages.augmentation.study import study
from vae_pipeline.stages.evaluate import evaluate
from vae_pipeline.stages.export import export
from vae_pipeline.stages.prepare import prepare
from vae_pipeline.stages.rate_distortion import controls_of, rate_distortion
from vae_pipeline.stages.train import train
from vae_pipeline.system.errors import Interrupted
from vae_pipeline.system.locking import held
from vae_pipeline.system.tracking.journal import Journal, flatten, read_journal, running
from vae_pipeline.system.tracking.sender import Sender
from vae_pipeline.system.tracking.tracker import Tracker

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's own


@pytest.fixture(scope="session")
def migrated(tmp_path_factory):
    """An empty database with its tables: creating them takes three seconds."""
    folder = tmp_path_factory.mktemp("migrated")
    import mlflow

    mlflow.MlflowClient(f"sqlite:///{folder / 'mlflow.db'}").search_experiments()
    return folder / "mlflow.db"


@pytest.fixture
def store(migrated, tmp_path):
    shutil.copy(migrated, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


@pytest.fixture
def client(store):
    import mlflow

    return mlflow.MlflowClient(store)


@pytest.fixture
def job(smoke, store, tmp_path):
    return make_job("smoke", smoke, tmp_path / "home", mlflow_uri=store, mlflow_registry="on")


def runs(client):
    (experiment,) = [e for e in client.search_experiments() if e.name == "vae-pipeline"]
    return client.search_runs([experiment.experiment_id])


def split(client):
    """The model's run, and its children."""
    found = runs(client)
    models = [run for run in found if "mlflow.parentRunId" not in run.data.tags]
    return models, [run for run in found if "mlflow.parentRunId" in run.data.tags]


def names(client, run_id, path=None):
    return {file.path for file in client.list_artifacts(run_id, path)}


@pytest.mark.slow
def test_one_run_tells_all_of_a_model(job, client, lane, tmp_path):
    with graphs_of(lane):
        lane = run_lane(job, tmp_path)
    (model,), children = split(client)
    weights = json.loads((lane.bundle / "bundle.json").read_text())["weights_sha256"]
    metrics = json.loads((lane.report / "metrics.json").read_text())

    assert model.info.status == "FINISHED"
    assert model.info.run_name == "smoke"
    assert model.data.tags["vae.weights"] == weights
    assert model.data.tags["vae.recipe"] == "smoke"
    assert model.data.params["train.learning_rate"] == "0.003"
    assert model.data.params["model.posterior.latents"] == "2"
    assert model.data.params["data.kind"] == "synthetic"
    exported = next(child for child in children if child.info.run_name == "smoke export")
    assert model.info.end_time <= exported.info.start_time  # the duration is that of training
    assert model.data.metrics["test_elbo"] == pytest.approx(metrics["elbo"])
    curve = client.get_metric_history(model.info.run_id, "valid_elbo")
    assert [point.step for point in curve] == [1, 2, 3, 4, 5]
    assert {"report", "bundle", "weights.safetensors"} <= names(client, model.info.run_id)
    assert "report/index.html" in names(client, model.info.run_id, "report")
    assert "report/plots/samples.png" in names(client, model.info.run_id, "report/plots")
    (dataset,) = model.inputs.dataset_inputs
    assert json.loads(dataset.dataset.profile)["examples"] == {"train": 438, "valid": 79, "test": 123}
    assert sorted(child.info.run_name for child in children) == ["smoke evaluate", "smoke export"]
    assert all(child.data.tags["mlflow.parentRunId"] == model.info.run_id for child in children)

    # What has been recorded is found again, and nothing is added twice.
    before = {run.info.run_id for run in runs(client)}
    evaluate(job, lane.data, lane.model, lane.report)
    train(job, lane.data, tmp_path / "model")
    assert {run.info.run_id for run in runs(client)} == before
    assert len(client.get_metric_history(model.info.run_id, "valid_elbo")) == 5

    # Another parameter of evaluation is another child of the same run.
    other = make_job("smoke", edited(job.recipe, evaluate={"samples": 7}), tmp_path / "home", mlflow_uri=store_of(job))
    evaluate(other, lane.data, lane.model, tmp_path / "other")
    (again,), more = split(client)
    assert again.info.run_id == model.info.run_id
    assert len(more) == 3


def store_of(job):
    return job.settings.mlflow_uri


@pytest.mark.slow
def test_where_the_models_run_is_missing_one_is_opened(job, client, lane):
    with graphs_of(lane):
        export(job, lane.data, lane.model, lane.report, lane.bundle.parent / "again")
    (model,), (child,) = split(client)
    assert model.data.tags["vae.weights"] == json.loads((lane.bundle / "bundle.json").read_text())["weights_sha256"]
    assert child.data.params["export.tolerance"] == "0.0001"


@pytest.mark.slow
def test_an_interrupted_run_is_taken_up(job, client, tmp_path, monkeypatch):
    from vae_pipeline.stages import display as module

    prepare(job, tmp_path / "data")
    original = module.Display.step

    def interrupt(self, step):
        original(self, step)
        if step.step == 17:
            import os
            import signal

            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(module.Display, "step", interrupt)
    with pytest.raises(Interrupted, match=r"SIGTERM at step 1[78] of 35"):
        train(job, tmp_path / "data", tmp_path / "model")
    Tracker(job.settings, pytest.fail).sync()  # what MLflow's imports left no time for
    ((first,), _) = split(client)
    assert first.info.status == "KILLED"
    assert len(client.get_metric_history(first.info.run_id, "train_elbo")) == 2

    monkeypatch.setattr(module.Display, "step", original)
    train(job, tmp_path / "data", tmp_path / "model")
    ((second,), _) = split(client)
    assert second.info.run_id == first.info.run_id
    assert second.info.status == "FINISHED"
    assert [p.step for p in client.get_metric_history(first.info.run_id, "train_elbo")] == [1, 2, 3, 4, 5]


def test_a_tracker_that_is_down_costs_one_warning_and_little_time(smoke, store, client, tmp_path):
    warnings = []
    job = make_job("smoke", smoke, tmp_path / "home", mlflow_uri="http://127.0.0.1:9")
    journal, sender = (
        Tracker(job.settings, pytest.fail).journal("train", "k" * 64),
        Sender(job.settings, warnings.append),
    )
    started = time.monotonic()
    journal.start("smoke", {"a": 1}, {})
    for step in range(1, 20):
        journal.metrics({"train_elbo": -step}, step)
        sender.send(journal.path)
    journal.end("FINISHED", "w" * 64)
    sender.send(journal.path)
    assert time.monotonic() - started < 20
    assert len(warnings) == 1
    assert "http://127.0.0.1:9" in warnings[0] and "vae-pipeline sync" in warnings[0]

    assert journal.path.is_file()
    back = make_job("smoke", smoke, tmp_path / "home", mlflow_uri=store)
    assert synced(back, warnings.append) == (["sent"])
    (run,) = runs(client)
    assert run.data.tags["vae.weights"] == "w" * 64
    assert [p.value for p in client.get_metric_history(run.info.run_id, "train_elbo")] == [-s for s in range(1, 20)]
    assert run.info.start_time < run.info.end_time
    assert not journal.path.exists()


def synced(job, warn=pytest.fail):
    """The fate of each journal that waited, sent by this process."""
    told = []
    Sender(job.settings, warn).sync(lambda path, outcome: told.append(outcome))
    return told


def test_off_records_nothing(smoke, tmp_path):
    job = make_job("smoke", smoke, tmp_path / "home", mlflow_uri="off")
    tracker = Tracker(job.settings, pytest.fail)
    journal = tracker.journal("train", "k")
    journal.start("smoke", {}, {})
    assert tracker.send(journal)
    assert tracker.sync() == (0, 0, 0)
    assert not (tmp_path / "mlflow.db").exists()


def test_a_journal_cut_short_is_read_as_far_as_it_goes(tmp_path):
    journal = Journal(tmp_path, "train", "k", pytest.fail)
    journal.start("r", {"a": 1}, {})
    journal.metrics({"x": 1.0}, 1)
    journal.path.write_text(journal.path.read_text() + '{"entry": "metr')
    entries = read_journal(journal.path)
    assert entries is not None and len(entries.metrics) == 1 and entries.end is None


def test_nested_parameters_are_flattened():
    assert flatten({"a": {"b": {"c": 1}, "d": [1, 2]}, "e": {}}) == {"a.b.c": 1, "a.d": [1, 2], "e": {}}


def test_a_run_taken_up_has_not_ended_and_has_no_step_twice(tmp_path):
    journal = Journal(tmp_path, "train", "k", pytest.fail)
    journal.start("r", {}, {})
    journal.metrics({"x": 1.0, "y": 5.0}, 1)
    journal.metrics({"x": 2.0}, 2)
    journal.end("KILLED")
    with journal.path.open("a") as file:
        file.write('{"entry": "metr')  # killed within a line
    journal.start("r", {}, {}, resumed=True)
    journal.metrics({"x": 2.0}, 2)
    journal.metrics({"x": 3.0}, 3)
    entries = read_journal(journal.path)
    assert entries is not None and entries.end is None
    points = [(name, entry.step) for entry in entries.metrics for name in entry.values]
    assert points == [("x", 1), ("y", 1), ("x", 2), ("x", 3)]


@pytest.mark.parametrize(
    "line",
    ["3", "{}", '{"entry": "start"}', '{"entry": "metrics", "step": "one"}', "not JSON", "[" * 100_000, "\xff\xfe"],
)
def test_a_journal_with_a_line_that_is_none_is_set_aside_and_said(line, smoke, store, tmp_path):
    job, said = make_job("s", smoke, tmp_path / "home", mlflow_uri=store), []
    journal = Tracker(job.settings, pytest.fail).journal("evaluate", "k")
    journal.start("r", {}, {}, weights="w")
    with journal.path.open("ab") as file:
        file.write(line.encode("latin-1") + b"\n")
    journal.end("FINISHED")
    assert synced(job, said.append) == ["damaged"]
    assert len(said) == 1 and "line 2 isn't an entry" in said[0]
    assert journal.path.with_suffix(".damaged").is_file() and synced(job) == []


def test_no_secret_gets_into_a_journal(tmp_path):
    journal = Journal(tmp_path, "train", "k", pytest.fail)
    source = {"https://host/x?sig=s3cret": "sha256:0"}
    data = {"name": "d", "digest": "0", "source": source, "card": {"origins": source}}
    journal.start("r", {"data.files": [{"url": "https://joe:s3@cret@host/x"}]}, {}, dataset=data)
    assert "cret" not in journal.path.read_text()


def test_a_journal_that_cannot_be_written_costs_one_warning(tmp_path):
    (tmp_path / "tracking").write_text("in the way")
    warnings = []
    journal = Journal(tmp_path / "tracking", "train", "k", warnings.append)
    journal.start("r", {}, {})
    journal.metrics({"x": 1.0}, 1)
    journal.end("FINISHED", "w")
    assert len(warnings) == 1


def test_what_changed_since_is_not_sent(job, client, tmp_path):
    warnings = []
    tracker = Tracker(job.settings, pytest.fail)
    kept, changed = tmp_path / "kept.txt", tmp_path / "changed.txt"
    journal = tracker.journal("evaluate", "k")
    journal.start("r", {}, {}, weights="w")
    for file in (kept, changed):
        file.write_text("as it was")
        journal.artifact(file, to="")
    journal.end("FINISHED")
    changed.write_text("of another run")
    assert synced(job, warnings.append) == ["sent"]
    (model,), _ = split(client)
    assert names(client, model.info.run_id) == {"kept.txt"}
    assert len(warnings) == 1 and "changed.txt" in warnings[0]


@pytest.mark.slow
def test_sync_after_all_stages_gives_one_run(job, client, smoke, lane, tmp_path):
    down = make_job("smoke", smoke, tmp_path / "home", mlflow_uri="http://127.0.0.1:9")
    with graphs_of(lane):
        run_lane(down, tmp_path)
    assert Tracker(job.settings, pytest.fail).sync() == (3, 0, 0)
    (model,), children = split(client)
    assert model.data.params["train.epochs"] == "5"
    assert "test_elbo" in model.data.metrics
    assert len(children) == 2


def test_what_has_failed_or_was_abandoned_does_not_wait_for_ever(job, client):
    tracker = Tracker(job.settings, pytest.fail)
    failed, abandoned = tracker.journal("train", "f" * 64), tracker.journal("train", "a" * 64)
    failed.start("failed", {}, {})
    failed.end("FAILED")
    abandoned.start("abandoned", {}, {})
    with held(running(job.settings.home, "a" * 64), "trains", pytest.fail):  # its process still runs
        assert sorted(synced(job)) == ["sent", "waiting"]
    assert synced(job) == ["sent"]
    assert {run.info.run_name: run.info.status for run in runs(client)} == {"failed": "FAILED", "abandoned": "KILLED"}


def test_no_password_gets_into_a_warning(smoke, tmp_path):
    warnings = []
    job = make_job("s", smoke, tmp_path / "home", mlflow_uri="http://joe:s3@cret@127.0.0.1:9")
    journal = Tracker(job.settings, pytest.fail).journal("train", "k")
    journal.start("s", {}, {})
    assert Sender(job.settings, warnings.append).send(journal.path) == "waiting"
    assert len(warnings) == 1
    assert "cret" not in warnings[0] and "127.0.0.1:9" in warnings[0]


@pytest.mark.slow
def test_a_curve_is_a_run_with_a_child_for_each_point(job, client, lane, tmp_path):
    points = rate_distortion(job, lane.data, tmp_path / "curve", controls_of("1,3", None))
    (parent,), children = split(client)
    assert parent.info.run_name == "smoke rate-distortion"
    assert names(client, parent.info.run_id, "curve") >= {"curve/curve.png", "curve/curve.csv"}
    assert sorted(child.info.run_name for child in children) == ["smoke beta 1", "smoke beta 3"]
    for child in children:
        assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
        (point,) = [point for point in points if point.beta == float(child.data.params["rate_control.beta"])]
        assert child.data.metrics["rate"] == pytest.approx(point.rate)
        assert "valid_elbo" in child.data.metrics

    rate_distortion(job, lane.data, tmp_path / "curve", controls_of("1,3", None))
    assert len(runs(client)) == 3


@pytest.mark.slow
def test_a_study_is_a_run_with_a_child_for_each_classifier(job, client, prepared, tmp_path):
    few = {"sizes": [12], "repeats": 2, "arms": ["mixup"], "steps": 2, "generator_steps": 2}
    for repeats in (2, 3):
        recipe = job.recipe.model_copy(update={"study": Study(**{**few, "repeats": repeats})})
        study(replace(job, recipe=recipe), Path("smoke.yaml"), tmp_path / "study", prepared.folder)
    parents, children = split(client)
    assert [parent.info.run_name for parent in parents] == ["smoke study"] * 2
    assert "study/gains.png" in names(client, parents[0].info.run_id, "study")
    assert all({"valid_gain/12/mixup", "test_gain/12/mixup"} <= parent.data.metrics.keys() for parent in parents)
    arms = [(child.data.params["repeat"], child.data.params["arm"]) for child in children]
    assert sorted(arms) == sorted(
        (str(at), arm) for count in (2, 3) for at in range(count) for arm in ("none", "mixup")
    )
    assert all(0 <= child.data.metrics["test_auc"] <= 1 for child in children)


@pytest.mark.slow
def test_a_curve_without_a_tracker(smoke, lane, tmp_path):
    job = make_job("smoke", smoke, tmp_path / "home", mlflow_uri="http://127.0.0.1:9")
    said = StringIO()
    job = replace(job, console=Console(file=said, width=1000))
    rate_distortion(job, lane.data, tmp_path / "curve", controls_of("1", None))
    assert said.getvalue().count("warning: MLflow at ") == 1
    assert (tmp_path / "curve" / "curve.png").is_file()
