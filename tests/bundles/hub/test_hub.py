import json
import os
import shutil
import subprocess
import sys

import huggingface_hub
import pytest
import yaml
from huggingface_hub import ModelCardData, constants
from tests.bundles.hub.stand_in import stand_in
from tests.lanes import alter
from typer.testing import CliRunner

from vae_pipeline.bundles.hub import fetch, push, pushing
from vae_pipeline.bundles.hub.address import Address
from vae_pipeline.bundles.hub.card import metadata
from vae_pipeline.cli.main import app
from vae_pipeline.runtime.bundle import Bundle
from vae_pipeline.runtime.manifest import Manifest
from vae_pipeline.runtime.verification import verify
from vae_pipeline.system.errors import BundleError, WeightsError

TO = "hf://joe/bars"
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # of huggingface_hub's own requests


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A stand-in for the Hub, asked with its token; the client's cache is the test's own."""
    with stand_in() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.address)
        file = f"{hub.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", file)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.setattr(constants, "HF_STORED_TOKENS_PATH", str(tmp_path / "tokens"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", hub.token)
        yield hub
    huggingface_hub.close_session()


@pytest.fixture
def unverified(monkeypatch):
    """Bundles that other tests have verified are pushed in less time."""
    monkeypatch.setattr(pushing, "verify", lambda _: None)


def test_pushed_and_fetched_a_bundle_is_the_same(hub, lane, tmp_path, monkeypatch):
    pushed = push(lane.bundle, TO, lane.model, create=True)
    assert pushed.new and len(hub.repositories["joe/bars"].messages) == 2  # the repository's own, and one
    files = hub.files("joe/bars")
    manifest = Manifest.load(lane.bundle)
    assert {name for name in files if (lane.bundle / name).exists()} == {path.name for path in lane.bundle.iterdir()}
    assert files["model.safetensors"] == (lane.model / "weights.safetensors").read_bytes()
    assert files["README.md"].decode().endswith((lane.bundle / "MODEL_CARD.md").read_text())
    fetched = fetch(TO, tmp_path / "home")
    assert fetched.commit == pushed.commit
    assert sorted(path.name for path in fetched.folder.iterdir()) == sorted(path.name for path in lane.bundle.iterdir())
    assert len(verify(fetched.folder)) == len(manifest.graphs)
    again = push(lane.bundle, TO, lane.model)
    assert (again.new, again.commit) == (False, pushed.commit)

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    huggingface_hub.close_session()
    shutil.rmtree(tmp_path / "home")
    asked = len(hub.requests)
    for address in (TO, f"{TO}@{pushed.commit}"):
        assert Bundle.load(fetch(address, tmp_path / "home").folder).latents == manifest.latents
    assert len(hub.requests) == asked
    with pytest.raises(BundleError, match="the Hub can't be reached, and no copy of an earlier time is whole"):
        fetch("hf://joe/other", tmp_path / "home")


def test_every_task_takes_the_address_and_gives_the_same_bytes(hub, unverified, lane, tmp_path, monkeypatch):
    push(lane.bundle, f"{TO}@try", create=True, private=True, message="A try")
    assert hub.repositories["joe/bars"].private and hub.repositories["joe/bars"].messages[-1] == "A try"
    for bundle, out in ((str(lane.bundle), "one.npy"), (f"{TO}@try", "other.npy")):
        done = CliRunner().invoke(app, ["sample", bundle, "-o", str(tmp_path / out), "--count", "3"])
        assert done.exit_code == 0, done.output
    assert (tmp_path / "one.npy").read_bytes() == (tmp_path / "other.npy").read_bytes()
    assert f"{TO}@try is at commit {hub.repositories['joe/bars'].branches['try']}" in done.stderr
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(BundleError, match="no such repository, or the token may not see it"):
        fetch("hf://joe/bars@try2", tmp_path / "home")


def test_what_is_to_be_private_is_never_pushed_to_a_public_repository(hub, unverified, lane):
    push(lane.bundle, TO, create=True)
    before = hub.repositories["joe/bars"].branches["main"]
    with pytest.raises(BundleError, match="is there, and public: nothing was pushed"):
        push(lane.bundle, TO, lane.model, create=True, private=True)
    with pytest.raises(BundleError, match="--private says how --create makes a repository"):
        push(lane.bundle, TO, private=True)
    assert hub.repositories["joe/bars"].branches["main"] == before


def test_the_command_says_what_is_there_already(hub, unverified, lane):
    words = ["push", str(lane.bundle), TO, "--json"]
    done = CliRunner().invoke(app, [*words, "--create"])
    (found,) = json.loads(done.output)["found"]
    assert found["new"] is True and found["url"] == f"{hub.address}/joe/bars/tree/main"
    assert json.loads(CliRunner().invoke(app, words).output)["found"][0]["new"] is False
    said = CliRunner().invoke(app, words[:-1]).output
    assert f"has all of {lane.bundle} already: commit {found['commit']}" in said


def test_the_card_has_the_metadata_of_the_hub(lane, table_lane):
    manifest = Manifest.load(lane.bundle)
    found = metadata(manifest)
    assert found["license"] == "apache-2.0" and found["pipeline_tag"] == "unconditional-image-generation"
    read = ModelCardData(**yaml.safe_load(yaml.safe_dump(found)))  # the Hub's own reader of the figures
    figures = {result.metric_type: result.metric_value for result in read.eval_results}
    assert figures["elbo"] == manifest.metrics["elbo"] and read.model_name == manifest.recipe
    table = metadata(Manifest.load(table_lane.bundle))
    assert "pipeline_tag" not in table and "anomaly-detection" in table["tags"] and "datasets" not in table


@pytest.mark.parametrize(
    ("licence", "wanted"),
    [
        ("MIT", {"license": "mit"}),
        ("CC-BY-4.0 (UCI Optical Recognition)", {"license": "cc-by-4.0"}),
        ("none stated by the authors", {"license": "other", "license_name": "none stated by the authors"}),
        ("MIT or Apache-2.0", {"license": "other", "license_name": "MIT or Apache-2.0"}),
    ],
)
def test_a_licence_is_an_identifier_if_it_is_one(lane, licence, wanted):
    from dataclasses import replace

    found = metadata(replace(Manifest.load(lane.bundle), licence=licence))
    assert {name: value for name, value in found.items() if name.startswith("license")} == wanted


@pytest.mark.parametrize(
    "address", ["hf://joe", "hf://joe/bars/main", "hf://joe/bars@", "hf://../bars", "hf:/joe/bars", "hf://joe/b rs"]
)
def test_an_address_that_is_none(address):
    with pytest.raises(BundleError, match=r"is no address of a model on the Hub: wanted hf://OWNER/NAME\[@REVISION\]"):
        Address.of(address)


def test_what_goes_wrong_there_is_one_line_without_the_token(hub, unverified, lane, tmp_path, monkeypatch):
    def refused(run):
        with pytest.raises(BundleError) as error:
            run()
        said = str(error.value)
        assert "\n" not in said and hub.token not in said
        return said

    assert "there is no such repository" in refused(lambda: push(lane.bundle, TO))
    push(lane.bundle, TO, create=True)
    assert "the repository is there, and has no revision v2" in refused(lambda: fetch(f"{TO}@v2", tmp_path))
    assert "no name that the Hub takes" in refused(lambda: fetch("hf://joe/bars--x", tmp_path))
    hub.forbidden = True
    assert "may not do that" in refused(lambda: push(lane.bundle, TO, message="again", create=True))
    hub.forbidden = False
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    assert "wants a token for it" in refused(lambda: push(lane.bundle, TO))
    monkeypatch.delenv("HF_TOKEN")
    assert "set HF_TOKEN, or run `hf auth login`" in refused(lambda: push(lane.bundle, TO))
    hub.repositories["joe/empty"] = type(hub.repositories["joe/bars"])(private=False)
    hub.repositories["joe/empty"].commit("main", {"README.md": b"# Hello"}, "first")
    assert "isn't a bundle: the repository has no bundle.json" in refused(lambda: fetch("hf://joe/empty", tmp_path))
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert "the Hub can't be reached" in refused(lambda: fetch("hf://joe/else", tmp_path))


def test_only_what_the_manifest_names_is_fetched_and_it_is_checked(hub, unverified, lane, tmp_path):
    push(lane.bundle, TO, create=True)
    repository = hub.repositories["joe/bars"]
    repository.commit("main", {"huge.bin": b"0" * 1000, "decoder.onnx": b"another graph"}, "meddle")
    fetched = fetch(TO, tmp_path / "home")
    assert not any("huge.bin" in request for request in hub.requests if "resolve" in request)
    with pytest.raises(BundleError, match=r"decoder\.onnx isn't the file that was exported"):
        Bundle.load(fetched.folder)
    altered = tmp_path / "altered"
    shutil.copytree(lane.bundle, altered)
    alter(altered, lambda manifest: manifest["graphs"]["decoder"].update(file="../../secret"))
    repository.commit("main", {"bundle.json": (altered / "bundle.json").read_bytes()}, "lead out")
    with pytest.raises(BundleError, match="leads out of the bundle"):
        fetch(TO, tmp_path / "home")


def test_nothing_is_sent_of_what_is_not_whole(hub, lane, table_lane, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(lane.bundle, broken)
    (broken / "decoder.onnx").write_bytes(b"")
    with pytest.raises(BundleError, match=r"decoder\.onnx isn't the file that was exported"):
        push(broken, TO, create=True)
    with pytest.raises(WeightsError, match="holds other weights than those"):
        push(lane.bundle, TO, table_lane.model, create=True)
    assert hub.requests == []


@pytest.mark.slow
def test_a_process_of_its_own_pushes_and_samples(hub, lane, tmp_path):
    env = {**os.environ, "HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1"}
    run = [sys.executable, "-m", "vae_pipeline"]

    def ran(*words, **other):
        return subprocess.run([*run, *words], env={**env, **other}, capture_output=True, text=True, check=False)

    done = ran("push", lane.bundle, TO, "--create")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    for bundle in (lane.bundle, TO):
        done = ran("sample", bundle, "-o", tmp_path / "out.npy", "--count", "2", "--json")
        assert done.returncode == 0 and json.loads(done.stdout)["count"] == 2, done.stderr
    done = ran("push", lane.bundle, TO, HF_TOKEN="")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and "set HF_TOKEN" in done.stderr
