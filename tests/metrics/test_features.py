import numpy as np
import pytest
import torch
from tests.lanes import edited, make_job

from vae_pipeline.kinds.store import Prepared
from vae_pipeline.metrics.features import reference
from vae_pipeline.stages.prepare import prepare

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def bars(smoke, tmp_path_factory):
    folder = tmp_path_factory.mktemp("features")
    prepare(make_job("smoke", edited(smoke, data={"examples": 1200}), folder), folder / "data")
    return Prepared.open(folder / "data"), folder


def test_the_classifier_learns_and_is_read_again(bars):
    prepared, home = bars
    first = reference(prepared, home, CPU)
    assert first.task == "labels" and first.accuracy > 0.95
    state = torch.get_rng_state()
    again = reference(prepared, home, CPU)
    assert torch.equal(torch.get_rng_state(), state)
    assert again.sha256 == first.sha256 and again.accuracy == first.accuracy
    features = first.of(prepared.test)
    assert features.shape == (len(prepared.test), 64)
    np.testing.assert_array_equal(again.of(prepared.test), features)


def test_a_damaged_cache_is_trained_again(bars):
    prepared, home = bars
    first = reference(prepared, home, CPU)
    (file,) = (home / "features").glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:100])
    assert reference(prepared, home, CPU).sha256 == first.sha256


def test_without_labels_it_tells_mirrorings_apart(bars, tmp_path, monkeypatch):
    prepared, _ = bars
    for part in (prepared.train, prepared.valid, prepared.test):
        object.__setattr__(part, "labels", None)
    found = reference(prepared, tmp_path, CPU)
    assert found.task == "mirrorings"
    assert 0 <= found.accuracy <= 1
    assert np.isfinite(found.of(prepared.test)).all()
