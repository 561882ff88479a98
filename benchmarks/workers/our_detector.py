"""The pipeline's estimator, with what PyOD's have by default: every row that it is given trains or calibrates it."""

from vae_pipeline import VAEDetector


def Detector(seed, **settings):  # noqa: N802 (as PyOD's)
    return VAEDetector(random_state=seed, **{name: value for name, value in settings.items() if value is not None})
