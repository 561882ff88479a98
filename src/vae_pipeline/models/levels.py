"""The level of a corruption: a number, or one that is drawn from a range."""

import torch


def level_of(level: float | tuple[float, float], generator: torch.Generator) -> float:
    """The level itself; of a range one that is drawn evenly."""
    if not isinstance(level, tuple):
        return level
    low, high = level
    return low + (high - low) * torch.rand((), generator=generator).item()
