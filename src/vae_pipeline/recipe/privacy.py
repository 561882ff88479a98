"""The sections that go with private training: nothing reads training rows beside the noisy gradients."""

from vae_pipeline.recipe.data import Data, TableData, kind_of
from vae_pipeline.recipe.detection import DetectionSection
from vae_pipeline.recipe.model import AnyModel, Model, NormalisedPosterior
from vae_pipeline.recipe.objective import (
    ConstantControl,
    CyclicalControl,
    ElboObjective,
    Objective,
    RateControl,
    WarmUpControl,
)
from vae_pipeline.recipe.sampler import Sampler, kinds_of
from vae_pipeline.recipe.train import Train


def private_fits(
    data: Data,
    model: AnyModel,
    objective: Objective,
    control: RateControl,
    train: Train,
    sampler: Sampler,
    detection: DetectionSection | None,
) -> None:
    """Refuse what would tell of training rows beside the noisy gradients, or isn't a sum over rows.

    Raises:
        ValueError: something does; the message says what to take.
    """
    if train.private is None:
        return
    plain = isinstance(control, ConstantControl | CyclicalControl) or (
        isinstance(control, WarmUpControl) and not control.balanced
    )
    kinds = " and ".join(kinds_of(sampler))
    reasons = {
        f"it is for rows of a table, and data.kind is {data.kind}: leave it out": kind_of(data) != "table",
        "which columns follow from others is read off training rows without noise: set data.dependent to "
        "false": isinstance(data, TableData) and data.dependent,
        f"objective.kind {objective.kind} isn't a sum over rows, or wants several draws: take elbo": not isinstance(
            objective, ElboObjective
        ),
        f"rate_control.kind {control.kind} follows the mean of a batch, which has no noise: take constant, cyclical, "
        "or warm_up with balanced: false": not plain,
        "a posterior of kind normalised_gaussian mixes the rows of a batch: take gaussian": isinstance(model, Model)
        and isinstance(model.posterior, NormalisedPosterior),
        f"a sampler of kind {kinds} is fitted to training rows without noise: take sampler: prior, and "
        "model.prior.kind mixture to have one that is learned by noisy gradients": kinds != "prior",
        "how often classes and cells occur is read off training rows without noise: set model.likelihood.shares to "
        "decoded": getattr(model.likelihood, "shares", "decoded") == "matched",
        "detection keeps scores of real rows in the bundle: set detection to null": detection is not None,
        "an epoch that real rows choose tells of them: set train.keep: last, train.patience: null and "
        "train.stop_on_alarm: false": train.keep == "best" or train.patience is not None or train.stop_on_alarm,
        "each row's gradient is clipped, by train.private.clip: set train.clip and train.skip_threshold to "
        "null": train.clip is not None or train.skip_threshold is not None,
        "rows' gradients are made in pieces that suit the memory: set train.accumulate: 1": train.accumulate > 1,
        "gradients are in float32: set train.precision: float32": train.precision != "float32",
    }
    for said, wrong in reasons.items():
        if wrong:
            raise ValueError(f"train.private: {said}")
