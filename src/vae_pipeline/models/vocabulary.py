"""Output layers: from a decoder's features to the log-probability of each token that may come next.

Classes are ids without the first two, padding and start, which never come next: class 0 is the end.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from vae_pipeline.kinds.text.spec import END

FIRST = END
"""The id of class 0."""
NARROWER = 4
"""The factor by which each group of rarer tokens is narrower than the one before."""


class FullOutput(nn.Module):
    """A linear layer to all classes, with weights of its own or those of the decoder's `embedding`."""

    def __init__(self, width: int, vocabulary: int, embedding: nn.Embedding | None = None) -> None:
        super().__init__()
        self.layer = nn.Linear(width, vocabulary - FIRST)
        self.embedding = (embedding,)  # in a tuple, it isn't a second one among this module's parameters
        if embedding is not None:
            del self.layer.weight

    def forward(self, features: Float[Tensor, "*rows width"]) -> Float[Tensor, "*rows classes"]:
        """The log-probability of each class."""
        tied = self.embedding[0]
        weight = self.layer.weight if tied is None else tied.weight[FIRST:]
        return F.linear(features, weight, self.layer.bias).log_softmax(-1)

    def of(self, features: Float[Tensor, "rows width"], classes: Int[Tensor, " rows"]) -> Float[Tensor, " rows"]:
        """The log-probability of one class a row."""
        every: Tensor = self(features)
        return every.gather(-1, classes.unsqueeze(-1)).squeeze(-1)


class AdaptiveOutput(nn.Module):
    """Frequent classes at once, rarer ones by their group and their place in it: exact, and cheap for what is frequent.

    log p(class) = log p(group) + log p(class | group)

    Source: Grave, Joulin, Cissé, Grangier and Jégou, Efficient Softmax Approximation for GPUs, 2017.
    """

    def __init__(self, width: int, vocabulary: int, cutoffs: tuple[int, ...]) -> None:
        """`cutoffs` are ids at which a group begins."""
        super().__init__()
        self.bounds = [*(cutoff - FIRST for cutoff in cutoffs), vocabulary - FIRST]
        groups = len(cutoffs)
        self.head = nn.Linear(width, self.bounds[0] + groups)
        self.groups = nn.ModuleList(
            nn.Sequential(
                nn.Linear(width, max(1, width // NARROWER ** (index + 1)), bias=False),
                nn.Linear(max(1, width // NARROWER ** (index + 1)), self.bounds[index + 1] - self.bounds[index]),
            )
            for index in range(groups)
        )

    def forward(self, features: Float[Tensor, "*rows width"]) -> Float[Tensor, "*rows classes"]:
        """The log-probability of each class."""
        head, first = self.head(features).log_softmax(-1), self.bounds[0]
        rare = [
            head[..., first + index, None] + group(features).log_softmax(-1) for index, group in enumerate(self.groups)
        ]
        return torch.cat([head[..., :first], *rare], -1)

    def of(self, features: Float[Tensor, "rows width"], classes: Int[Tensor, " rows"]) -> Float[Tensor, " rows"]:
        """The log-probability of one class a row; a group is computed for its own rows alone."""
        first = self.bounds[0]
        head: Tensor = self.head(features).log_softmax(-1)
        group_of = torch.bucketize(classes, torch.tensor(self.bounds[:-1], device=classes.device), right=True)
        found = head.gather(-1, torch.where(group_of > 0, first + group_of - 1, classes).unsqueeze(-1)).squeeze(-1)
        for index, group in enumerate(self.groups):
            rows = (group_of == index + 1).nonzero().squeeze(-1)
            within = group(features.index_select(0, rows)).log_softmax(-1)
            place = (classes.index_select(0, rows) - self.bounds[index]).unsqueeze(-1)
            found = found.index_add(0, rows, within.gather(-1, place).squeeze(-1))
        return found


Output = FullOutput | AdaptiveOutput
