"""A VAE whose latents are a map: a place of it for each f x f pixels, so that images of any size have one."""

from jaxtyping import Float, Int, Shaped
from torch import Tensor

from vae_pipeline.models.likelihoods import ObservedDistribution
from vae_pipeline.models.nets.residual import ResidualDecoder, ResidualEncoder
from vae_pipeline.models.posteriors import SpatialGaussianPosterior
from vae_pipeline.models.vae import VAE

LatentMap = Float[Tensor, "batch latent_channels rows columns"]


class SpatialVAE(VAE):
    """At the trained size z is that map, flat; images and maps of other sizes go through `encode_map`, `decode_map`."""

    encoder: ResidualEncoder
    posterior: SpatialGaussianPosterior
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
        return self.posterior.map(self.encoder.map(self.scaling(x), self._one_hot(label)))

    def decode_map(self, z: LatentMap, label: Int[Tensor, " batch"] | None = None) -> ObservedDistribution:
        """p(x|z), over scaled images of f times the map's sides."""
        return self.likelihood(self.decoder.map(z, self._one_hot(label)).float())
