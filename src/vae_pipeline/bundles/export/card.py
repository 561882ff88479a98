"""MODEL_CARD.md: what the model is, what it was trained on, what was measured, what it is for.

Source: Mitchell et al., Model Cards for Model Reporting, 2019, for the headings.
"""

from collections.abc import Mapping
from typing import Any

from vae_pipeline.evaluation.report.figures import beside, told
from vae_pipeline.evaluation.report.words import reading
from vae_pipeline.kinds.spec import DataSpec
from vae_pipeline.kinds.words import Wording, words_of
from vae_pipeline.recipe import TrainedRecipe, figures
from vae_pipeline.recipe.evaluate import Export
from vae_pipeline.recipe.model import AnyModel, FeatureView, Ladder, StandardNormalPrior
from vae_pipeline.runtime.latent_map import LatentMapEntry
from vae_pipeline.runtime.privacy_entry import OUTSIDE, PrivacyEntry
from vae_pipeline.system.typed_json import typed


def model_card(
    name: str,
    trained: TrainedRecipe,
    export: Export,
    spec: DataSpec,
    card: Mapping[str, Any],
    metrics: Mapping[str, Any],
    weights: str,
    files: str | None = None,
    privacy: PrivacyEntry | None = None,
) -> str:
    """The card, as Markdown; `files` is its last section, where that isn't a bundle's."""
    model, train, words = trained.model, trained.train, words_of(spec)
    features = isinstance(model.view, FeatureView)
    words = words.of_features() if features else words
    conditional = f"; conditional on a label of {len(spec.classes)}" if model.conditional else ""
    origins = "\n".join(f"- {origin}: `{digest}`" for origin, digest in card["origins"].items())
    counts = ", ".join(f"{count:,} {part}" for part, count in card["examples"].items())
    duplicates = card["duplicates"]
    notes = "".join(f" {note[0].upper()}{note[1:]}." for note in card.get("notes", ()))
    control = ", ".join(f"{name} {value}" for name, value in trained.rate_control.model_dump(exclude={"kind"}).items())
    return f"""# Model card: {name}

{trained.about}

## Model

A Variational Autoencoder with {metrics["latents"]} latent dimensions{conditional}: \
{_parts(model)}, {_said(model.likelihood.kind)} likelihood. Weights: `sha256:{weights}`.

Objective: {_said(trained.objective.kind)}; rate control: {_said(trained.rate_control.kind)} ({control}). \
Trained for up to {train.length}, batches of {train.batch}, \
learning rate {train.learning_rate:g} ({train.schedule.replace("_", " ")}), seed {trained.seed}; \
the {train.keep} epoch's weights were kept.{_begun(trained)}\
{"" if train.augment is None else f" {train.augment.told}"}\
{"" if train.denoise is None else f" {train.denoise.told}"}\
{"" if train.sharpness is None else f" {train.sharpness.told} ELBO and bounds are measured as of any model."}

{_private(privacy)}## Intended use

{export.intended_use}

Licence: {export.licence}

## Data

{counts} {words.full}. Of the test examples, {duplicates["test_in_train"]} are also in train.{notes}

{origins}

{_scale(metrics)}## Measured on the test part

| figure | value | to compare |
|---|---:|---|
{_measured(metrics, words)}

{reading(metrics["measure"], words)} ± is the standard error over {words.nouns}.

{_gates(metrics)}

{files or _bundle_files(words, metrics, features)}"""


def _bundle_files(words: Wording, metrics: Mapping[str, Any], features: bool) -> str:
    noise = "`score` takes its noise" if features else "`score` and `sample` take their noise"
    spread = " The spread of the latents is `latent_map` in `bundle.json`." if "latent_map" in metrics else ""
    return f"""## Files

`bundle.json` names each graph with its inputs, outputs, shapes and sha256; beside each graph lies an `.npz` with
inputs and the answers that were proved. {words.raw}
{noise} as an input.{spread}
"""


def _begun(trained: TrainedRecipe) -> str:
    start = trained.train.start
    if start is None:
        return ""
    trains = "of which the decoder alone was trained" if start.part == "decoder" else "all of which were trained on"
    return f" It began with the weights of an AutoencoderKL of diffusers in `{start.folder}`, {trains}."


def _private(privacy: PrivacyEntry | None) -> str:
    """A section on what was promised to the rows that the model was trained on."""
    if privacy is None:
        return ""
    return f"""## Privacy

{privacy.promise} That is of each row, and not of a person who has several. By DP-SGD: {privacy.steps:,} steps on \
batches that each row was in with probability {privacy.sample_rate:.4g}, gradients of single rows clipped to \
{privacy.clip:g}, noise multiplier {privacy.noise_multiplier:.4g}, from shares of classes and cells with a noise \
multiplier of {privacy.start_multiplier:.4g}; accountant {privacy.accountant}.

{OUTSIDE}

"""


def _scale(metrics: Mapping[str, Any]) -> str:
    """A section on a map of latents: what a model of these latents has to know."""
    if "latent_map" not in metrics:
        return ""
    told = typed(LatentMapEntry, metrics["latent_map"])
    mean, deviation, scale = (
        ", ".join(map(_number, values)) for values in (told.mean, told.deviation, [1 / each for each in told.deviation])
    )
    tiles = (
        "places depend on the whole image, so that tiles aren't exact"
        if not told.bounded
        else f"a place depends on {told.encoder_radius} pixels around its own, a pixel on {told.decoder_radius} places"
    )
    return f"""## Latents

A map of {told.channels} channels with a place for each {told.factor} x {told.factor} pixels, of images of any size; \
{tiles}. Over places and draws of q(z|x) of {told.images:,} training images, scale factor \
{told.scale_factor:.6g} (1 / the deviation of all channels together, as diffusers means it); by channel: mean {mean}; \
deviation {deviation}; 1 / deviation {scale}.

"""


def _gates(metrics: Mapping[str, Any]) -> str:
    """Name the gates that the model fails, and those that its recipe waives."""
    said = metrics.get("gates_said", {})
    kinds = {"failed_gates": "**Gates that this model fails:**", "waived_gates": "Gates that the recipe waives:"}
    parts = [
        "\n".join([title, "", *(f"- {name}: {said.get(name, '')}" for name in metrics[key])])
        for key, title in kinds.items()
        if metrics.get(key)
    ]
    return "\n\n".join(parts) or "All gates are kept."


def _parts(model: AnyModel) -> str:
    if isinstance(model, Ladder):
        where = "" if isinstance(model.prior, StandardNormalPrior) else " at the top"
        return f"a ladder of {sum(row.repeat for row in model.levels)} levels, {_said(model.prior.kind)} prior{where}"
    seen = f"features of kind {_said(model.view.kind)}, " if isinstance(model.view, FeatureView) else ""
    return (
        f"{seen}{_said(model.encoder.kind)} encoder, {_said(model.posterior.kind)} posterior, "
        f"{_said(model.prior.kind)} prior, {_said(model.decoder.kind)} decoder"
    )


def _said(kind: str) -> str:
    return kind.replace("_", " ")


def _measured(metrics: Mapping[str, Any], words: Wording) -> str:
    """A row of the table for each figure."""
    return "\n".join(
        f"| {figure.name}{f' ({figure.unit})' if figure.unit else ''} | {_value(figure, metrics)} | "
        f"{'; '.join(beside(figure, metrics, words, _number, figures.in_percent, _cell))} |"
        for figure in told(figures.FIGURES, metrics)
    )


def _value(figure: figures.Figure, metrics: Mapping[str, Any]) -> str:
    value, error = metrics.get(figure.key), metrics.get(f"{figure.key}_standard_error")
    if value is None:
        return _cell(f"left out: {metrics['left_out'][figure.key]}")
    if isinstance(value, str):
        return _cell(value)
    if figure.share:
        return f"{100 * value:.3g} ± {100 * error:.2g} %" if error is not None else figures.in_percent(value)
    return _number(value) + (f" ± {error:.2g}" if error is not None else "")


def _number(value: float) -> str:
    return f"{value}" if isinstance(value, int) else f"{value:.4g}"


def _cell(text: str) -> str:
    """A text that doesn't end the cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")
