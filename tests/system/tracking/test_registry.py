import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
from rich.console import Console
from tests.lanes import make_job
from tests.system.tracking.exports import graphs_of

from vae_pipeline.runtime import Bundle
from vae_pipeline.runtime.signatures import SIGNATURES, STEPWISE
from vae_pipeline.stages.export import export
from vae_pipeline.stages.register import register
from vae_pipeline.system.errors import BundleError, SettingsError, TrackerError
from vae_pipeline.system.seal import seal
from vae_pipeline.system.settings import Settings
from vae_pipeline.system.tracking.journal import Registration
from vae_pipeline.system.tracking.registry import SERVED, aliases_of, fetched, log_bundle
from vae_pipeline.system.tracking.tracker import fetch_bundle

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # MLflow's own


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("registry")


@pytest.fixture(scope="module")
def server(home):
    return f"sqlite:///{home / 'mlflow.db'}"


@pytest.fixture(scope="module")
def client(server):
    import mlflow

    return mlflow.MlflowClient(server)


@pytest.fixture(scope="module")
def settings(smoke, home, server):
    return make_job("smoke", smoke, home, mlflow_uri=server).settings


def exported(smoke, lane, home, server, report=None, **settings):
    """The lines that were said."""
    said = StringIO()
    job = make_job("smoke", smoke, home, mlflow_uri=server, **settings)
    job = replace(job, console=Console(file=said, width=1000))
    with graphs_of(lane):
        export(job, lane.data, lane.model, report or lane.report, home / "bundle")
    return said.getvalue()


@pytest.fixture(scope="module")
def versions(smoke, lane, home, server, client):
    """Versions are counted, and aliases move, as exports follow each other."""
    failed = home / "failed"
    shutil.copytree(lane.report, failed)
    metrics = json.loads((failed / "metrics.json").read_text())
    (failed / "metrics.json").write_text(json.dumps({**metrics, "failed_gates": ["elbo"]}))
    seal(failed)
    exported(smoke, lane, home, server, mlflow_registry="auto")  # a file is no server
    found = [len(client.search_model_versions("name = 'smoke'"))]
    for report in (failed, lane.report):
        said = exported(smoke, lane, home, server, report, mlflow_registry="on", mlflow_promote="champion")
        refused = "VAE_MLFLOW_PROMOTE=champion: the alias doesn't move to this model (gates failed: elbo)"
        assert (refused in said) == (report is failed)
        found.append(dict(client.get_registered_model("smoke").aliases))
    return found


def test_what_mlflow_serves_are_graphs_of_a_bundle():
    """The registry stands on a lower floor than the runtime, and can't take their names from there."""
    assert set(SERVED) < {*SIGNATURES, *STEPWISE}
    assert all(set(SERVED) & set(graphs) for graphs in (SIGNATURES, STEPWISE))


def test_the_last_export_is_the_candidate_and_the_last_whose_gates_hold_the_champion(versions):
    assert versions == [0, {"candidate": 1}, {"candidate": 2, "champion": 2}]


@pytest.mark.usefixtures("versions")
def test_a_bundle_is_registered_after_the_fact_and_once(home, server, client, lane, settings):
    said = []
    other = Settings.model_construct(**{**settings.model_dump(), "mlflow_promote": "later"})
    for _ in range(2):
        assert register(home / "bundle", other, said.append) == ("smoke", ["candidate", "later"])
    assert said == []
    assert len(client.search_model_versions("name = 'smoke'")) == 2  # it was one of them already
    assert dict(client.get_registered_model("smoke").aliases) == {"candidate": 2, "champion": 2, "later": 2}
    for uri, error, message in (
        ("http://127.0.0.1:9", TrackerError, "isn't registered yet: `vae-pipeline sync` does it"),
        ("off", SettingsError, "VAE_MLFLOW_URI=off"),
    ):
        with pytest.raises(error, match=message):
            register(lane.bundle, Settings.model_construct(**{**settings.model_dump(), "mlflow_uri": uri}), said.append)


@pytest.mark.parametrize(
    ("promote", "failed", "aliases", "said"),
    [
        (None, "elbo", ["candidate"], None),
        ("champion", "", ["candidate", "champion"], None),
        ("champion", "elbo, psnr", ["candidate"], "gates failed: elbo, psnr"),
        ("champion", None, ["candidate"], "it doesn't say whether its gates held"),
    ],
)
def test_a_promotion_that_gates_forbid_is_said(promote, failed, aliases, said):
    heard = []
    assert aliases_of(promote, failed, heard.append) == aliases
    assert len(heard) == (said is not None) and all(said in text for text in heard)


@pytest.mark.usefixtures("versions")
class TestFetch:
    """All but one happen in this process; that one is asked of the process that talks to MLflow (test_courier)."""

    @pytest.mark.parametrize(
        ("address", "fetch"), [("models:/smoke@champion", fetch_bundle), ("models:/smoke/2", fetched)]
    )
    def test_the_bundle_is_the_one_that_was_exported(self, address, fetch, settings, home):
        folder = fetch(address, settings)
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
            path.name: path.read_bytes() for path in (home / "bundle").iterdir()
        }
        np.testing.assert_array_equal(Bundle.load(folder).sample(3), Bundle.load(home / "bundle").sample(3))
        assert fetched(address, settings) == folder

    def test_each_version_is_kept_apart(self, settings):
        assert fetched("models:/smoke/1", settings) != fetched("models:/smoke/2", settings)

    @pytest.mark.parametrize(
        ("address", "fetch", "message"),
        [
            ("models:/smoke@nobody", fetch_bundle, "can't be had from MLflow .*nobody"),
            ("models:/smoke/99", fetched, "can't be had from MLflow"),
            ("models:/nothing@candidate", fetched, "can't be had from MLflow .*nothing"),
            ("models:/smoke", fetched, "no address of a model: wanted models:/NAME@ALIAS"),
        ],
    )
    def test_what_is_not_there(self, address, fetch, message, settings):
        with pytest.raises(BundleError, match=message):
            fetch(address, settings)

    def test_without_a_tracker(self, settings):
        off = Settings.model_construct(**{**settings.model_dump(), "mlflow_uri": "off"})
        with pytest.raises(BundleError, match="VAE_MLFLOW_URI is off"):
            fetch_bundle("models:/smoke@champion", off)

    def test_a_command_takes_the_address(self, settings, home, monkeypatch):
        from tests.cli.test_cli import invoke

        monkeypatch.setenv("VAE_MLFLOW_URI", settings.mlflow_uri)
        monkeypatch.setenv("VAE_HOME", str(home))
        assert "its 7 graphs give their golden answers" in invoke("verify", "models:/smoke@champion")

    def test_the_registered_model_answers_as_the_bundle(self, settings, lane):
        import mlflow

        mlflow.set_tracking_uri(settings.mlflow_uri)
        loaded = mlflow.pyfunc.load_model("models:/smoke@champion")
        with np.load(lane.bundle / "detect.npz") as golden:
            answer = loaded.predict({"x": golden["x"]})
            np.testing.assert_allclose(answer["score"], golden["score"], rtol=1e-4)
            np.testing.assert_allclose(answer["p_value"], golden["p_value"], atol=1e-4)


def test_a_bundle_of_sentences_is_one_of_its_graph_greedy(client, server, settings, home, text_lane):
    import mlflow

    experiment = client.create_experiment("sentences", (home / "artifacts").as_uri())
    run = client.create_run(experiment)
    mlflow.set_tracking_uri(server)
    wanted = Registration(name="sentences", aliases=["candidate"])
    log_bundle(client, experiment, run.info.run_id, "k" * 64, text_lane.bundle, wanted)
    bundle = Bundle.load(fetched("models:/sentences@candidate", settings))
    assert bundle.manifest == Bundle.load(text_lane.bundle).manifest
    z = np.zeros((2, bundle.latents), np.float32)
    model = mlflow.pyfunc.load_model("models:/sentences@candidate")
    np.testing.assert_array_equal(model.predict({"z": z})["tokens"], bundle.answer("greedy", {"z": z})["tokens"])


@pytest.fixture(scope="module")
def address(settings, versions, tmp_path_factory):
    """The answer of `mlflow models serve` on the registered model."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["models", "serve", "--env-manager", "local", "-m", "models:/smoke@champion", "-p", str(port)]
    environment = os.environ | {"MLFLOW_TRACKING_URI": settings.mlflow_uri, "MLFLOW_DISABLE_TELEMETRY": "true"}
    log = tmp_path_factory.mktemp("serve") / "log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *command],
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            await_answer(f"http://127.0.0.1:{port}/ping", process, log)
            yield f"http://127.0.0.1:{port}/invocations"
        finally:
            os.killpg(process.pid, signal.SIGTERM)  # the server is a child of it
            process.wait(30)


def await_answer(url, process, log):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.5)
    pytest.fail(f"no answer within two minutes: {log.read_text()}")


def post(url, inputs):
    request = urllib.request.Request(url, json.dumps({"inputs": inputs}).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def test_the_registered_detector_is_served(lane, address):
    x = np.load(lane.data / "test.npy")[:5]
    answer, found = post(address, {"x": x.tolist()})["predictions"], Bundle.load(lane.bundle).detect(x)
    np.testing.assert_allclose(answer["score"], found.score, rtol=1e-4)
    np.testing.assert_allclose(answer["p_value"], found.p_value, atol=1e-4)


def test_images_of_another_size_are_refused(address):
    with pytest.raises(urllib.error.HTTPError) as refused:
        post(address, {"x": np.zeros((1, 1, 9, 9)).tolist()})
    with refused.value as answer:
        assert answer.code == 400
