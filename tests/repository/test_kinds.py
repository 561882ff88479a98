"""A kind of observation is added in few places, and mypy names each that was forgotten."""

import re
import shutil
import subprocess
import sys

import pytest
from tests.lanes import ROOT
from tests.mypy_cache import mypy_cache

SOURCE = ROOT / "src" / "vae_pipeline"
KNOWING = {
    "bundles/explorer/page.py",
    "estimators/observations.py",
    "evaluation/kinds.py",
    "kinds/observations.py",
    "kinds/words.py",
    "metrics/baselines.py",
    "models/build.py",
    "runtime/denoising.py",
}
"""All modules that have to know of a kind, beside its own."""


@pytest.mark.slow
def test_mypy_names_every_module_that_has_to_know_of_a_fifth_kind(tmp_path):
    package = tmp_path / "src" / "vae_pipeline"
    shutil.copytree(SOURCE, package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    text = (package / "kinds" / "text" / "spec.py").read_text()
    (package / "kinds" / "film.py").write_text(text.replace("TextSpec", "FilmSpec"))
    union = package / "kinds" / "spec.py"
    joined = union.read_text().replace("| TextSpec\n", "| TextSpec | FilmSpec\n", 1)
    union.write_text(f"from vae_pipeline.kinds.film import FilmSpec\n{joined}")
    command = [sys.executable, "-m", "mypy", "--cache-dir", mypy_cache(tmp_path), "src"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    found = set(re.findall(r"^src/vae_pipeline/(\S+?):\d+: error:", done.stdout, flags=re.MULTILINE))
    assert found == KNOWING, done.stdout
    assert len(found) <= 8


def test_no_other_module_matches_on_a_kind():
    """A branch that isn't exhaustive would take a new kind for another one, and no tool would say so."""
    matching = re.compile(r"^\s*case (?:Image|Audio|Table|Text)Spec\b", flags=re.MULTILINE)
    found = {path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py") if matching.search(path.read_text())}
    assert found <= KNOWING
