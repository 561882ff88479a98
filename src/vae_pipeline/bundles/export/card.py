"""MODEL_CARD.md: what the model is, what it was trained on, what was measured, what it is for.

Source: Mitchell et al., Model Cards for Model Reporting, 2019, for the headings.
"""

from collections.abc import Mapping
from typing import Any

from vae_pipeline.evaluation.report.words import reading
from vae_pipeline.kinds.spec import DataSpec, TextSpec
from vae_pipeline.kinds.words import words_of
from vae_pipeline.recipe import TrainedRecipe
from vae_pipeline.recipe.evaluate import Export
from vae_pipeline.recipe.model import AnyModel, Ladder


def model_card(
    name: str,
    trained: TrainedRecipe,
    export: Export,
    spec: DataSpec,
    card: Mapping[str, Any],
    metrics: Mapping[str, Any],
    weights: str,
) -> str:
    """The card, as Markdown."""
    model, train, words = trained.model, trained.train, words_of(spec)
    conditional = f"; conditional on a label of {len(spec.classes)}" if model.conditional else ""
    measured = "\n".join(f"| {label} | {value} |" for label, value in _measured(metrics))
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
the {train.keep} epoch's weights were kept.

## Intended use

{export.intended_use}

Licence: {export.licence}

## Data

{counts} {words.full}. Of the test examples, {duplicates["test_in_train"]} are also in train.{notes}

{origins}

## Measured on the test part

| | |
|---|---:|
{measured}

{reading(metrics["measure"], words)} ± is the standard error over {words.nouns}.

{_gates(metrics)}

## Files

`bundle.json` names each graph with its inputs, outputs, shapes and sha256; beside each graph lies an `.npz` with
inputs and the answers that were proved. {_raw(spec)}
`score` and `sample` take their noise as an input.
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


def _raw(spec: DataSpec) -> str:
    if isinstance(spec, TextSpec):
        return "Inputs are ids of tokens; the tokenizer, by which text becomes ids and back, is in `bundle.json`."
    return "Inputs are raw: scaling is part of every graph."


def _parts(model: AnyModel) -> str:
    if isinstance(model, Ladder):
        return f"a ladder of {len(model.levels)} levels, standard normal prior"
    return (
        f"{_said(model.encoder.kind)} encoder, {_said(model.posterior.kind)} posterior, "
        f"{_said(model.prior.kind)} prior, {_said(model.decoder.kind)} decoder"
    )


def _said(kind: str) -> str:
    return kind.replace("_", " ")


def _measured(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    cap = metrics.get("mutual_information_cap")
    labels = {
        "elbo": "ELBO (nats)",
        "baseline_elbo": "the same of independent values, without latents (nats)",
        "distortion": "distortion (nats)",
        "rate": "rate (nats)",
        "bits_per_dimension": "bits per dimension",
        "importance_bound": f"importance bound, K = {metrics['importance_samples']} (nats)",
        "pareto_k_over_0.7": "share of its examples whose weights have too long a tail for it, Pareto k̂ over 0.7",
        "scale": "scale of the likelihood, on [0, 1]",
        "entropy_floor": "entropy floor of the cross-entropy (nats)",
        "active_units": "active units",
        "mutual_information": f"mutual information, which is seen up to {cap:.3g} (nats)" if cap is not None else "",
        "decoder_gain": "decoder gain: nats by which its own latents explain an example better than another's",
        "mse": "reconstruction MSE on [0, 1]",
        "psnr": "reconstruction PSNR (dB)",
        "baseline_psnr": "the same of as many principal components (dB)",
        "ssim": "reconstruction SSIM",
        "sharpness": "sharpness of reconstructions, of the images' 1",
        "perplexity": "perplexity, by the importance bound, ends counted",
        "bleu": "BLEU of reconstructions",
        "token_accuracy": "tokens in their place, of reconstructions",
        "copied": "samples that are sentences of the training part",
        "auroc": "AUROC of the score, anomalies against normal examples",
        "average_precision": "the same: average precision",
        "recall_at_fpr_0.01": "the same: recall at 1 % false alarms",
        "false_alarm_rate_0.05": "false alarms at alpha = 0.05, of normal test examples",
    }
    rows = []
    for key, label in labels.items():
        if key not in metrics:
            continue
        error = metrics.get(f"{key}_standard_error")
        spread = f" ± {error:.2g}" if error is not None else ""
        value = metrics[key]
        rows.append((label, f"{value}" if isinstance(value, int) else f"{value:.4g}{spread}"))
    return rows
