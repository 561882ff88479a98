"""Principal components in the weights of a linear way: a VAE that starts as the probabilistic PCA of its training part.

    x = W z + m + σ ε        W = U (Λ - σ² I)^½        q(z|x) = N(Λ^-1 (Λ - σ² I)^½ Uᵀ (x - m), σ² Λ^-1)

U and Λ are the first principal components and their variances, σ² is the mean variance of the others. The posterior is
the exact one, so that the first ELBO is log p(x) itself.

Source: Tipping and Bishop, Probabilistic Principal Component Analysis, 1999, eqs. 7, 8 and 15.
"""

import torch
from torch import nn

from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.parts import subset, viewed
from vae_pipeline.models.likelihoods.discretised import DiscretisedLikelihood, NormalTail
from vae_pipeline.models.likelihoods.gaussian import GaussianLikelihood
from vae_pipeline.models.nets.dense import DenseDecoder, DenseEncoder
from vae_pipeline.models.posteriors import GaussianPosterior, NormalisedPosterior
from vae_pipeline.models.vae import VAE
from vae_pipeline.numerics.randomness import derive
from vae_pipeline.system.errors import RecipeError

EXAMPLES = 10_000  # that the components, or the units of features, are taken from
VALUES = 2**25  # likewise, in all


@torch.no_grad()
def begin_linear(model: VAE, train: Split, seed: int) -> None:
    """Let a model whose nets have a linear way past them start from the principal components of its training part.

    Another model, or one whose posterior or likelihood isn't Gaussian with a linear mean, is left as it is; so is one
    whose posterior means are normalised. Of a discretised Gaussian likelihood the start is as exact as its scale is
    wide beside a level.

    Raises:
        RecipeError: there are as many latents as examples or values, or more.
    """
    encoder, decoder, posterior, likelihood = model.encoder, model.decoder, model.posterior, model.likelihood
    if not (
        isinstance(encoder, DenseEncoder)
        and encoder.shortcut
        and isinstance(decoder, DenseDecoder)
        and decoder.shortcut is not None
        and isinstance(posterior, GaussianPosterior)
        and not isinstance(posterior, NormalisedPosterior)
        and (
            isinstance(likelihood, GaussianLikelihood)
            or (isinstance(likelihood, DiscretisedLikelihood) and isinstance(likelihood.tail, NormalTail))
        )
        and likelihood.mean == "linear"
    ):
        return
    mean, components, variances, rest = _principal(model, train, seed)
    noise = rest if likelihood.fixed is None else likelihood.fixed**2
    signal = (variances - noise).clamp_min(0).sqrt()
    _fill(posterior.mean, (signal / variances)[:, None] * components, -(signal / variances) * (components @ mean))
    _fill(posterior.log_variance, None, (noise / variances).clamp(max=1).log())
    planes = decoder.shape[0]
    _fill(decoder.output, None, torch.cat([mean, mean.new_zeros((planes - 1) * len(mean))]))
    decoder.shortcut.weight.zero_()
    decoder.shortcut.weight[: len(mean), : len(signal)] = (signal[:, None] * components).T
    likelihood.begin(float(rest) ** 0.5)


def _principal(model: VAE, train: Split, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """The mean, the components, their variances, and the mean variance of what they leave."""
    from sklearn.decomposition import PCA  # noqa: PLC0415 (a second of a CPU, for those who have a linear way)

    values = torch.Size(train.x.shape[1:]).numel()
    some = subset(train, max(1, min(EXAMPLES, VALUES // values)), seed)
    rows = torch.cat([torch.from_numpy(each) for each in viewed(some, model.scaling, "principal components")]).numpy()
    most = min(len(rows) - 1, rows.shape[1] - 1)
    if model.latents > most:
        raise RecipeError(
            f"model.posterior.latents is {model.latents}, and {len(rows)} training examples of {rows.shape[1]} values "
            f"leave {max(most, 0)} principal components to start from at most: set it to fewer, or leave out the "
            "shortcuts"
        )
    found = PCA(model.latents, random_state=derive(seed, "pca") % 2**32).fit(rows)
    least = 1e-12 + 1e-7 * float(found.explained_variance_[0])  # where nothing is left, σ isn't 0
    mean, components, variances = (
        torch.from_numpy(each).float() for each in (found.mean_, found.components_, found.explained_variance_)
    )
    return mean, components, variances.clamp_min(least), torch.tensor(max(float(found.noise_variance_), least))


def _fill(layer: nn.Linear, weight: torch.Tensor | None, bias: torch.Tensor) -> None:
    """Give a layer these weights for its last inputs, and none for the others."""
    layer.weight.zero_()
    if weight is not None:
        layer.weight[:, -weight.shape[1] :] = weight
    layer.bias.copy_(bias)
