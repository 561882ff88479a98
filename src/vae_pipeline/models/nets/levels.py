"""The levels of a ladder, and their sizes over images of any size.

A level is a map of features; its stride says how many times smaller its sides are than those of the level below, or
of the image. A map of 1 x 1 makes a level dense: a stride as long as the map below, or longer, is a full connection.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Level:
    """The sizes of one level."""

    channels: int
    latents: int
    """Latents at each place of its map."""
    blocks: int
    stride: int
    side: tuple[int, int]
    """Height and width of its map."""
    below: tuple[int, int]
    """Height and width of the level below, or of the image."""
    bottleneck: int = 1
    """The factor by which its blocks are narrower inside."""
    shared: bool = False
    """True if the encoder's features are those of the level below, on the same map."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of its latents."""
        return (self.latents, *self.side)

    def continues(self, below: "Level") -> bool:
        """True if the level below has its map and as many channels."""
        return self.side == below.side and self.channels == below.channels


@dataclass(frozen=True)
class LevelRow:
    """Levels of the same sizes on one map, as a recipe has them in one row."""

    channels: int
    latents: int
    blocks: int
    stride: int
    repeat: int = 1
    bottleneck: int = 1


def levels_of(shape: Sequence[int], rows: Sequence[LevelRow]) -> list[Level]:
    """The levels over images of `shape`, topmost first."""
    levels: list[Level] = []
    below = (shape[1], shape[2])
    for row in reversed(rows):
        shrunk = min(row.stride, max(below))
        side = (-(-below[0] // shrunk), -(-below[1] // shrunk))
        lowest = Level(row.channels, row.latents, row.blocks, shrunk, side, below, row.bottleneck)
        over = replace(lowest, stride=1, below=side, shared=True)
        levels = [*[over] * (row.repeat - 1), lowest, *levels]
        below = side
    return levels
