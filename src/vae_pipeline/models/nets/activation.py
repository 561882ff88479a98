"""Activations by name."""

from typing import assert_never

from torch import nn

from vae_pipeline.recipe.section import Activation


def activation(name: Activation) -> nn.Module:
    """A new module of that name."""
    match name:
        case "relu":
            return nn.ReLU()
        case "tanh":
            return nn.Tanh()
        case "silu":
            return nn.SiLU()
        case "gelu":
            # The tanh form: the exact one needs Erf, which some ONNX runtimes lack at opset 18.
            return nn.GELU(approximate="tanh")
        case "gated":
            return nn.GLU(dim=1)
        case _:
            assert_never(name)


def outputs(name: Activation) -> int:
    """The count of numbers that the activation takes for each that it gives."""
    return 2 if name == "gated" else 1
