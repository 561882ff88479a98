"""What is measured, and what is exported."""

from typing import Literal

from pydantic import model_validator

from vae_pipeline.recipe.section import Count, Finite, Positive, Section

METRICS = Literal[
    "elbo",
    "distortion",
    "rate",
    "bits_per_dimension",
    "importance_bound",
    "effective_sample_size",
    "pareto_k_over_0.7",
    "active_units",
    "mutual_information",
    "decoder_gain",
    "decoder_gain_share",
    "aggregate_kl",
    "aggregate_kl_lower_bound",
    "total_correlation",
    "dimensionwise_kl",
    "mmd2",
    "mmd2_p_value",
    "two_sample_auc",
    "mse",
    "psnr",
    "ssim",
    "mse_of_sample",
    "psnr_of_sample",
    "sharpness",
    "frechet_samples",
    "frechet_reconstructions",
    "precision",
    "recall",
    "density",
    "coverage",
    "nearest_neighbour_ratio",
    "nearer_than_any_test",
    "nearer_than_most_test",
    "half_as_far",
    "samples_sharpness",
    "auroc",
    "average_precision",
    "recall_at_fpr_0.001",
    "recall_at_fpr_0.01",
    "recall_at_fpr_0.05",
    "false_alarm_rate_0.01",
    "false_alarm_rate_0.05",
    "false_alarm_rate_0.1",
    "heat_auroc",
    "pixel_auroc",
    "perplexity",
    "token_accuracy",
    "exact_match",
    "bleu",
    "distinct_1",
    "distinct_2",
    "self_bleu",
    "copied",
    "varied_paths",
]


IMPLIED = Literal["too_few_steps", "below_baseline", "no_active_units", "ignored_latents", "below_pca", "missed_target"]


class Gate(Section):
    """Bounds that a metric must keep."""

    min: Finite | None = None
    max: Finite | None = None

    @model_validator(mode="after")
    def _some_bound(self) -> "Gate":
        if self.min is None and self.max is None:
            raise ValueError("a gate needs min or max")
        return self


class Evaluate(Section):
    """The measurements on the test set."""

    samples: Count
    """K of the importance bound."""
    examples: Count | None
    """Test examples for the importance bound; all if null."""
    gates: dict[METRICS, Gate]
    waive: tuple[IMPLIED, ...] = ()
    """The gates that stand without being named in `gates`, and that this recipe does without."""


class Export(Section):
    """The ONNX bundle."""

    tolerance: Positive
    """Largest |difference| of a graph's answer from the model's, relative to 1 + |answer|, with values of the data
    taken on [0, 1]; of a log-density, relative to the number of its terms + |answer|."""
    licence: str
    intended_use: str
