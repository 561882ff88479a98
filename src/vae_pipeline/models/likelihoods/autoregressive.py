"""The distribution of a sentence: each token given those before it.

p(x|z) = Π_t p(x_t | x_1 … x_(t-1), z), up to and with the end; padding behind it adds nothing. A sentence that comes
to the limit ends there for sure, so that the probabilities of all sentences sum to one.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn
from torch.distributions import constraints

from vae_pipeline.kinds.text.spec import CELLS, END, PADDING, START, UNKNOWN
from vae_pipeline.models.likelihoods import Measure, ObservedDistribution
from vae_pipeline.models.likelihoods.values import Values
from vae_pipeline.models.nets.columns import one_hot
from vae_pipeline.models.nets.recurrent import RecurrentDecoder, eager, trimmed
from vae_pipeline.models.vocabulary import FIRST, Output
from vae_pipeline.numerics.randomness import uniform

TIE = 1e-4
"""Nats, by which the likeliest tokens may differ where two computations of one model choose differently."""


class AutoregressiveLikelihood(nn.Module):
    """A decoder's starting state to p(x|z), by its recurrent net and an output layer."""

    planes = 1

    def __init__(
        self, network: RecurrentDecoder, output: Output, vocabulary: int, limit: int, word_dropout: float
    ) -> None:
        super().__init__()
        self.network, self.output = network, output
        self.vocabulary, self.limit, self.word_dropout = vocabulary, limit, word_dropout

    def forward(self, output: Float[Tensor, "*batch carried"]) -> "Autoregressive":
        """p(x|z)."""
        return Autoregressive(self, output)

    def measure(self, binary: bool) -> Measure:  # noqa: ARG002 (every likelihood is asked the same)
        """The kind of the numbers."""
        return "mass"

    def figures(self) -> dict[str, float]:
        """None: its nets have all its parameters."""
        return {}

    def independent(self, train: Values, test: Values) -> float:
        """The baseline is the frequency of each token, whatever came before; half a token is added to each."""
        counts = [
            np.sum([np.bincount(ids.ravel(), minlength=self.vocabulary)[FIRST:] for ids in part], axis=0)
            for part in (train, test)
        ]
        p = (counts[0] + 0.5) / (counts[0] + 0.5).sum()
        return float((counts[1] * np.log(p)).sum() / test.count)

    def step(
        self, token: Int[Tensor, " rows"], state: Float[Tensor, "rows carried"]
    ) -> tuple[Float[Tensor, "rows classes"], Float[Tensor, "rows carried"]]:
        """The log-probability of each class after one more token, and the state then."""
        features, after = self.network.step(token, state)
        return self.output(features), after

    def log_prob(
        self, tokens: Int[Tensor, "rows limit"], state: Float[Tensor, "rows carried"], samples: int
    ) -> Float[Tensor, "rows limit"]:
        """log p of each token given those before it; 0 for padding. The rows are those of `samples` batches."""
        given = _before(tokens)
        if self.training and self.word_dropout:
            hidden = uniform([samples], given.unflatten(0, (samples, -1))[0].float()).flatten(0, 1)
            given = torch.where((hidden < self.word_dropout) & (given > UNKNOWN), UNKNOWN, given)
        if torch.is_grad_enabled() or not eager():
            return self._together(tokens, given, state, samples)
        found = state.new_zeros(tokens.shape)
        for rows in _chunks((tokens != PADDING).sum(1), CELLS // self.vocabulary):
            found[rows] = self._together(tokens[rows], given[rows], state[rows])
        return found

    def _together(self, tokens: Tensor, given: Tensor, state: Tensor, samples: int = 1) -> Tensor:
        wanted = trimmed(tokens)
        features = self.network(given[:, : wanted.shape[1]], state, samples)
        asked = self._asked(wanted)
        if eager():  # padding costs nothing
            classes = (wanted - FIRST).clamp_min(0)
            places = asked.flatten().nonzero().squeeze(-1)
            each = self.output.of(features.flatten(0, 1).index_select(0, places), classes.flatten()[places])
            found = torch.zeros_like(features[..., 0]).flatten().index_put((places,), each).unflatten(0, wanted.shape)
        else:
            found = (self.output(features) * one_hot((wanted - FIRST).float(), self.vocabulary - FIRST)).sum(-1) * asked
        return nn.functional.pad(found, (0, self.limit - wanted.shape[1]))

    def log_prob_likeliest(
        self, tokens: Int[Tensor, "rows limit"], state: Float[Tensor, "rows carried"], samples: int
    ) -> Float[Tensor, "rows limit"]:
        """log p of the token that is likeliest after those before it, at each place; 0 for padding."""
        log_probability: Tensor = self.output(self.network(_before(tokens), state, samples))
        return log_probability.amax(-1) * self._asked(tokens)

    def _asked(self, tokens: Tensor) -> Tensor:
        """True where a token is drawn: it is no padding, nor an end at the limit, which is there for sure."""
        asked = tokens != PADDING
        if tokens.shape[1] == self.limit:
            asked = asked & (torch.arange(self.limit, device=asked.device) < self.limit - 1)
        return asked


def _before(tokens: Int[Tensor, "rows limit"]) -> Int[Tensor, "rows limit"]:
    """The token before each."""
    return torch.cat([torch.full_like(tokens[:, :1], START), tokens[:, :-1]], 1)


def _chunks(lengths: Tensor, tokens: int) -> Iterator[Tensor]:
    """Rows of like length, so many at a time that they hold at most so many tokens, padding counted."""
    order = lengths.argsort(stable=True)
    rising, start = lengths[order].tolist(), 0
    while start < len(rising):
        end = start + 1
        while end < len(rising) and rising[end] * (end + 1 - start) <= tokens:
            end += 1
        yield order[start:end]
        start = end


class Autoregressive(ObservedDistribution):
    """A distribution over rows of `limit` ids, which are given as numbers of any type."""

    arg_constraints = {}  # noqa: RUF012
    support = constraints.nonnegative_integer

    def __init__(self, likelihood: AutoregressiveLikelihood, state: Float[Tensor, "*batch carried"]) -> None:
        self.likelihood, self.state, self.rank = likelihood, state, 1
        super().__init__(state.shape[:-1], torch.Size([likelihood.limit]), validate_args=False)

    def log_prob_by_element(self, value: Shaped[Tensor, "*rows limit"]) -> Float[Tensor, "*batch limit"]:
        """log p of each token given those before it; 0 for padding."""
        return self._of(self.likelihood.log_prob, value)

    def log_prob_expected(self, value: Shaped[Tensor, "*rows limit"]) -> Float[Tensor, "*batch limit"]:
        """log p of the token that is likeliest after those before it, at each place; 0 for padding."""
        return self._of(self.likelihood.log_prob_likeliest, value)

    def squared_error_by_element(self, value: Shaped[Tensor, "*rows limit"]) -> Float[Tensor, "*batch limit"]:
        """Squared distance of each token's probability from 1."""
        return (1 - self.log_prob_by_element(value).exp()).square()

    def _of(self, answer: Callable[[Tensor, Tensor, int], Tensor], value: Tensor) -> Tensor:
        limit, batch = value.shape[-1], self.batch_shape
        tokens = value.long().expand(*batch, limit).reshape(-1, limit)
        samples = batch[0] if len(batch) > 1 else 1
        found = answer(tokens, self.state.reshape(-1, self.state.shape[-1]), samples)
        return found.reshape(*batch, limit)

    @torch.no_grad()
    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Token by token, each drawn from what is said of it."""
        shape = torch.Size([*sample_shape, *self.batch_shape])
        state = self.state.expand(*shape, -1).reshape(-1, self.state.shape[-1])
        rows = _written(self.likelihood, state, lambda _, log_p: log_p.exp().multinomial(1)[:, 0])
        return rows.reshape(*shape, -1).float()

    @property
    @torch.no_grad()
    def mean(self) -> Tensor:
        """The sentence in which each token is the likeliest after those before it: what a decoder is shown by."""
        state = self.state.reshape(-1, self.state.shape[-1])
        rows = _written(self.likelihood, state, lambda _, log_p: log_p.argmax(-1))
        return rows.reshape(*self.batch_shape, -1).float()

    @torch.no_grad()
    def mean_beside(self, tokens: Int[Tensor, "rows limit"]) -> Int[Tensor, "rows limit"]:
        """`mean`, with these `tokens` where they are as likely but for TIE: whoever rounds otherwise takes another."""
        other = (tokens.long() - FIRST).clamp_min(0)

        def chosen(place: int, log_p: Tensor) -> Tensor:
            likeliest, theirs = log_p.max(-1), other[:, place]
            as_likely = log_p.gather(-1, theirs.unsqueeze(-1)).squeeze(-1) >= likeliest.values - TIE
            return torch.where(as_likely, theirs, likeliest.indices)

        return _written(self.likelihood, self.state, chosen)


def _written(likelihood: AutoregressiveLikelihood, state: Tensor, choose: Callable[[int, Tensor], Tensor]) -> Tensor:
    """Ids of sentences [rows, limit]; `choose` takes a place and the log-probabilities of classes there."""
    limit, count = likelihood.limit, len(state)
    token = torch.full((count,), START, device=state.device)
    ended = torch.zeros(count, dtype=torch.bool, device=state.device)
    rows = torch.full((count, limit), PADDING, device=state.device)
    for place in range(limit):
        log_probabilities, state = likelihood.step(token, state)
        token = torch.full_like(token, END) if place == limit - 1 else choose(place, log_probabilities) + FIRST
        rows[:, place] = torch.where(ended, PADDING, token)
        ended |= token == END
        if ended.all():
            break
    return rows
