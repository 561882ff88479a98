"""A VAE of a table's rows, which draws new ones whole, their noise, classes and gaps with them, and judges columns."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vae_pipeline.models.draw import Posterior
from vae_pipeline.models.likelihoods.mixed import MixedLikelihood, RowDistribution
from vae_pipeline.models.likelihoods.rows import DrawnRows, RowDraw
from vae_pipeline.models.scaling import TableScaling
from vae_pipeline.models.vae import VAE


class TableVAE(VAE):
    """A VAE whose p(x|z) is of columns, each of a family of its own."""

    scaling: TableScaling
    rows: RowDraw

    def draw_rows(
        self,
        z: Float[Tensor, "batch latents"],
        uniform: Float[Tensor, "batch even"],
        label: Int[Tensor, " batch"] | None = None,
    ) -> DrawnRows:
        """Raw rows of p(x|z) by numbers that are even in (0, 1)."""
        return self.rows.drawn(self.decoded_rows(z, label), uniform, self.scaling)

    def decoded_rows(
        self, z: Float[Tensor, "batch latents"], label: Int[Tensor, " batch"] | None = None
    ) -> RowDistribution:
        """p(x|z) as rows are drawn of it, with the shares of the training part where these are matched."""
        output = self.decoded(z, label)
        rows = self.likelihood(output if self.rows.offset is None else output + self.rows.offset)
        assert isinstance(rows, RowDistribution)  # the builder says so
        return rows

    def doubtful(self, x: Float[Tensor, "batch columns"]) -> Bool[Tensor, " batch"]:
        """True of raw rows whose density rounding decides, as a number of theirs lies at the end of a cell."""
        likelihood = self.likelihood
        assert isinstance(likelihood, MixedLikelihood)  # the builder says so
        return likelihood.cells.doubtful(likelihood.layout.take(self.scaling(x)[:, 0], "histogram"))

    def left_out(
        self, x: Float[Tensor, "batch columns"], noise: Float[Tensor, "draws latents"]
    ) -> Float[Tensor, "batch columns"]:
        """Nats by which a raw row's -ELBO exceeds that of the row without the column: about -log p(x_j | the others).

        For each column z is inferred again, with the value that the model expects in its place, and the others judged:
        a value that is wrong moves z, by which it looks less odd, and the others more, than they are. `noise` draws z,
        the same for all. It takes a pass through encoder and decoder for each column.

        Sources: filling by encoder and decoder, Rezende et al., 2014, app. F; a value judged given all others, Geisser
        and Eddy, A Predictive Approach to Model Selection, 1979.
        """
        scaled = self.scaling(x)
        posterior = self._posterior(scaled, None)
        rows = self.decode(posterior.mean)
        assert isinstance(rows, RowDistribution)  # the builder says so
        expected = rows.expected(scaled[:, 1])
        by_element, rate = self._terms(scaled, posterior, noise)
        columns = torch.eye(scaled.shape[-1], device=x.device)
        count, others = len(columns), 1 - columns
        # Rows of the first column, then those of the second; by products, since no runtime spreads `where` over both.
        filled = (scaled * others[:, None, None] + expected * columns[:, None, None]).flatten(0, 1)
        target = torch.cat([scaled] * count)
        after, other_rate = self._terms(target, self._posterior(filled, None), noise)
        # Column by column, as a difference of sums would lose what a far value leaves of float32.
        spared = ((by_element - after.reshape(count, -1, count)) * others[:, None]).sum(-1)
        return by_element + (spared + rate - other_rate.reshape(count, -1)).T

    def _terms(
        self, target: Float[Tensor, "batch 2 columns"], posterior: Posterior, noise: Float[Tensor, "draws latents"]
    ) -> tuple[Float[Tensor, "batch columns"], Float[Tensor, " batch"]]:
        """The distortion of each column and the rate, averaged over the draws."""
        draws = noise.unsqueeze(1).expand(-1, target.shape[0], -1)
        inference = self.explain(target, posterior.draw(draws), None)
        return -inference.likelihood.log_prob_by_element(target).mean(0), inference.rate().mean(0)
