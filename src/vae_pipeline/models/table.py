"""A VAE of a table's rows, of which new ones are drawn whole: their noise, their classes and their gaps with them."""

from jaxtyping import Float, Int
from torch import Tensor

from vae_pipeline.models.likelihoods.mixed import RowDistribution
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
        rows = self.decode(z, label)
        assert isinstance(rows, RowDistribution)  # the builder says so
        return self.rows.drawn(rows, uniform, self.scaling)
