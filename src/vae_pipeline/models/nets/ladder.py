"""The two networks of a ladder: up from an observation to features of every level, down from latents to an output."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vae_pipeline.models.nets.activation import activation, outputs
from vae_pipeline.models.nets.convolution import group_norm
from vae_pipeline.models.nets.levels import Level
from vae_pipeline.recipe.section import Activation

Map = Float[Tensor, "batch _ _ _"]
MOST_LOG_SCALE = 3.0  # what a level draws is stretched by e^3 at most
LITTLE = 0.1  # of a residual ladder's usual first weights, what those of a level's mean and scale begin with


class LadderEncoder(nn.Module):
    """An observation, and a label if there is one, to the features of every level."""

    def __init__(self, shape: Sequence[int], labels: int, levels: Sequence[Level], function: Activation) -> None:
        super().__init__()
        stages = [level for level in reversed(levels) if not level.shared]
        widths = [shape[0] + labels, *[level.channels for level in stages]]
        self.levels = nn.ModuleList(
            nn.Sequential(_Shrink(before, level), *_blocks(level, function))
            for before, level in zip(widths, stages, strict=False)
        )
        self.readers = [sum(not above.shared for above in levels[index:]) - 1 for index in range(len(levels))]
        """For each level, topmost first, the stage whose features it reads."""

    def forward(self, x: Map, label: Float[Tensor, "batch classes"] | None) -> list[Map]:
        """Features, topmost level first; a one-hot `label` joins the image as constant channels."""
        if label is not None:
            x = torch.cat([x, label[:, :, None, None].expand(-1, -1, x.shape[2], x.shape[3])], 1)
        features = []
        for level in self.levels:
            x = level(x)
            features.append(x)
        return [features[stage] for stage in self.readers]


class LadderDecoder(nn.Module):
    """The way down: each level adds what its latents say to the state that comes from above."""

    def __init__(
        self,
        shape: Sequence[int],
        labels: int,
        planes: int,
        levels: Sequence[Level],
        function: Activation,
        residual: bool = False,
    ) -> None:
        """With `residual` nothing but blocks lies between levels on one map: the state goes on as it is."""
        super().__init__()
        top, bottom = levels[0], levels[-1]
        self.shape, self.sizes = (planes, *shape), [math.prod(level.shape) for level in levels]
        self.start = nn.Parameter(torch.randn(1, top.channels, *top.side))
        self.label = nn.Linear(labels, top.channels, bias=False) if labels else None
        self.levels = nn.ModuleList(_Draw(level) for level in levels)
        self.ways = nn.ModuleList(
            nn.Sequential(
                *_blocks(level, function),
                *([] if residual and level.continues(below) else [_Grow(level, below.channels)]),
            )
            for level, below in pairwise(levels)
        )
        self.output = nn.Sequential(
            *_blocks(bottom, function), group_norm(bottom.channels), _Grow(bottom, planes * shape[0])
        )

    def descend(
        self,
        count: int | torch.SymInt,
        label: Float[Tensor, "batch classes"] | None,
        choose: Callable[[int, Map], Tensor],
    ) -> Map:
        """The last state for `count` rows, where `choose` gives the flat latents of a level, given its state."""
        state = self.begun(count, label)
        for index, level in enumerate(self.levels):
            state = level(state, choose(index, state))
            if index < len(self.ways):
                state = self.ways[index](state)
        return state

    def begun(self, count: int | torch.SymInt, label: Float[Tensor, "batch classes"] | None) -> Map:
        """The state over the topmost level."""
        state = self.start.expand(count, -1, -1, -1)
        if self.label is not None and label is not None:
            state = state + self.label(label)[:, :, None, None]
        return state

    def finish(self, state: Map) -> Float[Tensor, "batch planes channels height width"]:
        """The parameters of the likelihood, not yet constrained, from the last state."""
        output: Tensor = self.output(state).unflatten(1, self.shape[:2])
        return output

    def forward(self, z: Float[Tensor, "batch features"]) -> Float[Tensor, "batch planes channels height width"]:
        """Decode latents, topmost level first, and the one-hot label after them."""
        split = sum(self.sizes)
        pieces = z[:, :split].split(self.sizes, 1)
        return self.finish(self.descend(z.shape[0], z[:, split:], lambda index, _: pieces[index]))


class _Draw(nn.Module):
    """Adds mean + scale * z to the state, mean and scale being linear in it: a draw of p(level | levels above)."""

    def __init__(self, level: Level) -> None:
        super().__init__()
        self.shape = level.shape
        self.prior = nn.Conv2d(level.channels, 2 * level.latents, 1)
        self.input = nn.Conv2d(level.latents, level.channels, 1)

    def forward(self, state: Map, z: Float[Tensor, "batch latents"]) -> Map:
        mean, log_scale = self.prior(state).chunk(2, 1)
        drawn = mean + (MOST_LOG_SCALE * torch.tanh(log_scale / MOST_LOG_SCALE)).exp() * z.unflatten(1, self.shape)
        added: Tensor = state + self.input(drawn)
        return added


class LadderHead(nn.Module):
    """Mean and log-variance of one level's latents, flat, from the state above it and the encoder's features."""

    def __init__(self, level: Level, function: Activation) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(2 * level.channels, level.channels, 1),
            *_blocks(level, function),
            nn.Conv2d(level.channels, 2 * level.latents, 1),
        )

    def forward(
        self, state: Map, features: Map
    ) -> tuple[Float[Tensor, "batch latents"], Float[Tensor, "batch latents"]]:
        """Mean and log-variance, the latter not yet bounded."""
        mean, log_variance = self.layers(torch.cat([state, features], 1)).float().chunk(2, 1)
        return mean.flatten(1), log_variance.flatten(1)


class _Block(nn.Module):
    """x + f(x), as He et al. (2016, Identity Mappings in Deep Residual Networks) arrange it."""

    def __init__(self, level: Level, function: Activation) -> None:
        super().__init__()
        channels, kernel = level.channels, 1 if level.side == (1, 1) else 3
        inner = -(-channels // level.bottleneck)
        sizes = [(channels, channels, kernel), (channels, channels, kernel)]
        if level.bottleneck > 1:
            sizes = [(channels, inner, 1), (inner, inner, kernel), (inner, channels, 1)]
        layers: list[nn.Module] = [group_norm(channels)]
        for before, after, side in sizes[:-1]:
            layers += [
                nn.Conv2d(before, outputs(function) * after, side, padding=side // 2),
                activation(function),
            ]
        before, after, side = sizes[-1]
        self.layers = nn.Sequential(*layers, nn.Conv2d(before, after, side, padding=side // 2))

    def forward(self, x: Map) -> Map:
        added: Tensor = x + self.layers(x)
        return added


def _blocks(level: Level, function: Activation) -> list[_Block]:
    return [_Block(level, function) for _ in range(level.blocks)]


class _Shrink(nn.Conv2d):
    """A map made smaller for the level above: one convolution of patches that don't overlap, the last ones padded."""

    def __init__(self, inputs: int, level: Level) -> None:
        super().__init__(inputs, level.channels, level.stride, stride=level.stride)
        self.missing = [level.stride * side - below for side, below in zip(level.side, level.below, strict=True)]

    def forward(self, input: Map) -> Map:
        return super().forward(nn.functional.pad(input, (0, self.missing[1], 0, self.missing[0])))


class _Grow(nn.Module):
    """A map made larger for the level below: every place becomes a patch, and what sticks out is cut off."""

    def __init__(self, level: Level, channels: int) -> None:
        super().__init__()
        kernel = 1 if level.side == (1, 1) else 3
        self.layers = nn.Sequential(
            nn.Conv2d(level.channels, channels * level.stride**2, kernel, padding=kernel // 2),
            nn.PixelShuffle(level.stride),
        )
        self.side = level.below

    def forward(self, x: Map) -> Map:
        grown: Tensor = self.layers(x)[:, :, : self.side[0], : self.side[1]]
        return grown


@torch.no_grad()
def begin_small(encoder: LadderEncoder, heads: nn.ModuleList, decoder: LadderDecoder) -> None:
    """Shrink what is added to a residual state by the root of how often that is done, so that depth brings no growth.

    Every level begins next to N(0, I), in the prior as in the posterior.

    Source: Child, Very Deep VAEs, 2021, section 3.
    """
    for network in (encoder, decoder):
        blocks = [module for module in network.modules() if isinstance(module, _Block)]
        for block in blocks:
            _shrink(block.layers[-1], len(blocks) ** -0.5)
    for level, head in zip(decoder.levels, heads, strict=True):
        assert isinstance(level, _Draw) and isinstance(head, LadderHead)
        _shrink(level.input, len(decoder.levels) ** -0.5)
        _shrink(level.prior, LITTLE)
        _shrink(head.layers[-1], LITTLE)


def _shrink(layer: nn.Module, factor: float) -> None:
    assert isinstance(layer, nn.Conv2d) and layer.bias is not None
    layer.weight.mul_(factor)
    layer.bias.zero_()
