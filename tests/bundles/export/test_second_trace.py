"""What is traced once gives what torch gives; what needs it is traced again."""

import numpy as np
import pytest
import torch
from onnxruntime import InferenceSession
from torch import nn
from torch.onnx._internal.exporter import _fx_passes

from vae_pipeline.bundles.export import second_trace
from vae_pipeline.bundles.export.onnx import to_onnx

pytestmark = pytest.mark.slow
OUTPUTS = ("cast", "squared", "taken", "either", "larger", "image", "sound", "flat", "turned")


class Replaced(nn.Module):
    """Every operator that is replaced, beside checks and the casts that do nothing."""

    def __init__(self):
        super().__init__()
        self.image = nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1, output_padding=1)
        self.sound = nn.ConvTranspose1d(2, 1, 4, stride=2, bias=False)

    def forward(self, x):
        small = torch.tensor([0.5, 2.0, -1.0]).detach_()
        narrow, wide = torch.broadcast_tensors(x[:, :1, :1, 0], x[:, :, :, 0])
        either = (x > 0) & (x < 1) | (x < -2)
        return (
            (x.double().to(torch.float32) + x.to(torch.float32)).flatten(1).flatten(1),
            x.square(),
            1.5 - x,
            torch.where(either, x, 0.0),
            torch.stack([narrow, wide]).transpose(0, 1) * small[None, None, :2, None],
            self.image(x),
            self.sound(x[..., 0]),
            x.flatten(2),
            x.mT,
        )


@pytest.fixture
def again(monkeypatch):
    """How often a program was traced a second time."""
    second_trace.skip_second_trace()
    where_needed, seen = _fx_passes.decompose_with_registry, []
    always = where_needed.traced_again
    monkeypatch.setattr(where_needed, "traced_again", lambda *given: (seen.append(1), always(*given))[1])
    return seen


def answers(module, outputs):
    torch.manual_seed(0)
    module = module.eval()
    proto = to_onnx(module, {"x": torch.randn(2, 2, 4, 5)}, outputs, "", {"vae.graph": "x"})
    assert "Einsum" not in {node.op_type for node in proto.graph.node}  # OpenCV reads it wrongly
    assert "Einsum" not in {node.op_type for node in proto.graph.node}  # OpenCV reads it wrongly
    assert "Einsum" not in {node.op_type for node in proto.graph.node}  # OpenCV reads it wrongly
    assert "Einsum" not in {node.op_type for node in proto.graph.node}  # OpenCV reads it wrongly
    x = torch.randn(3, 2, 4, 5)
    found = InferenceSession(proto.SerializeToString()).run(None, {"x": x.numpy()})
    wanted = module(x)
    return found, [each.detach().numpy() for each in (wanted if isinstance(wanted, tuple) else (wanted,))]


def test_operators_that_are_replaced_answer_as_torchs_do(again):
    found, wanted = answers(Replaced(), OUTPUTS)
    for name, one, other in zip(OUTPUTS, found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6, err_msg=name)
    assert again == []


def test_views_that_are_made_of_others_are_traced_again(again):
    class Narrow(nn.Module):
        def forward(self, x):
            return x.narrow(2, 1, 2) + 1

    (found,), (wanted,) = answers(Narrow(), ("y",))
    np.testing.assert_array_equal(found, wanted)
    assert again == [1]


def test_others_are_traced_again(again):
    norm = nn.BatchNorm2d(2)
    norm.running_mean += 1
    (found,), (wanted,) = answers(norm, ("y",))
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)
    assert again == [1]


class Outer(nn.Module):
    """Tensors of which none has the shape of all, one twice, and a factor."""

    def forward(self, x):
        row, column = torch.broadcast_tensors(x[:, :1, 0], torch.arange(4.0)[:, None])
        same, again = torch.broadcast_tensors(x, x)
        return row + column, same - again.square(), torch.rsub(x, 2.0, alpha=3.0)


def test_what_cannot_be_replaced_one_for_one_is_traced_again(again):
    found, wanted = answers(Outer(), ("outer", "same", "taken"))
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)
    assert again == [1]
