"""Gates: what a report must keep, or the stage fails once it is written.

A recipe sets bounds of its own. Beside them stand those that follow from what a result is, the implied gates, which a
recipe waives one by one, by name:

    too_few_steps     the run was too short for its weights to have learned
    below_baseline    ELBO and importance bound are under the log-likelihood of independent values, without latents
    no_active_units   no latent dimension varies over the examples
    ignored_latents   the decoder does no better by an example's own z than by another's
    below_pca         images are reconstructed worse than by as many principal components
    missed_target     the rate or distortion that the rate control steers for is over 10 % away
    not_denoised      a denoiser's answers are no nearer to the clean observations than the corrupted ones were

A supervised denoiser has the last in place of `below_baseline`: it tells the clean observation from the corrupted one,
and a low beta, which does that best, leaves a rate that no observation is worth.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vae_pipeline.kinds.spec import DataSpec
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.metrics.alarms import PREFERRED, ignorance
from vae_pipeline.metrics.gain import Gain
from vae_pipeline.recipe import TrainedRecipe
from vae_pipeline.recipe.evaluate import Evaluate, Gate
from vae_pipeline.recipe.objective import CapacityControl, RateControl, TargetDistortionControl, TargetRateControl
from vae_pipeline.recipe.remedies import to_carry_more, to_fit_better
from vae_pipeline.training.length import Length, too_short
from vae_pipeline.training.trained import Trained

MISSED = 0.1  # of a target


@dataclass(frozen=True)
class Gates:
    """Gates that aren't kept, each with what is wrong and, if it is implied, what to change."""

    failed: Mapping[str, str]
    waived: Mapping[str, str]

    def figures(self) -> dict[str, Any]:
        """Figures by their names in metrics.json."""
        return {
            "failed_gates": list(self.failed),
            "waived_gates": list(self.waived),
            "gates_said": {**self.failed, **self.waived},
        }


def gates(metrics: Mapping[str, Any], wanted: Evaluate, trained: Trained, prepared: Prepared) -> Gates:
    """Compare a model's figures with what they must be."""
    short, waive = _too_short(trained, len(prepared.train)), set[str](wanted.waive)
    broken = {} if short is None else {"too_few_steps": short}
    broken |= implied(metrics, trained.recipe, prepared.spec, trained.impatient)
    waived = {name: said for name, said in broken.items() if name in waive}
    failed = {name: said for name, said in broken.items() if name not in waive}
    return Gates({**breaches(metrics, wanted.gates), **failed}, waived)


def breaches(metrics: Mapping[str, Any], bounds: Mapping[str, Gate]) -> dict[str, str]:
    """The metrics that are outside the recipe's bounds, each with what is wrong."""
    failed: dict[str, str] = {}
    for name, gate in bounds.items():
        value = metrics.get(name)
        if value is None:
            reason = metrics.get("left_out", {}).get(name)
            failed[name] = f"{name} is left out: {reason}" if reason else f"{name} isn't measured for this likelihood"
        elif gate.min is not None and not value >= gate.min:
            failed[name] = f"{name} is {value:.6g}, under its min of {gate.min:g}"
        elif gate.max is not None and not value <= gate.max:
            failed[name] = f"{name} is {value:.6g}, over its max of {gate.max:g}"
    return failed


def implied(
    metrics: Mapping[str, Any], trained: TrainedRecipe, spec: DataSpec, impatient: bool = False
) -> Iterator[tuple[str, str]]:
    """The implied gates that a model's figures break; `impatient` if its training ended by `patience`."""
    elbo, baseline = metrics["elbo"], metrics["baseline_elbo"]
    denoise = trained.train.denoise
    if denoise is not None and (gain := gained(metrics)) is not None and not gain > 0:
        yield "not_denoised", f"denoising gains {gain:.3g} dB: {to_fit_better(trained, impatient)}"
    # Of a beta under 1 the ELBO is loose, and a model far better than the baseline may have one that is under it.
    bound = metrics["importance_bound"]
    better = elbo >= baseline or elbo < baseline <= bound
    if not better and (denoise is None or denoise.mode != "supervised"):
        yield (
            "below_baseline",
            (
                f"the ELBO is {elbo:.6g}, the importance bound {bound:.6g}, under the {baseline:.6g} of independent "
                "values without latents: "
                f"{to_fit_better(trained, impatient)}"
            ),
        )
    if not metrics["active_units"]:
        yield "no_active_units", f"none of {metrics['latents']} latent dimensions is active: {to_carry_more(trained)}"
    own = Gain.of(metrics)
    if own is not None and own.share < PREFERRED:
        yield "ignored_latents", f"{ignorance(own)}: {to_carry_more(trained)}"
    missed = miss(metrics, trained.rate_control)
    if missed is not None:
        remedy = f"{to_fit_better(trained, impatient)} or, where training reached it, more data or a nearer target"
        yield "missed_target", f"{missed}: {remedy}"
    if _beaten_by_pca(metrics, trained, spec):
        idle = metrics["latents"] - metrics["active_units"]
        cause = f"; {idle} of as many dimensions are idle" if idle else ""
        what = to_carry_more(trained) if idle else to_fit_better(trained, impatient)
        reached, pca = f"{metrics['psnr']:.4g} dB", f"{metrics['baseline_psnr']:.4g} dB of {metrics['latents']}"
        yield (
            "below_pca",
            (
                f"reconstructions come to {reached}, under the {pca} principal components{cause}: {what}; "
                "more images help too"
            ),
        )


def gained(metrics: Mapping[str, Any]) -> float | None:
    """The dB of PSNR or SI-SDR by which a denoiser's answers are nearer than what it was given; None of no denoiser."""
    if "si_sdr_gain" in metrics:
        return float(metrics["si_sdr_gain"])
    return float(metrics["psnr_of_denoised"] - metrics["psnr_of_input"]) if "psnr_of_denoised" in metrics else None


def miss(metrics: Mapping[str, Any], control: RateControl) -> str | None:
    """A target of the rate control that some examples' figures miss, in words; None if there is none, or it is reached.

    A rate may be too high or too low, a distortion or PSNR too bad alone. A PSNR is that of the mean squared error at a
    drawn z, which is what the controller holds.
    """
    match control:
        case TargetRateControl() | CapacityControl():
            name, key, unit, reached, wanted = "rate", "nats", "nats", metrics["rate"], control.nats
            over = abs(reached - wanted)
        case TargetDistortionControl(nats=float() | int() as wanted):
            name, key, unit, reached = "distortion", "nats", "nats", metrics["distortion"]
            over = reached - wanted
        case TargetDistortionControl(psnr=float() | int() as wanted):
            name, key, unit, reached = "PSNR", "psnr", "dB", -10 * math.log10(metrics["mse_of_sample"])
            over = wanted - reached
        case _:
            return None
    if over <= MISSED * max(1.0, abs(wanted)):
        return None
    return f"the {name} is {reached:.4g} {unit}, where rate_control.{key} asks for {wanted:g}"


def _beaten_by_pca(metrics: Mapping[str, Any], trained: TrainedRecipe, spec: DataSpec) -> bool:
    """Judge grey and colour images whose fidelity the recipe doesn't set itself; a PSNR says little of binary ones."""
    if spec.binary or metrics.get("baseline_psnr") is None:
        return False
    steered = isinstance(trained.rate_control, TargetRateControl | CapacityControl | TargetDistortionControl)
    return not steered and metrics["psnr"] < metrics["baseline_psnr"]


def _too_short(trained: Trained, examples: int) -> str | None:
    """Say why the run, which `train.max_minutes` may have ended early, is too short; None if it isn't."""
    train = trained.recipe.train
    length = Length.of(train, math.ceil(examples / train.batch))
    made = length.steps if train.max_minutes is None else min(length.steps, len(trained.history) * length.epoch)
    return too_short(train, made)
