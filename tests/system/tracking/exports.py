"""Exports for tests that ask what MLflow is told of one."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from tests.lanes import Lane, alter

from vae_pipeline.bundles.export.parity import Agreement, Ranking


@contextmanager
def graphs_of(lane: Lane) -> Iterator[None]:
    """Inside the block, export takes the lane's graphs: making and comparing them is most of its time."""

    def write_bundle(_model, _spec, _calibrated, _directions, _test, metrics, _origin, _seed, folder, *_):
        shutil.copytree(lane.bundle, folder, dirs_exist_ok=True)
        alter(folder, lambda manifest: manifest["metrics"].update(failed_gates=", ".join(metrics["failed_gates"])))
        written = json.loads((folder / "parity.json").read_text())
        return [Agreement(**row) for row in written["agreement"]], Ranking(**written["scores"])

    with mock.patch("vae_pipeline.stages.export.write_bundle", write_bundle):
        yield
