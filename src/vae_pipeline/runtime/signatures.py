"""The names of a bundle's graphs, and what each takes and gives.

`vae_pipeline.bundles.export.graphs` says what each one means.
"""

from collections.abc import Container, Iterable
from enum import StrEnum
from typing import NamedTuple

from vae_pipeline.kinds.spec import DataSpec


class GraphName(StrEnum):
    """The name of a graph, in bundle.json and in its file's name."""

    ENCODER = "encoder"
    DECODER = "decoder"
    RECONSTRUCT = "reconstruct"
    SCORE = "score"
    SAMPLE = "sample"
    GENERATE = "generate"
    DETECT = "detect"
    DENOISE = "denoise"
    DENOISE_STREAM = "denoise_stream"
    BASE = "base"
    DRAW = "draw"
    SAMPLE_ROWS = "sample_rows"
    GENERATE_ROWS = "generate_rows"
    SAMPLE_DRAWN = "sample_drawn"
    MAP_ENCODER = "map_encoder"
    MAP_DECODER = "map_decoder"
    MAP_DENOISE = "map_denoise"
    INITIAL = "initial"
    STEP = "step"
    GREEDY = "greedy"


class Signature(NamedTuple):
    """The names of inputs and outputs, in their order; a conditional model takes `label` as the last input."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    labelled: bool = True
    """False if the answer is the same for every label, and none is taken."""


SIGNATURES: dict[GraphName, Signature] = {
    GraphName.ENCODER: Signature(("x",), ("mean", "log_variance")),
    GraphName.DECODER: Signature(("z",), ("x_mean",)),
    GraphName.RECONSTRUCT: Signature(("x",), ("x_mean",)),
    GraphName.SCORE: Signature(("x", "noise"), ("negative_elbo", "distortion", "rate")),
    GraphName.SAMPLE: Signature(("noise",), ("x_mean",)),
    GraphName.GENERATE: Signature(("seed", "index"), ("x_mean",)),
    GraphName.DETECT: Signature(("x",), ("score", "p_value", "distortion", "rate", "contributions")),
}
"""The graphs of images and tables; `detect` is there where the detector could be calibrated."""
MAKING = (GraphName.DECODER, GraphName.RECONSTRUCT, GraphName.SAMPLE, GraphName.GENERATE)
"""The graphs that make observations: a model of features of images has none of them."""
BACK: dict[GraphName, Signature] = {GraphName.BASE: Signature(("z",), ("noise", "z_again"), labelled=False)}
"""The graph beside these where the sampler has an inverse."""
DENOISING: dict[GraphName, Signature] = {GraphName.DENOISE: Signature(("x",), ("x_clean", "x_low", "x_high"))}
"""The graph beside these of a model that was trained to denoise, where its intervals could be calibrated."""
STREAM: dict[GraphName, Signature] = {
    GraphName.DENOISE_STREAM: Signature(("chunk", "state"), ("clean", "low", "high", "next_state"), labelled=False)
}
"""The graph of a denoiser of sound that takes a recording in chunks."""
ROWS: dict[GraphName, Signature] = {
    GraphName.DRAW: Signature(("z", "uniform"), ("x_drawn", "present")),
    GraphName.SAMPLE_ROWS: Signature(("noise", "uniform"), ("x_drawn", "present")),
    GraphName.GENERATE_ROWS: Signature(("seed", "index"), ("x_drawn", "present")),
}
"""The graphs of a table that draw rows; bundles that were exported earlier have none."""
DRAWS: dict[GraphName, Signature] = {
    GraphName.DRAW: Signature(("z", "uniform"), ("x_drawn",)),
    GraphName.SAMPLE_DRAWN: Signature(("noise", "uniform"), ("x_drawn",)),
}
"""The graphs that draw images, where the recipe asks for them."""
OPTIONAL = (
    GraphName.DETECT, GraphName.DENOISE, GraphName.DENOISE_STREAM, GraphName.MAP_DENOISE, GraphName.BASE, *ROWS, *DRAWS,
)  # fmt: skip
"""A variant has none: coarser answers aren't those that were calibrated, a coarser inverse is none, and coarser
probabilities draw other rows."""
MAPS: dict[GraphName, Signature] = {
    GraphName.MAP_ENCODER: SIGNATURES[GraphName.ENCODER],
    GraphName.MAP_DECODER: SIGNATURES[GraphName.DECODER],
    GraphName.MAP_DENOISE: DENOISING[GraphName.DENOISE],
}
"""The graphs beside these of a model whose latents are a map; heights and widths are free."""
STEPWISE: dict[GraphName, Signature] = {
    GraphName.ENCODER: SIGNATURES[GraphName.ENCODER],
    GraphName.SCORE: SIGNATURES[GraphName.SCORE],
    GraphName.INITIAL: Signature(("z",), ("state",)),
    GraphName.SAMPLE: Signature(("noise",), ("state",)),
    GraphName.STEP: Signature(("token", "state"), ("log_probability", "next_state")),
    GraphName.GREEDY: Signature(("z",), ("tokens",)),
}
"""The graphs of sentences, which are written token by token."""


def signatures_of(spec: DataSpec, maps: bool) -> dict[GraphName, Signature]:
    """The graphs that a model of these data has; `maps` if its latents are a map."""
    if spec.stepwise:
        return STEPWISE
    drawing = ROWS if spec.kind == "table" else DRAWS
    return SIGNATURES | BACK | DENOISING | STREAM | drawing | (MAPS if maps else {})


def sees_features(spec: DataSpec, given: Container[str]) -> bool:
    """True if a bundle of images with these graphs is one of features, of which no image can be made."""
    return spec.kind == "image" and not any(name in given for name in (*MAKING, GraphName.DENOISE))


def missing(spec: DataSpec, signatures: Iterable[GraphName], given: Container[str]) -> list[GraphName]:
    """The graphs that a bundle lacks and must have."""
    optional = (*OPTIONAL, *MAKING) if sees_features(spec, given) else OPTIONAL
    return [name for name in signatures if name not in given and name not in optional]
