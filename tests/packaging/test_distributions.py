"""The distributions: what each holds and wants, and the runtime used where nothing else is installed."""

import re
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from email.parser import Parser
from importlib.metadata import distribution
from pathlib import Path

import grimp
import numpy as np
import pandas as pd
import pytest
from packaging.requirements import Requirement
from tests.lanes import ROOT

import vae_pipeline
from vae_pipeline.runtime import Bundle
from vae_pipeline.system import errors
from vae_pipeline.system.errors import MixedError, lacking
from vae_pipeline.system.installed import require_one_version

RUNTIME = tomllib.loads((ROOT / "packaging" / "runtime" / "pyproject.toml").read_text())
WHOLE = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_runtime_holds_all_that_it_imports():
    graph = grimp.build_graph("vae_pipeline", exclude_type_checking_imports=True)
    needed = {*graph.find_upstream_modules("vae_pipeline.runtime", as_package=True), "vae_pipeline.__main__"}
    held = [target.removesuffix(".py").replace("/", ".") for target in included().values()]
    assert len(needed) > 10
    assert [name for name in sorted(needed) if not any(f"{name}.".startswith(f"{each}.") for each in held)] == []


def included():
    return RUNTIME["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]


def test_the_runtime_wants_numpy_and_onnxruntime_as_the_pipeline_does():
    wanted = RUNTIME["project"]["dependencies"]
    assert {re.split(r"[<>=]", each)[0] for each in wanted} == {"numpy", "onnxruntime"}
    extras = {each for extra in RUNTIME["project"]["optional-dependencies"].values() for each in extra}
    assert {*wanted, *extras} < set(WHOLE["project"]["dependencies"])
    for field in ("license", "requires-python", "classifiers", "scripts"):
        assert RUNTIME["project"][field] == WHOLE["project"][field]


@pytest.mark.parametrize("page", ["packaging/README.md", "packaging/runtime/README.md"])
def test_an_index_can_show_the_page_of_a_distribution(page):
    """The repository has no address, so that a link to one of its files would lead nowhere."""
    assert re.findall(r"\]\((?!https://)[^)]*\)|<img", (ROOT / page).read_text()) == []


class TestTwoAtOnce:
    @pytest.mark.parametrize(
        "versions", [{}, {"vae_pipeline": "1.0"}, {"vae_pipeline": "1.0", "vae_pipeline_runtime": "1.0"}]
    )
    def test_of_one_version_is_well(self, versions, tmp_path):
        for name, version in versions.items():
            (tmp_path / f"{name}-{version}.dist-info").mkdir()
        require_one_version(tmp_path)

    def test_of_two_versions_is_refused(self, tmp_path):
        for name in ("vae_pipeline-1.0", "vae_pipeline_runtime-1.1"):
            (tmp_path / f"{name}.dist-info").mkdir()
        with pytest.raises(
            MixedError, match=r"^vae-pipeline 1\.0 and vae-pipeline-runtime 1\.1 are installed together"
        ):
            require_one_version(tmp_path)

    def test_what_the_runtime_lacks_says_what_to_install(self, monkeypatch):
        absent = ModuleNotFoundError("No module named 'vae_pipeline.stages'", name="vae_pipeline.stages")
        with pytest.raises(ModuleNotFoundError):  # here it should be there
            lacking(absent)
        monkeypatch.setattr(errors, "find_spec", lambda name: None)
        assert "pip install vae-pipeline" in lacking(absent)
        monkeypatch.setitem(sys.modules, "vae_pipeline.estimators", None)
        monkeypatch.setitem(sys.modules, "vae_pipeline.estimators.vae", None)
        with pytest.raises(ImportError, match=r"^VAE: vae-pipeline-runtime is installed"):
            vae_pipeline.VAE  # noqa: B018


@pytest.mark.slow
class TestBuilt:
    def test_the_wheel_holds_the_package_and_nothing_else(self, distributions):
        with zipfile.ZipFile(distributions["wheel"]) as wheel:
            names = {name for name in wheel.namelist() if ".dist-info/" not in name}
            metadata = [name for name in wheel.namelist() if name.endswith("METADATA")]
            told = Parser().parsestr(wheel.read(metadata[0]).decode())
        source = ROOT / "src"
        here = {path for path in (source / "vae_pipeline").rglob("*") if path.is_file() and path.suffix != ".pyc"}
        assert names == {path.relative_to(source).as_posix() for path in here}
        assert told["Version"] == vae_pipeline.__version__ and told["License-File"] == "LICENSE"

    def test_the_runtime_holds_the_same_files_and_builds_from_the_source_distribution(self, distributions, tmp_path):
        with tarfile.open(distributions["sdist"]) as archive:
            archive.extractall(tmp_path, filter="data")
        (unpacked,) = tmp_path.iterdir()
        assert (unpacked / "tests" / "conftest.py").is_file() and (unpacked / "requirements.lock").is_file()
        again = build(unpacked / "packaging" / "runtime", tmp_path / "again", "--wheel")
        with (
            zipfile.ZipFile(distributions["wheel"]) as whole,
            zipfile.ZipFile(distributions["runtime"]) as runtime,
            zipfile.ZipFile(again[0]) as rebuilt,
        ):
            ours = [name for name in runtime.namelist() if ".dist-info/" not in name]
            assert "vae_pipeline/runtime/bundle.py" in ours and "vae_pipeline/py.typed" in ours
            assert not any(name.startswith(("vae_pipeline/stages", "vae_pipeline/models")) for name in ours)
            for name in ours:
                assert runtime.read(name) == whole.read(name) == rebuilt.read(name), name

    def test_an_index_would_take_them(self, distributions):
        command = [sys.executable, "-m", "twine", "check", "--strict", *distributions.values()]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout

    def test_numpy_and_onnxruntime_are_enough(self, distributions, lane, table_lane, text_lane, tmp_path):
        python = environment(tmp_path / "env", distributions["runtime"])
        records = pd.read_csv(table_lane.data.parent / "rows.csv").drop(columns=["fraud", "id"]).head(5)
        (tmp_path / "rows.json").write_text(records.to_json(orient="records"))
        np.save(tmp_path / "x.npy", np.load(lane.data / "test.npy")[:5])
        program = Path(__file__).with_name("runtime_tasks.py")
        given = [lane.bundle, tmp_path / "x.npy", table_lane.bundle, tmp_path / "rows.json", text_lane.bundle]
        subprocess.run([python, "-I", program, tmp_path / "answers.npz", *given], check=True, cwd=tmp_path)
        answers = np.load(tmp_path / "answers.npz")
        table, writer = Bundle.load(table_lane.bundle), Bundle.load(text_lane.bundle).sentences
        np.testing.assert_array_equal(answers["table_detect"], table.detect(records).p_value)
        np.testing.assert_array_equal(answers["image_sample"], Bundle.load(lane.bundle).sample(3, seed=1))
        assert answers["text_sample"].tolist() == writer.sample(4, seed=1)
        np.testing.assert_array_equal(answers["table_sample"], table.sample(3, seed=1))
        drawn = ("text_sample", "table_sample")  # a table's rows lack values as the data do
        assert all(np.isfinite(answers[name]).all() for name in answers if name not in drawn)
        command = subprocess.run(
            [python, "-I", "-m", "vae_pipeline", "--help"], capture_output=True, text=True, check=False
        )
        assert command.returncode == 2
        assert command.stderr.startswith("vae-pipeline: the package typer is needed and isn't installed")


def build(source, out, *options):
    command = [sys.executable, "-m", "build", "--no-isolation", *options, "--outdir", out, source]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return sorted(out.iterdir())


def environment(folder, wheel):
    """The Python of a new environment that has the wheel, tokenizers, numpy, onnxruntime and what these two need.

    tokenizers needs huggingface-hub for downloads, and is given none.
    """
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    wanted, seen = ["numpy", "onnxruntime", "tokenizers"], set()
    while wanted:
        name = wanted.pop()
        seen.add(name)
        found = distribution(name)
        for top in {file.parts[0] for file in found.files or () if file.parts[0] not in ("..", "__pycache__")}:
            (site / top).symlink_to(found.locate_file(top))
        needed = [Requirement(each) for each in found.requires or () if name != "tokenizers"]
        met = {each.name for each in needed if each.marker is None or each.marker.evaluate({"extra": ""})}
        wanted += sorted(met - seen - {*wanted})
    return folder / "bin" / "python"
