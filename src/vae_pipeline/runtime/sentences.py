"""An exported bundle of sentences, used: sample, reconstruct, interpolate, score, encode; text in, text out.

Needs numpy, onnxruntime and tokenizers, and nothing else.

    from vae_pipeline.runtime.bundle import Bundle
    from vae_pipeline.runtime.sentences import Choice
    writer = Bundle.load("exports/ptb").sentences
    writer.sample(10, seed=0, choice=Choice("sample", top_p=0.9))
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.spec import TextSpec
from vae_pipeline.kinds.text.tokens import Tokens, lengths
from vae_pipeline.runtime.paths import path_between
from vae_pipeline.system.errors import DataError

if TYPE_CHECKING:
    from vae_pipeline.runtime.bundle import Bundle, Encoding

Array = npt.NDArray[Any]
BATCH = 256  # sentences written at a time
BLOCK = 128  # classes, whose probabilities are summed up before one of them is looked for


@dataclass(frozen=True)
class Choice:
    """How each next token is chosen from what is said of it.

    Source: Fan, Lewis and Dauphin, Hierarchical Neural Story Generation, 2018, for `top_k`; Holtzman et al., The
    Curious Case of Neural Text Degeneration, 2020, for `top_p`.
    """

    kind: Literal["greedy", "sample", "beam"]
    """The likeliest one; one drawn; or the sentence that a search finds to have the likeliest tokens on average."""
    temperature: float = 1.0
    """For `sample`: log-probabilities are divided by it."""
    top_k: int | None = None
    """For `sample`: draw from the k likeliest alone."""
    top_p: float | None = None
    """For `sample`: draw from the fewest that have this probability together."""
    beams: int = 4
    """For `beam`: the number of beginnings that are kept."""

    def __post_init__(self) -> None:
        if self.kind not in ("greedy", "sample", "beam"):
            raise DataError(f"tokens can't be chosen by {self.kind!r}: wanted greedy, sample or beam")
        drawn = self.temperature != 1 or self.top_k is not None or self.top_p is not None
        if drawn and self.kind != "sample":
            raise DataError(
                f"temperature, top-k and top-p are of drawn tokens, and {self.kind} draws none: take sample"
            )
        k, p = 1 if self.top_k is None else self.top_k, 1.0 if self.top_p is None else self.top_p
        if not self.temperature > 0 or k < 1 or not 0 < p <= 1 or self.beams < 1:
            raise DataError(
                f"temperature {self.temperature:g}, top-k {self.top_k}, top-p {self.top_p}, beams {self.beams} were "
                "given; wanted a temperature over 0, k and beams of 1 or more, p over 0 and up to 1"
            )


GREEDY, SAMPLE = Choice("greedy"), Choice("sample")


@dataclass(frozen=True)
class SentenceScores:
    """Scores of each sentence, in nats; bounds, averaged over the draws of z."""

    negative_elbo: Array
    distortion: Array
    rate: Array
    tokens: Array
    """How many, with the end, but for one at the limit, where every sentence ends."""
    unknown: Array
    """How many of them the vocabulary lacks: they cost little, whatever they are."""
    perplexity: Array
    """exp(negative_elbo / tokens): at least the model's own."""


class Sentences:
    """The tasks on text, by the graphs of a bundle."""

    def __init__(self, bundle: "Bundle", spec: TextSpec) -> None:
        self.bundle, self.spec, self.tokens = bundle, spec, Tokens.of(spec)

    def encode(self, lines: Sequence[str]) -> "Encoding":
        """q(z|x) of each sentence."""
        return self.bundle.encode(self.tokens.observations(lines))

    def reconstruct(self, lines: Sequence[str], choice: Choice = GREEDY, seed: int = 0) -> list[str]:
        """Write from the posterior's mean of each sentence."""
        return self.decode(self.encode(lines).mean, choice, seed)

    def sample(self, count: int, seed: int = 0, choice: Choice = SAMPLE) -> list[str]:
        """New sentences, from draws of the fitted sampler, or of the prior."""
        if count < 1:
            raise DataError(f"at least 1 sample is wanted; given {count}")
        noise = np.random.default_rng(seed).standard_normal((count, self.bundle.manifest.noise)).astype(np.float32)
        return self._text(self.bundle.answer("sample", {"noise": noise})["state"], choice, seed)

    def interpolate(
        self, start: str, end: str, steps: int, kind: Literal["linear", "spherical"] = "linear", choice: Choice = GREEDY
    ) -> list[str]:
        """Sentences on the way from one to another, both as they are reconstructed (a homotopy).

        Source: Bowman et al., Generating Sentences from a Continuous Space, 2016, section 4.3.
        """
        if steps < 2:
            raise DataError(f"a path needs at least 2 steps; given {steps}")
        first, last = self.encode([start, end]).mean
        return self.decode(path_between(first, last, np.linspace(0, 1, steps), kind), choice)

    def decode(self, z: Array, choice: Choice = GREEDY, seed: int = 0) -> list[str]:
        """Write from latents [sentences, latents]."""
        return self._text(self.bundle.answer("initial", {"z": z})["state"], choice, seed)

    def score(self, lines: Sequence[str], samples: int = 16, seed: int = 0) -> SentenceScores:
        """How likely each sentence is to the model."""
        x = self.tokens.observations(lines)
        found = self.bundle.score(x, None, samples, seed)
        tokens, unknown = lengths(x), (x == self.spec.unknown).sum(axis=1)
        perplexity = np.exp(found.negative_elbo / tokens)
        return SentenceScores(**vars(found), tokens=tokens, unknown=unknown, perplexity=perplexity)

    def _text(self, state: Array, choice: Choice, seed: int) -> list[str]:
        return self.tokens.text(self.write(state, choice, seed))

    def write(self, state: Array, choice: Choice, seed: int = 0) -> Array:
        """Ids [sentences, limit] from states; what is drawn for one doesn't depend on the others."""
        if choice.kind == "beam":
            return np.stack([self._searched(each[None], choice.beams) for each in state])
        drawn = np.random.default_rng([seed, 1]).random((len(state), self.spec.limit))
        parts = range(0, len(state), BATCH)
        return np.concatenate([
            self._written(state[at : at + BATCH], choice, drawn[at : at + BATCH]) for at in parts
        ])  # fmt: skip

    def _step(self, token: Array, state: Array) -> tuple[Array, Array]:
        answer = self.bundle.run("step", {"token": token.astype(np.int32), "state": state})
        return answer[0], answer[1]

    def _written(self, state: Array, choice: Choice, drawn: Array) -> Array:
        spec = self.spec
        rows = np.full((len(state), spec.limit), spec.padding, np.int32)
        going, token = np.arange(len(state)), np.full(len(state), spec.start)
        for place in range(spec.limit - 1):
            log_probability, state = self._step(token, state)
            token = spec.end + _chosen(log_probability, choice, drawn[going, place])
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


def _chosen(log_probability: Array, choice: Choice, drawn: Array) -> Array:
    """A class a row; `drawn` are numbers in [0, 1), one a row."""
    if choice.kind == "greedy":
        return np.asarray(log_probability.argmax(axis=1))
    if choice.temperature != 1:
        log_probability = log_probability - log_probability.max(axis=1, keepdims=True)
        log_probability = np.maximum(log_probability / choice.temperature, -1e4, dtype=np.float64)
    p = np.exp(log_probability)
    if choice.top_k is not None or choice.top_p is not None:
        p[p < _least(p, choice)] = 0
    # First the block that the draw falls into, then its place there: a running sum over all classes takes longest.
    ends = np.add.reduceat(p, np.arange(0, p.shape[1], BLOCK), axis=1, dtype=np.float64).cumsum(axis=1)
    wanted = drawn * ends[:, -1]
    block = (ends <= wanted[:, None]).sum(axis=1)
    wanted -= np.take_along_axis(np.pad(ends, ((0, 0), (1, 0))), block[:, None], 1)[:, 0]
    places = block[:, None] * BLOCK + np.arange(BLOCK)
    inside = np.where(places < p.shape[1], np.take_along_axis(p, np.minimum(places, p.shape[1] - 1), 1), 0)
    reached = inside.cumsum(axis=1, dtype=np.float64)
    likeliest = inside.argmax(axis=1)  # where rounding leaves nothing over, in place of what can't be drawn
    place = (reached <= wanted[:, None]).sum(axis=1)
    possible = np.take_along_axis(inside, np.minimum(place, BLOCK - 1)[:, None], 1)[:, 0] > 0
    return np.asarray(block * BLOCK + np.where((place < BLOCK) & possible, place, likeliest))


def _least(p: Array, choice: Choice) -> Array:
    """The least probability that may be drawn, [rows, 1]; values alone are sorted, which is fast."""
    falling = np.sort(p, axis=1)[:, ::-1]
    if choice.top_k is not None:
        falling = falling[:, : choice.top_k]
    if choice.top_p is None:
        return falling[:, -1:]
    before = falling.cumsum(axis=1) - falling
    kept = (before < choice.top_p * falling.sum(axis=1, keepdims=True)).sum(axis=1, keepdims=True)
    return np.asarray(np.take_along_axis(falling, kept - 1, 1))
