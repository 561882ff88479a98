"""A VAE of sound whose latents are a map with a place for each frame, so that recordings of any length have one."""

from jaxtyping import Float
from torch import Tensor

from vae_pipeline.models.likelihoods import ObservedDistribution
from vae_pipeline.models.nets.residual_frames import FramesDecoder, FramesEncoder, Reach
from vae_pipeline.models.posteriors import FramesPosterior
from vae_pipeline.models.vae import VAE


class FramesVAE(VAE):
    """At the trained length z is that map, flat; spectrograms of another one go through `reconstructed`."""

    encoder: FramesEncoder
    posterior: FramesPosterior
    decoder: FramesDecoder

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """Channels, 1, and frames of the map that z is, at the trained length."""
        return self.decoder.latent_shape

    @property
    def reach(self) -> Reach:
        """The frames beside itself that a frame of p(x|z), at the posterior's mean, depends on."""
        eyes, hands = self.encoder.reach, self.decoder.reach
        return Reach(eyes.before + hands.before, eyes.after + hands.after)

    def reconstructed(self, scaled: Float[Tensor, "batch channels bands frames"]) -> ObservedDistribution:
        """p(x|z) at the posterior's mean, of a spectrogram of any number of frames; of models without labels."""
        mean, _ = self.posterior.map(self.encoder(scaled, None))
        return self.likelihood(self.decoder.map(mean.squeeze(2)).float())
