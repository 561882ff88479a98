"""Figures of sentences: perplexity, reconstructions, samples, and sentences on the way between two."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from vae_pipeline.kinds.spec import TextSpec
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.kinds.text.tokens import Tokens, lengths
from vae_pipeline.metrics.bleu import bleu, distinct, self_bleu
from vae_pipeline.metrics.bounds import evaluating
from vae_pipeline.metrics.parts import subset
from vae_pipeline.models.vae import VAE
from vae_pipeline.numerics.randomness import derive, seeded

RECONSTRUCTED, SAMPLES, COMPARED, SHOWN = 1000, 1000, 100, 10
PATHS, STEPS, SHOWN_PATHS = 100, 5, 3
VARIED = 3  # different sentences on a path of five steps
Array = npt.NDArray[Any]
Sentence = tuple[int, ...]


@torch.inference_mode()
def sentence_figures(
    model: VAE,
    prepared: Prepared,
    spec: TextSpec,
    metrics: Mapping[str, Any],
    seed: int,
    device: torch.device,
) -> dict[str, Any]:
    """Figures of the test part; `metrics` has the importance bound, which the perplexity comes from."""
    test = prepared.test
    tokens = int(lengths(test.x[:]).sum())
    some = subset(test, RECONSTRUCTED, seed).x[:]
    with evaluating(model), seeded(derive(seed, "sentences")):
        means = model.encode(torch.from_numpy(some).to(device)).mean
        rebuilt = model.decode(means).mean.cpu().numpy()
        z = model.draw(torch.randn(SAMPLES, model.noise)).to(device)
        drawn = model.decode(z).sample().cpu().numpy()
        paths = homotopies(model, means[: 2 * PATHS]) if len(means) > 1 else None
    originals, reconstructions, samples = (sentences(rows, spec) for rows in (some, rebuilt, drawn))
    known = set(sentences(prepared.train.x[:], spec))
    say = Tokens.of(spec).text
    return {
        "perplexity": math.exp(-metrics["importance_bound"] * len(test) / tokens),
        "perplexity_tokens": tokens,
        "token_accuracy": accuracy(some, rebuilt, spec),
        "exact_match": float(np.mean([one == other for one, other in zip(originals, reconstructions, strict=True)])),
        "bleu": bleu(reconstructions, [[each] for each in originals]),
        "distinct_1": distinct(samples, 1),
        "distinct_2": distinct(samples, 2),
        "self_bleu": self_bleu(samples[:COMPARED]),
        "copied": float(np.mean([each in known for each in samples])),
        "shown_reconstructions": list(zip(say(some[:SHOWN]), say(rebuilt[:SHOWN]), strict=True)),
        "shown_samples": say(drawn[:SHOWN]),
        **({} if paths is None else {"varied_paths": varied(paths, spec)}),
        "shown_paths": [] if paths is None else [say(path) for path in paths[:SHOWN_PATHS]],
    }


def homotopies(model: VAE, means: Float[Tensor, "ends latents"]) -> Array:
    """[paths, steps, limit]: what is written greedily on straight lines between each two of some latents.

    Source: Bowman et al., Generating Sentences from a Continuous Space, 2016, section 4.3.
    """
    first, last = means[: len(means) // 2 * 2].unflatten(0, (-1, 2)).unbind(1)
    weight = torch.linspace(0, 1, STEPS, device=means.device)[:, None, None]
    return np.asarray(model.decode(first + weight * (last - first)).mean.cpu().numpy().swapaxes(0, 1))


def varied(paths: Array, spec: TextSpec) -> float:
    """Share of the paths [paths, steps, limit] with at least VARIED different sentences."""
    return float(np.mean([len(set(sentences(path, spec))) >= VARIED for path in paths]))


def sentences(rows: Array, spec: TextSpec) -> list[Sentence]:
    """The ids of each row, up to its end."""
    return [tuple(int(each) for each in row if each not in (spec.padding, spec.end)) for row in rows]


def accuracy(originals: Array, reconstructions: Array, spec: TextSpec) -> float:
    """Share of the tokens, ends counted, that a reconstruction has in their place."""
    counted = originals != spec.padding
    return float(((originals == reconstructions) & counted).sum() / counted.sum())
