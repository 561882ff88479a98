import json
import shutil
from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
from rich.console import Console
from tests.lanes import make_job

from vae_pipeline.errors import BundleError, SettingsError, TrackerError
from vae_pipeline.runtime import Bundle
from vae_pipeline.seal import seal
from vae_pipeline.settings import Settings
from vae_pipeline.stages.export import export
from vae_pipeline.stages.register import register
from vae_pipeline.tracking.journal import Registration
from vae_pipeline.tracking.registry import aliases_of, log_bundle
from vae_pipeline.tracking.tracker import fetch_bundle

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
    """What was said."""
    said = StringIO()
    job = make_job("smoke", smoke, home, mlflow_uri=server, **settings)
    job = replace(job, console=Console(file=said, width=1000))
    export(job, lane.data, lane.model, report or lane.report, home / "bundle")
    return said.getvalue()


@pytest.fixture(scope="module")
def versions(smoke, lane, home, server, client):
    """How many versions there are, and what each alias names, as exports follow each other."""
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
    @pytest.mark.parametrize("address", ["models:/smoke@champion", "models:/smoke/2"])
    def test_the_bundle_is_the_one_that_was_exported(self, address, settings, lane):
        folder = fetch_bundle(address, settings)
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
            path.name: path.read_bytes() for path in lane.bundle.iterdir()
        }
        np.testing.assert_array_equal(Bundle.load(folder).sample(3), Bundle.load(lane.bundle).sample(3))
        assert fetch_bundle(address, settings) == folder

    def test_each_version_is_kept_apart(self, settings):
        assert fetch_bundle("models:/smoke/1", settings) != fetch_bundle("models:/smoke/2", settings)

    @pytest.mark.parametrize(
        ("address", "message"),
        [
            ("models:/smoke@nobody", "can't be had from MLflow .*nobody"),
            ("models:/smoke/99", "can't be had from MLflow"),
            ("models:/nothing@candidate", "can't be had from MLflow .*nothing"),
            ("models:/smoke", "no address of a model: wanted models:/NAME@ALIAS"),
        ],
    )
    def test_what_is_not_there(self, address, message, settings):
        with pytest.raises(BundleError, match=message):
            fetch_bundle(address, settings)

    def test_without_a_tracker(self, settings):
        off = Settings.model_construct(**{**settings.model_dump(), "mlflow_uri": "off"})
        with pytest.raises(BundleError, match="VAE_MLFLOW_URI is off"):
            fetch_bundle("models:/smoke@champion", off)

    def test_a_command_takes_the_address(self, settings, home, monkeypatch):
        from tests.test_cli import invoke

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
    bundle = Bundle.load(fetch_bundle("models:/sentences@candidate", settings))
    assert bundle.manifest == Bundle.load(text_lane.bundle).manifest
    z = np.zeros((2, bundle.latents), np.float32)
    model = mlflow.pyfunc.load_model("models:/sentences@candidate")
    np.testing.assert_array_equal(model.predict({"z": z})["tokens"], bundle.answer("greedy", {"z": z})["tokens"])
