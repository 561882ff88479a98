"""An exported bundle of sentences, used: sample, reconstruct, interpolate, score, encode; text in, text out.

Needs numpy, onnxruntime and tokenizers, and nothing else.

    from vae_pipeline.runtime import Bundle, Choice
    writer = Bundle.load("exports/ptb").sentences
    writer.sample(10, seed=0, choice=Choice("sample", top_p=0.9))
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.spec import TextSpec
from vae_pipeline.kinds.text.tokens import Tokens, lengths
from vae_pipeline.runtime.choosing import GREEDY, SAMPLE, Choice, chosen
from vae_pipeline.runtime.graphs import BATCH, Graphs
from vae_pipeline.runtime.inference import Encoding, encode, score
from vae_pipeline.runtime.paths import path_between
from vae_pipeline.runtime.signatures import GraphName
from vae_pipeline.system.errors import DataError

Array = npt.NDArray[Any]
Lines = Sequence[str] | Array
"""Sentences: texts, or what `Tokens.observations` makes of them, [sentences, limit]."""


@dataclass(frozen=True)
class SentenceScores:
    """Scores of each sentence, in nats; bounds, averaged over the draws of z."""

    negative_elbo: Array
    distortion: Array
    rate: Array
    tokens: Array
    """The number of tokens, with the end, but for one at the limit, where every sentence ends."""
    unknown: Array
    """The number of them that the vocabulary lacks: they cost little, whatever they are."""
    perplexity: Array
    """exp(negative_elbo / tokens): at least the model's own."""


class Sentences:
    """The tasks on text, by the graphs of a bundle."""

    def __init__(self, graphs: Graphs, spec: TextSpec) -> None:
        self.graphs, self.spec, self.tokens = graphs, spec, Tokens.of(spec)

    def encode(self, lines: Lines) -> Encoding:
        """q(z|x) of each sentence."""
        return encode(self.graphs, self._observations(lines), None)

    def reconstruct(self, lines: Lines, choice: Choice = GREEDY, seed: int = 0) -> list[str]:
        """Write from the posterior's mean of each sentence."""
        return self.decode(self.encode(lines).mean, choice, seed)

    def sample(self, count: int, seed: int = 0, choice: Choice = SAMPLE) -> list[str]:
        """New sentences, from draws of the fitted sampler, or of the prior."""
        if count < 1:
            raise DataError(f"at least 1 sample is wanted; given {count}")
        noise = np.random.default_rng(seed).standard_normal((count, self.graphs.manifest.noise)).astype(np.float32)
        return self._text(self.graphs.answer(GraphName.SAMPLE, {"noise": noise})["state"], choice, seed)

    def interpolate(
        self, start: str, end: str, steps: int, kind: Literal["linear", "spherical"] = "linear", choice: Choice = GREEDY
    ) -> list[str]:
        """Sentences on the way from one to another, both as they are reconstructed (a homotopy).

        Source: Bowman et al., Generating Sentences from a Continuous Space, 2016, section 4.3.
        """
        first, last = self.encode([start, end]).mean
        return self.between(first, last, steps, kind, choice)

    def between(
        self, first: Array, last: Array, steps: int, kind: Literal["linear", "spherical"] = "linear",
        choice: Choice = GREEDY,
    ) -> list[str]:  # fmt: skip
        """Sentences on the way from one place of the latent space to another, each [latents]."""
        if steps < 2:
            raise DataError(f"a path needs at least 2 steps; given {steps}")
        return self.decode(path_between(first, last, np.linspace(0, 1, steps), kind), choice)

    def decode(self, z: Array, choice: Choice = GREEDY, seed: int = 0) -> list[str]:
        """Write from latents [sentences, latents]."""
        return self._text(self.graphs.answer(GraphName.INITIAL, {"z": z})["state"], choice, seed)

    def score(self, lines: Lines, samples: int = 16, seed: int = 0) -> SentenceScores:
        """The likelihood of each sentence under the model."""
        x = self._observations(lines)
        found = score(self.graphs, x, None, samples, seed)
        tokens, unknown = lengths(x), (x == self.spec.unknown).sum(axis=1)
        perplexity = np.exp(found.negative_elbo / tokens)
        return SentenceScores(**vars(found), tokens=tokens, unknown=unknown, perplexity=perplexity)

    def _observations(self, lines: Lines) -> Array:
        return lines if isinstance(lines, np.ndarray) else self.tokens.observations(lines)

    def _text(self, state: Array, choice: Choice, seed: int) -> list[str]:
        return self.tokens.text(self.write(state, choice, seed))

    def write(self, state: Array, choice: Choice, seed: int = 0) -> Array:
        """Ids [sentences, limit] from states; what is drawn for one doesn't depend on the others."""
        if choice.kind == "beam":
            return np.stack([self._searched(each[None], choice.beams) for each in state])
        shape = len(state), self.spec.limit
        drawn = np.random.default_rng([seed, 1]).random(shape) if choice.kind == "sample" else np.zeros(shape)
        parts = range(0, len(state), BATCH)
        return np.concatenate([
            self._written(state[at : at + BATCH], choice, drawn[at : at + BATCH]) for at in parts
        ])  # fmt: skip

    def _step(self, token: Array, state: Array) -> tuple[Array, Array]:
        answer = self.graphs.run(GraphName.STEP, {"token": token.astype(np.int32), "state": state})
        return answer[0], answer[1]

    def _written(self, state: Array, choice: Choice, drawn: Array) -> Array:
        spec = self.spec
        rows = np.full((len(state), spec.limit), spec.padding, np.int32)
        going, token = np.arange(len(state)), np.full(len(state), spec.start)
        for place in range(spec.limit - 1):
            log_probability, state = self._step(token, state)
            token = spec.end + chosen(log_probability, choice, drawn[going, place])
            rows[going, place] = token
            on = token != spec.end
            going, token, state = going[on], token[on], state[on]
            if not len(going):
                return rows
        rows[going, -1] = spec.end
        return rows

    def _searched(self, state: Array, beams: int) -> Array:
        """Search the sentence with the likeliest tokens on average, going on from the likeliest beginnings.

        By the whole, the shortest would win (Wu et al., Google's Neural Machine Translation System, 2016, section 7);
        none is empty.
        """
        spec = self.spec
        texts: list[list[int]] = [[]]
        likelihood, token = np.zeros(1), np.array([spec.start])
        ended: list[tuple[float, list[int]]] = []
        for place in range(spec.limit - 1):
            log_probability, state = self._step(token, state)
            whole = likelihood[:, None] + log_probability
            if place == 0:
                whole[:, 0] = -np.inf
            kept = np.argpartition(-whole, min(beams, whole.size) - 1, axis=None)[:beams]
            origin, token, likelihood = kept // whole.shape[1], spec.end + kept % whole.shape[1], whole.ravel()[kept]
            texts = [[*texts[row], int(each)] for row, each in zip(origin, token, strict=True)]
            on = token != spec.end
            ended += [(likelihood[row] / (place + 1), texts[row]) for row in np.flatnonzero(~on)]
            token, likelihood, state = token[on], likelihood[on], state[origin][on]
            texts = [text for text, going in zip(texts, on, strict=True) if going]
            if len(ended) >= beams or not texts:
                break
        else:  # at the limit they end for sure
            ended += [(each / spec.limit, [*text, spec.end]) for each, text in zip(likelihood, texts, strict=True)]
        best = max(ended)[1]
        row = np.full(spec.limit, spec.padding, np.int32)
        row[: len(best)] = best
        return row
