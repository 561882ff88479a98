"""A connection that dies at any request, before or after it is delivered: each record is there once all the same."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.lanes import make_job
from tests.system.tracking.server import mlflow_server, proxy_to

from vae_pipeline.system.tracking.journal import Journal
from vae_pipeline.system.tracking.sender import Sender

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # MLflow's own

WEIGHTS = "w" * 64


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with mlflow_server(tmp_path_factory.mktemp("server")) as port:
        yield port


@pytest.fixture(scope="module")
def proxy(server):
    with proxy_to(server) as found:
        yield found


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """The least that MLflow can log as a model."""
    folder = tmp_path_factory.mktemp("bundle")
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 2]) for name in ("x", "x_mean")]
    weights = numpy_helper.from_array(np.zeros(300, np.float32), "weights")  # enough for a file of its own
    node = helper.make_node("Identity", ["x"], ["x_mean"])
    graph = helper.make_graph([node], "g", value[:1], value[1:], [weights])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), folder / "g.onnx")
    np.savez(folder / "g.npz", x=np.ones((1, 2), np.float32), x_mean=np.ones((1, 2), np.float32))
    about = {"file": "g.onnx", "golden": "g.npz", "inputs": {"x": {}}, "outputs": {"x_mean": {}}}
    (folder / "bundle.json").write_text(json.dumps({"graphs": {"reconstruct": about}}))
    return folder


@dataclass
class Scene:
    """Journals of one model, in an experiment of their own."""

    job: object
    bundle: Path

    def journal(self, role, key):
        return Journal(self.job.settings.home / "tracking", role, key, pytest.fail)

    def train(self):
        journal = self.journal("train", "k" * 64)
        data = {"name": "data", "digest": "d" * 64, "source": {"x": "y"}, "card": {"examples": 3}}
        journal.start("r", {f"p{i}": i for i in range(120)}, {"vae.recipe": "r"}, dataset=data)
        for step in (1, 2, 3):
            journal.metrics({"train_elbo": -step, "valid_elbo": -2 * step}, step)
        journal.tag("alarm.x", "2")
        journal.artifact(self.bundle / "g.npz", to="")
        journal.end("FINISHED", WEIGHTS)
        return journal

    def evaluate(self):
        journal = self.journal("evaluate", "e" * 64)
        journal.start("r", {"evaluate.samples": 5}, {}, weights=WEIGHTS)
        journal.metrics({"test_elbo": -3.0, "test_rate": 1.0})
        journal.artifact(self.bundle, to="report")
        journal.end("FINISHED")
        return journal

    def export(self):
        journal = self.journal("export", "x" * 64)
        journal.start("r", {"export.tolerance": 1e-4}, {}, weights=WEIGHTS)
        journal.metrics({"export_flips": 0})
        journal.bundle(self.bundle, "bundle", self.job.settings.mlflow_experiment, ["candidate"])
        journal.end("FINISHED")
        return journal

    def send(self, *journals):
        """The lines that were said."""
        said = []
        sender = Sender(self.job.settings, said.append)
        for journal in journals:
            sender.send(journal.path)
        return said

    def sync(self):
        said, told = [], []
        Sender(self.job.settings, said.append).sync(lambda path, outcome: told.append(outcome))
        assert said == []
        assert not list((self.job.settings.home / "tracking").glob("*.jsonl"))
        return told


@pytest.fixture
def scene(smoke, bundle, proxy, tmp_path):
    counter = iter(range(1000))

    def make() -> Scene:
        proxy.live()
        name = f"{tmp_path.name}-{next(counter)}"
        settings = {"mlflow_uri": proxy.url, "mlflow_experiment": name}
        return Scene(make_job("r", smoke, tmp_path / name, **settings), bundle)

    return make


def held(scene, server):
    """All that MLflow has of the scene; no ids and no times, but their numbers."""
    import mlflow

    client = mlflow.MlflowClient(f"http://127.0.0.1:{server}")
    experiment = client.get_experiment_by_name(scene.job.settings.mlflow_experiment).experiment_id
    runs = client.search_runs([experiment])
    names = {run.info.run_id: run.info.run_name for run in runs}
    models = client.search_logged_models([experiment])
    registered = client.search_model_versions(f"name = '{scene.job.settings.mlflow_experiment}'")
    return {
        "runs": sorted((describe(client, run, names) for run in runs), key=str),
        "models": [(model.name, str(model.status), names[model.source_run_id]) for model in models],
        "model files": [sorted(tree(client, model)) for model in models],
        "versions": [(version.version, names[version.run_id], version.aliases) for version in registered],
        "aliases": aliases(client, registered),
    }


def aliases(client, registered):
    return dict(client.get_registered_model(registered[0].name).aliases) if registered else {}


def tree(client, model, path=None):
    for file in client.list_logged_model_artifacts(model.model_id, path):
        if file.is_dir:
            yield from tree(client, model, file.path)
        else:
            yield file.path


def files(client, run_id, path=None):
    for file in client.list_artifacts(run_id, path):
        if file.is_dir:
            yield from files(client, run_id, file.path)
        else:
            yield file.path, file.file_size


def describe(client, run, names):
    points = {
        name: sorted((point.step, point.value) for point in client.get_metric_history(run.info.run_id, name))
        for name in run.data.metrics
    }
    tags = {name: value for name, value in run.data.tags.items() if not name.startswith("mlflow.") or "Commit" in name}
    return {
        "name": run.info.run_name,
        "status": run.info.status,
        "ended": run.info.end_time is not None,
        "parent": names.get(run.data.tags.get("mlflow.parentRunId")),
        "params": dict(run.data.params),
        "tags": tags,
        "points": points,
        "inputs": [given.dataset.profile for given in run.inputs.dataset_inputs] if run.inputs else [],
        "models": len(run.outputs.model_outputs) if run.outputs else 0,
        "files": sorted(files(client, run.info.run_id)),
    }


@pytest.mark.parametrize("role", ["train", "export"])  # what evaluate sends, export sends too
def test_each_record_is_there_once_wherever_the_connection_dies(role, scene, server, proxy):
    def begun():
        """A tracker to which all that came before the role was sent."""
        made = scene()
        if role == "export":
            assert made.send(made.evaluate()) == []
        return made

    whole = begun()
    proxy.live()
    assert whole.send(getattr(whole, role)()) == []
    requests, wanted = list(proxy.seen), held(whole, server)
    assert wanted["runs"] and len(wanted["versions"]) == (role == "export")
    for number in telling(requests, role):
        cut = begun()
        journal = getattr(cut, role)()
        proxy.die(number, "after")
        said = cut.send(journal)
        assert len(said) == 1 and journal.path.is_file(), (requests[number], said)
        proxy.live()
        assert cut.sync() == ["sent"]
        assert held(cut, server) == wanted, requests[number]


def telling(requests, role):
    """The requests to cut before their answer. One cut before it arrives leaves what this leaves of the one before it,
    files that follow each other differ in nothing but their names, and `train` sends batches and ends of runs too.
    """
    known = ("search",) if role == "train" else ("search", "log-batch", "runs/update")
    writes = [
        number
        for number, (method, path) in enumerate(requests)
        if method != "GET" and not any(name in path for name in known)
    ]
    files = {number for number, (method, _) in enumerate(requests) if method == "PUT"}
    return [number for number in writes if not {number - 1, number, number + 1} <= files]


def test_a_connection_that_dies_once_costs_nothing(scene, server, proxy):
    whole = scene()
    assert whole.send(whole.train(), whole.evaluate()) == []
    wanted, count = held(whole, server), len(proxy.seen)
    for number in range(2, count, 12):
        once = scene()
        journals = once.train(), once.evaluate()
        proxy.die(number, "after", comes_back=True)
        assert once.send(*journals) == []
        assert held(once, server) == wanted


def test_the_order_of_train_and_evaluate_makes_one_run_of_a_model(scene, server):
    turned = scene()
    assert turned.send(turned.evaluate()) == []
    assert turned.send(turned.train()) == []
    runs = held(turned, server)["runs"]
    assert sorted(run["name"] for run in runs) == ["r", "r evaluate"]
    (model,) = [run for run in runs if run["name"] == "r"]
    assert len(model["params"]) == 120 and model["tags"]["vae.key"] == "k" * 64 and "test_elbo" in model["points"]


def test_a_journal_that_is_refused_keeps_no_other(scene, server):
    both = scene()
    bad = both.journal("evaluate", "b" * 64)
    bad.start("r", {}, {}, weights="v" * 64)
    bad.metrics({"no*such*name": 1.0})
    bad.end("FINISHED")
    broken = both.journal("evaluate", "c" * 64)
    broken.path.write_text('{"entry": 3}\n')
    both.evaluate()
    said, told = [], []
    Sender(both.job.settings, said.append).sync(lambda path, outcome: told.append(outcome))
    assert sorted(told) == ["damaged", "sent"]
    assert [path.name for path in (both.job.settings.home / "tracking").glob("*.jsonl")] == [bad.path.name]
    assert len(said) == 2 and any(f"doesn't take {bad.path.name}" in text for text in said)
