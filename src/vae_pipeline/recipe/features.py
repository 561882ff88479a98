"""The choices that go with a view of features of images, which have no range and of which no image can be made."""

from vae_pipeline.recipe.model import AnyModel, ContinuousLikelihood, FeatureView, Model, SpatialPosterior, VampPrior
from vae_pipeline.recipe.objective import RateControl, TargetDistortionControl
from vae_pipeline.recipe.sampler import Among, Sampler
from vae_pipeline.recipe.train import Train


def features_fit(model: AnyModel, rate_control: RateControl, train: Train, sampler: Sampler) -> None:
    """Refuse what needs images, or values on [0, 1], where a model sees features.

    Raises:
        ValueError: something does; the message says what to take.
    """
    if not isinstance(model.view, FeatureView):
        return
    seen = f"model.view.kind {model.view.kind} gives features"
    likelihood = model.likelihood
    if not isinstance(likelihood, ContinuousLikelihood) or likelihood.mean != "linear":
        given = f"kind {likelihood.kind}" + (", mean sigmoid" if isinstance(likelihood, ContinuousLikelihood) else "")
        raise ValueError(
            f"{seen}, real numbers around 0, and model.likelihood is of {given}: take gaussian, laplace or student_t, "
            "with mean: linear"
        )
    if isinstance(model, Model) and isinstance(model.prior, VampPrior):
        raise ValueError(f"{seen}, and a vamp prior learns values on [0, 1]: take standard_normal or mixture")
    if isinstance(model, Model) and isinstance(model.posterior, SpatialPosterior):
        raise ValueError(
            f"{seen} of images of one size, and a posterior of kind {model.posterior.kind} takes any: take gaussian or "
            "another of a vector"
        )
    images = {
        "sampler: auto compares images": sampler == "auto" or isinstance(sampler, Among),
        "train.sharpness compares images": train.sharpness is not None,
        "train.denoise makes images": train.denoise is not None,
        "train.start is of an autoencoder of images": train.start is not None,
        "rate_control.psnr is of images": isinstance(rate_control, TargetDistortionControl)
        and rate_control.psnr is not None,
    }
    for what, asked in images.items():
        if asked:
            raise ValueError(f"{seen}, of which no image can be made, and {what}: leave it out, or leave out the view")
