import pickle

import pytest
import torch
from safetensors.torch import save_file

from vae_pipeline.models.build import build
from vae_pipeline.models.weights import load_weights, save_weights
from vae_pipeline.system.errors import WeightsError


@pytest.fixture
def model(smoke, prepared):
    return build(smoke.model, prepared.spec)


def test_round_trip_and_equal_bytes(model, smoke, prepared, tmp_path):
    save_weights(model.state_dict(), tmp_path / "a.safetensors")
    save_weights(dict(reversed(model.state_dict().items())), tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    other = build(smoke.model, prepared.spec)
    load_weights(other, tmp_path / "a.safetensors")
    for name, tensor in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor)


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("the pickle was opened",))


def test_a_pickle_is_never_opened(model, tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(WeightsError, match="never opened"):
        load_weights(model, path)
    torch.save(model.state_dict(), path)
    with pytest.raises(WeightsError, match="never opened"):
        load_weights(model, path)


def test_weights_of_another_program(model, tmp_path):
    save_file(dict(model.state_dict()), tmp_path / "weights.safetensors")
    with pytest.raises(WeightsError, match="wasn't written by vae-pipeline"):
        load_weights(model, tmp_path / "weights.safetensors")


def test_weights_of_another_model(model, tmp_path):
    changed = dict(model.state_dict())
    changed["decoder.output.bias"] = torch.zeros(3)
    save_weights(changed, tmp_path / "weights.safetensors")
    with pytest.raises(WeightsError, match=r"decoder\.output\.bias is \(3,\) float32, wanted \(144,\) float32"):
        load_weights(model, tmp_path / "weights.safetensors")


@pytest.mark.parametrize("keep", [0, 10, 1000])
def test_truncated_weights(keep, model, tmp_path):
    path = tmp_path / "weights.safetensors"
    save_weights(model.state_dict(), path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(WeightsError, match="isn't a whole safetensors file"):
        load_weights(model, path)


def test_no_weights(model, tmp_path):
    with pytest.raises(WeightsError, match="run `vae-pipeline train` first"):
        load_weights(model, tmp_path / "weights.safetensors")
