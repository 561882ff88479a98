"""The files that are written: all that the page asks for, and none that another page would need."""

import base64
import gzip
import io
import json
import re
import shutil
import tarfile
from html.parser import HTMLParser

import numpy as np
import onnxruntime
import pytest
from tests.cli.test_cli import invoke
from tests.lanes import ROOT, alter

from vae_pipeline.bundles.explorer import browser_runtime
from vae_pipeline.bundles.explorer.page import GRAPHS
from vae_pipeline.recipe.data.file import File
from vae_pipeline.runtime.bundle import Bundle
from vae_pipeline.system.errors import BundleError, DownloadError, OutputError
from vae_pipeline.system.files import sha256_of

RUNTIME = {browser_runtime.SCRIPT: b"export const env = {};", browser_runtime.WASM: b"\0asm"}


@pytest.fixture(autouse=True)
def package(tmp_path, monkeypatch):
    """A package of the same layout, in a mirror."""
    (tmp_path / "mirror").mkdir()
    path = tmp_path / "mirror" / "onnxruntime-web.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in RUNTIME.items():
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    monkeypatch.setattr(browser_runtime, "_address", lambda: f"http://127.0.0.1:9/{path.name}")
    monkeypatch.setattr(browser_runtime, "DIGEST", f"sha256:{sha256_of(path)}")
    monkeypatch.setenv("VAE_MIRROR", str(path.parent))
    return path


class Page(HTMLParser):
    """The scripts of a page by id or type, its addresses, its text."""

    def __init__(self, text):
        super().__init__()
        self.scripts, self.addresses, self.text, self.at = {}, [], "", None
        self.feed(text)
        self.imports = json.loads(self.scripts["importmap"])["imports"]
        self.bundle = json.loads(self.scripts["bundle"])

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.at = values.get("id", values.get("type", "plain")) if tag == "script" else tag
        self.addresses += [values[name] for name in ("src", "href") if name in values]

    def handle_data(self, data):
        if self.lasttag == "script":
            self.scripts[self.at] = self.scripts.get(self.at, "") + data
        elif self.lasttag != "style":
            self.text += data


def read(path):
    return Page(path.read_text(encoding="utf-8"))


def imported(script):
    return set(re.findall(r'from "([^"]+)"', script))


def test_the_folder_holds_all_that_the_page_asks_for(lane, tmp_path):
    said = invoke("explore", lane.bundle, "--out", tmp_path / "page")
    assert f"python3 -m http.server --directory {tmp_path / 'page'}" in said
    page = read(tmp_path / "page" / "index.html")
    beside = {path.name for path in (tmp_path / "page").iterdir()}
    binaries = {f"{name}.onnx.gz" for name in GRAPHS} | {f"{browser_runtime.WASM}.gz"}
    assert beside == {"index.html", "style.css", *page.imports, *binaries}
    assert all(address == f"./{name}" for name, address in page.imports.items())
    assert [address for address in page.addresses if not address.startswith("data:")] == ["style.css"]
    for name in beside:
        if name.endswith(".js") and name != "onnxruntime-web.js":
            assert imported((tmp_path / "page" / name).read_text()) <= set(page.imports)
    for name in GRAPHS:
        unpacked = gzip.decompress((tmp_path / "page" / f"{name}.onnx.gz").read_bytes())
        assert unpacked == (lane.bundle / f"{name}.onnx").read_bytes()


def test_the_single_file_holds_the_same(lane, tmp_path):
    invoke("explore", lane.bundle, "--out", tmp_path / "page")
    invoke("explore", lane.bundle, "--out", tmp_path / "one" / "page.html", "--single-file")
    folder, single = read(tmp_path / "page" / "index.html"), read(tmp_path / "one" / "page.html")
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["page.html"]
    assert all(address.startswith("data:") for address in single.addresses)
    assert single.bundle == folder.bundle
    assert single.imports.keys() == folder.imports.keys()
    for name, address in single.imports.items():
        kind, content = address.split(",")
        assert kind == "data:text/javascript;base64"
        assert base64.b64decode(content) == (tmp_path / "page" / name).read_bytes()
    for path in (tmp_path / "page").glob("*.gz"):
        assert base64.b64decode(single.scripts[path.stem]) == path.read_bytes()


def test_the_page_says_what_the_model_is(lane, tmp_path):
    invoke("explore", lane.bundle, "--out", tmp_path / "page")
    page = read(tmp_path / "page" / "index.html")
    manifest = json.loads((lane.bundle / "bundle.json").read_text())
    text = " ".join(page.text.split())
    assert "turns grey pictures of 12 × 12 pixels into 2 numbers" in text
    assert f"sha256:{manifest['weights_sha256']}" in text
    assert f"{manifest['metrics']['elbo']:.2f}".replace("-", "−") in text
    assert manifest["licence"] in text
    assert "Microsoft Corporation, MIT License" in text and "Permission is hereby granted" in text
    assert {name: page.bundle[name] for name in manifest.keys() - {"sha256"}} == {
        name: value for name, value in manifest.items() if name != "sha256"
    }


def test_the_examples_are_the_golden_inputs(lane, conditional_lane, tmp_path):
    for name, bundle in (("plain", lane.bundle), ("conditional", conditional_lane.bundle)):
        invoke("explore", bundle, "--out", tmp_path / name)
        examples = read(tmp_path / name / "index.html").bundle["examples"]
        with np.load(bundle / "encoder.npz") as golden:
            assert base64.b64decode(examples["x"]) == golden["x"].tobytes()
            assert examples["labels"] == (golden["label"].tolist() if name == "conditional" else [])


def test_the_directions_are_those_of_the_bundle(lane, conditional_lane, tmp_path):
    for name, bundle in (("plain", lane.bundle), ("conditional", conditional_lane.bundle)):
        invoke("explore", bundle, "--out", tmp_path / name)
    plain, none = (read(tmp_path / name / "index.html").bundle for name in ("plain", "conditional"))
    directions = Bundle.load(lane.bundle).directions
    vectors = np.frombuffer(base64.b64decode(plain["moves"]["vectors"]), "<f4").reshape(2, 2)
    found = zip(plain["directions"]["found"], vectors, plain["moves"]["chance"], strict=True)
    for entry, vector, chance in found:
        np.testing.assert_array_equal(vector, directions.vectors[entry["name"]])
        assert chance == directions[entry["name"]].is_chance
    assert none["moves"] == {"vectors": "", "chance": []} and "directions" not in none


def test_words_of_a_bundle_cant_end_an_element(lane, tmp_path):
    shutil.copytree(lane.bundle, tmp_path / "bundle")
    words = dict.fromkeys(("licence", "recipe"), "</script><b>&$x")
    alter(tmp_path / "bundle", lambda manifest: manifest.update(words))
    invoke("explore", tmp_path / "bundle", "--out", tmp_path / "page")
    page = read(tmp_path / "page" / "index.html")
    assert page.bundle["licence"] == "</script><b>&$x"
    assert "</script><b>&$x" in page.text


def test_equal_bundles_give_equal_pages_and_an_older_one_is_replaced(lane, tmp_path):
    invoke("explore", lane.bundle, "--out", tmp_path / "page")
    first = {path.name: path.read_bytes() for path in (tmp_path / "page").iterdir()}
    (tmp_path / "page" / "style.css").write_text("old")
    invoke("explore", lane.bundle, "--out", tmp_path / "page")
    assert {path.name: path.read_bytes() for path in (tmp_path / "page").iterdir()} == first


class TestMistakes:
    def refused(self, error, message, *arguments):
        with pytest.raises(error, match=message):
            invoke("explore", *arguments)

    def test_a_name_that_is_no_html(self, lane, tmp_path):
        self.refused(OutputError, r"must end in \.html", lane.bundle, "--out", tmp_path / "page", "--single-file")

    def test_a_folder_of_other_things(self, lane, tmp_path):
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "thesis.tex").write_text("kept")
        self.refused(OutputError, "holds other files", lane.bundle, "--out", tmp_path / "out")
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.tex"]

    def test_the_bundle_itself(self, lane):
        self.refused(OutputError, "overlap", lane.bundle, "--out", lane.bundle)

    def test_what_is_no_bundle(self, tmp_path):
        self.refused(BundleError, r"bundle\.json isn't there", tmp_path, "--out", tmp_path.parent / "page")

    @pytest.mark.parametrize("content", [None, b"", b"PK\3\4"])
    def test_golden_inputs_that_are_lost(self, content, lane, tmp_path):
        shutil.copytree(lane.bundle, tmp_path / "bundle")
        (tmp_path / "bundle" / "encoder.npz").unlink()
        if content is not None:
            (tmp_path / "bundle" / "encoder.npz").write_bytes(content)
        self.refused(BundleError, r"encoder\.npz .*: export again", tmp_path / "bundle", "--out", tmp_path / "page")
        assert not (tmp_path / "page").exists()

    def test_a_runtime_that_cant_be_had(self, lane, package, tmp_path):
        package.write_bytes(b"another")
        self.refused(DownloadError, r"onnxruntime-web\.tgz can't be had", lane.bundle, "--out", tmp_path / "page")
        assert not (tmp_path / "page").exists()


def test_the_package_is_sought_in_the_registry_that_npm_is_set_to(tmp_path, monkeypatch):
    monkeypatch.undo()  # the address is what is tried here
    monkeypatch.setenv("PATH", str(tmp_path))
    package = "onnxruntime-web/-/onnxruntime-web-1.30.0.tgz"
    assert browser_runtime._address() == f"https://npm-is-not-installed.invalid/{package}"
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho undefined\n")
    npm.chmod(0o755)
    assert browser_runtime._address() == f"https://npm-names-no-registry.invalid/{package}"
    File(url=browser_runtime._address(), digest=browser_runtime.DIGEST)  # an address is what it must be
    npm.write_text("#!/bin/sh\necho http://registry.example/\n")
    assert browser_runtime._address() == f"http://registry.example/{package}"


def test_the_graphs_in_the_page_are_those_that_onnxruntime_runs(lane, tmp_path):
    invoke("explore", lane.bundle, "--out", tmp_path / "page.html", "--single-file")
    decoder = gzip.decompress(base64.b64decode(read(tmp_path / "page.html").scripts["decoder.onnx"]))
    with np.load(lane.bundle / "decoder.npz") as golden:
        (x_mean,) = onnxruntime.InferenceSession(decoder).run(["x_mean"], {"z": golden["z"]})
        np.testing.assert_allclose(x_mean, golden["x_mean"], atol=255e-4)


def test_the_wheel_ships_the_page():
    """Files that git ignores are left out of it."""
    folder = ROOT / "src" / "vae_pipeline" / "bundles" / "explorer"
    assert {path.suffix for path in folder.iterdir() if path.is_file()} == {".py", ".js", ".css", ".html"}
