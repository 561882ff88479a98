"""A VAE whose latents are a map: a place of it for each f x f pixels, so that images of any size have one."""

from jaxtyping import Float, Int, Shaped
from torch import Tensor

from vae_pipeline.models.codes import nearest
from vae_pipeline.models.likelihoods import ObservedDistribution
from vae_pipeline.models.nets.residual import ResidualDecoder, ResidualEncoder, repeated
from vae_pipeline.models.posteriors import FiniteScalarPosterior, SpatialGaussianPosterior
from vae_pipeline.models.vae import VAE

LatentMap = Float[Tensor, "batch latent_channels rows columns"]


class SpatialVAE(VAE):
    """At the trained size z is that map, flat; images and maps of other sizes go through `encode_map`, `decode_map`."""

    encoder: ResidualEncoder
    posterior: SpatialGaussianPosterior | FiniteScalarPosterior
    decoder: ResidualDecoder

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """Channels, height and width of the map that z is, at the trained size."""
        return self.decoder.latent_shape

    @property
    def factor(self) -> int:
        """The factor f by which a map's sides are smaller than the image's."""
        return self.encoder.factor

    def encode_map(
        self, x: Shaped[Tensor, "batch channels height width"], label: Int[Tensor, " batch"] | None = None
    ) -> tuple[LatentMap, LatentMap]:
        """Mean and log-variance of q(z|x) of raw images whose sides f divides."""
        return self.posterior.map(self.encoder.map(self.scaling(x), self.one_hot(label)))

    def decode_map(self, z: LatentMap, label: Int[Tensor, " batch"] | None = None) -> ObservedDistribution:
        """p(x|z), over scaled images of f times the map's sides."""
        return self.likelihood(self.decoder.map(z, self.one_hot(label)).float())


class QuantisedVAE(SpatialVAE):
    """A map of codes: whatever the sampler draws becomes the code next to it."""

    posterior: FiniteScalarPosterior

    @property
    def code_levels(self) -> tuple[int, ...]:
        """Levels of each channel's numbers."""
        return tuple(map(int, self.posterior.levels.flatten().tolist()))

    def draw(
        self, noise: Float[Tensor, "batch noise"], label: Int[Tensor, " batch"] | None = None
    ) -> Float[Tensor, "batch latents"]:
        """New codes from noise of N(0, I)."""
        return nearest(super().draw(noise, label).unflatten(1, self.latent_shape), self.posterior.levels).flatten(1)

    def within(
        self, x: Shaped[Tensor, "batch channels height width"], label: Int[Tensor, " batch"] | None = None
    ) -> LatentMap:
        """The numbers that are rounded to codes, of raw images of any size."""
        divided = repeated(self.scaling(x), [-side % self.factor for side in x.shape[2:]])
        return self.posterior.within(self.encoder.map(divided, self.one_hot(label)))
