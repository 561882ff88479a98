"""Shared by all tests: shapes are checked, nothing outside the temporary folder is touched."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

# Threads of torch that wait for each other would spin, and so take the core that the other one needs.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import pytest
from jaxtyping import install_import_hook

import tests.typechecker  # noqa: F401 (the hook looks it up by name)

# Annotated shapes are checked in every call, under tests only.
with install_import_hook(
    [
        "vae_pipeline.models",
        "vae_pipeline.models.nets",
        "vae_pipeline.metrics",
        "vae_pipeline.training.objectives",
        "vae_pipeline.training.sharpness",
        "vae_pipeline.numerics.kernels",
    ],
    "tests.typechecker.check",
):
    import vae_pipeline.metrics.aggregate
    import vae_pipeline.metrics.baselines
    import vae_pipeline.metrics.bounds
    import vae_pipeline.metrics.detection
    import vae_pipeline.metrics.features
    import vae_pipeline.metrics.generation
    import vae_pipeline.metrics.images
    import vae_pipeline.metrics.importance
    import vae_pipeline.metrics.latents
    import vae_pipeline.metrics.samples
    import vae_pipeline.metrics.sentences
    import vae_pipeline.metrics.two_sample
    import vae_pipeline.models.build
    import vae_pipeline.models.detector
    import vae_pipeline.training.objectives
    import vae_pipeline.training.sharpness.building  # noqa: F401

import torch
from filelock import FileLock, Timeout

from tests.lanes import ROOT, Lane, make_lane
from vae_pipeline.kinds.download import Finder
from vae_pipeline.kinds.sources import open_source
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.kinds.writing import write
from vae_pipeline.recipe import Recipe

torch.set_num_threads(2)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, so that the last ones are short and no process waits long for another."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True)
def _apart(tmp_path, monkeypatch):
    """Settings of whoever runs the tests don't reach them, but for the mirror of data."""
    for name in [name for name in os.environ if name.startswith(("VAE_", "MLFLOW_", "DVC_")) and name != "VAE_MIRROR"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("VAE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("VAE_MLFLOW_URI", "off")


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture
def wide():
    """The default dtype of a caller who computes in float64, which changes nothing."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="session")
def smoke() -> Recipe:
    return Recipe.load(ROOT / "pipeline" / "smoke.yaml")


@pytest.fixture(scope="session")
def prepared(smoke, tmp_path_factory) -> Prepared:
    folder = tmp_path_factory.mktemp("prepared")
    write(open_source(smoke.data, Finder(folder), 0), folder, 0)
    return Prepared.open(folder)


@pytest.fixture(scope="session")
def through_all_stages(tmp_path_factory) -> Callable[[str], Lane]:
    """The folders of a recipe, only read: of the processes that run tests one makes them, and another makes others."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def made(name: str, wait: bool) -> bool:
        folder = shared / f"lane-{name}"
        try:
            with FileLock(shared / f"lane-{name}.lock", timeout=-1 if wait else 0):
                if not (folder / "made").exists():
                    folder.mkdir(exist_ok=True)
                    make_lane(name, folder)
                    (folder / "made").touch()
        except Timeout:
            return False
        return True

    def run(name: str) -> Lane:
        if not made(name, wait=False):
            for other in SOON_WANTED:
                made(other, wait=False)
            made(name, wait=True)
        return Lane.of(shared / f"lane-{name}")

    return run


SOON_WANTED = ("table", "conditional")  # by any run of more than a few files


@pytest.fixture(scope="session")
def lane(through_all_stages) -> Lane:
    """The recipe smoke, through all stages."""
    return through_all_stages("smoke")


@pytest.fixture(scope="session")
def conditional_lane(through_all_stages) -> Lane:
    """A conditional, convolutional model of the same data."""
    return through_all_stages("conditional")


@pytest.fixture(scope="session")
def ladder_lane(through_all_stages) -> Lane:
    """A ladder of a dense level over one of 6 x 6, on the same data."""
    return through_all_stages("ladder")


@pytest.fixture(scope="session")
def table_lane(through_all_stages) -> Lane:
    """A table of every kind of column, one-class."""
    return through_all_stages("table")


@pytest.fixture(scope="session")
def distributions(tmp_path_factory) -> dict[str, Path]:
    """The distributions, built as `make dist` does: `sdist`, `wheel`, and `runtime`, a wheel too."""
    folder = tmp_path_factory.mktemp("dist")
    for source, *options in ((ROOT,), (ROOT / "packaging" / "runtime", "--wheel")):
        command = [sys.executable, "-m", "build", "--no-isolation", *options, "--outdir", str(folder), str(source)]
        subprocess.run(command, check=True, capture_output=True)
    patterns = {"sdist": "*.tar.gz", "wheel": "vae_pipeline-*.whl", "runtime": "vae_pipeline_runtime-*.whl"}
    return {kind: next(folder.glob(pattern)) for kind, pattern in patterns.items()}


@pytest.fixture(scope="session")
def text_lane(through_all_stages) -> Lane:
    """The recipe sentences, shortened."""
    return through_all_stages("sentences")
