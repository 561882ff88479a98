"""The figures of a report: which there are, in what unit, beside what, and what each means in one line.

The meanings are those of docs/glossary.md; `kinds.words` fills in the nouns that stand for observations.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from vae_pipeline.evaluation.report.findings import Findings
from vae_pipeline.evaluation.report.markup import datum, table


@dataclass(frozen=True)
class Figure:
    """One key of metrics.json."""

    key: str
    name: str
    unit: str
    gloss: str
    beside: tuple[tuple[str, str], ...] = ()
    """Keys of what it is to be compared with, and around each the words that say what that is.

    Of a mapping every value is shown, with its own `{name}`.
    """


HEADLINE = (
    Figure("elbo", "ELBO", "nats",
           "Evidence lower bound, −(distortion + rate), at beta = 1 whatever beta trained. Higher is better.",
           (("baseline_elbo", "independent values, without z {}"),)),
    Figure("importance_bound", "Importance bound", "nats",
           "The log of the mean of K weights p(x, z) / q(z | x), which rises with K: of all {nouns}, by their ELBO and "
           "what the bound is above it on those that it was taken of. k̂ over 0.7 says that the weights of {a_noun} "
           "have too long a tail for it. Higher is better.",
           (("importance_samples", "K = {}"), ("importance_examples", "taken of {} {nouns}"),
            ("pareto_k_over_0.7", "k̂ over 0.7 for {} of them"), ("importance_bounds", "{} at K = {name}"))),
    Figure("distortion", "Distortion", "nats",
           "−log p(x | z) at a z drawn from the posterior: what is left to say of {a_noun} once z is known. "
           "Lower is better.",
           (("entropy_floor", "entropy floor {}"),)),
    Figure("rate", "Rate", "nats",
           "KL(q(z | x) ‖ p(z)): how far the posterior is from the prior, and so the most that z can tell of "
           "{a_noun}. Neither high nor low is better in itself.",
           (("mutual_information", "mutual information {}"),)),
    Figure("bits_per_dimension", "Bits per dimension", "bits",
           "−ELBO / (D ln 2), with D values in {a_noun}. Lower is better."),
    Figure("active_units", "Active units", "",
           "Latent dimensions whose posterior mean varies over the test part by more than 0.01; the others are idle.",
           (("latents", "of {} latents"),)),
    Figure("perplexity", "Perplexity", "",
           "exp(−importance bound / tokens), ends counted: between how many equally likely tokens the model is left to "
           "choose. Lower is better.",
           (("perplexity_tokens", "of {} tokens"),)),
    Figure("psnr", "PSNR", "dB",
           "Reconstructions from the posterior's mean against their images, each image's own, averaged. "
           "Higher is better.",
           (("baseline_psnr", "PCA of as many components {}"), ("psnr_of_sample", "from a drawn z {}"))),
    Figure("frechet_samples", "Fréchet distance", "",
           "Of samples from test images, in the features of a small classifier of our own (so it isn't the FID of "
           "papers). Lower is better; training images show about what perfect samples would reach.",
           (("frechet_floor", "training images {}"), ("frechet_reconstructions", "reconstructions {}"),
            ("frechet_prior", "draws of the prior {}"))),
)  # fmt: skip
BOUNDS = (
    Figure("scale", "Scale of the likelihood", "",
           "How far the likelihood lets values lie from their mean, on values scaled to [0, 1]."),
    Figure("effective_sample_size", "Effective sample size", "",
           "(Σw)² / Σw² of the K weights of {a_noun}: how many of its draws count. Higher makes the bound surer.",
           (("importance_samples", "K = {}"),)),
)  # fmt: skip
RECONSTRUCTIONS = (
    Figure("mse", "MSE", "",
           "Mean squared error of reconstructions, on values scaled to [0, 1]. Lower is better.",
           (("mse_of_sample", "from a drawn z {}"),)),
    Figure("ssim", "SSIM", "",
           "Structural similarity in windows of 11 × 11 pixels; 1 for equal images. Higher is better."),
    Figure("sharpness", "Sharpness", "",
           "Variance of the Laplacian of reconstructions over that of their images: under 1 they are blurred."),
)  # fmt: skip
SENTENCES = (
    Figure("bleu", "BLEU", "",
           "Of reconstructions with their sentences for references: n-grams of up to four tokens that they have in "
           "common, over all of them together and unsmoothed, from 0 to 1. Higher is better."),
    Figure("token_accuracy", "Tokens in their place", "",
           "Share of a sentence's tokens, its end counted, that its reconstruction has in the same place."),
    Figure("exact_match", "Exact matches", "", "Share of reconstructions that are their sentences."),
    Figure("distinct_1", "Distinct tokens", "", "Share of different ones among all tokens of samples."),
    Figure("distinct_2", "Distinct pairs", "", "Share of different ones among all pairs of neighbours of samples."),
    Figure("self_bleu", "Self-BLEU", "",
           "Mean BLEU of a sample with 99 others for references: high where samples are alike. Unsmoothed, so that "
           "samples under four tokens count as 0; papers take more references."),
    Figure("varied_paths", "Varied paths", "",
           "Share of 100 paths between two test sentences, five even steps of the latents long, with at least three "
           "different sentences. Higher is better."),
    Figure("copied", "Copied", "", "Share of samples that are sentences of the training part, to the last token."),
)  # fmt: skip
SAMPLES = (
    Figure("sampler", "Sampler", "",
           "What new latents are drawn from: the prior, or what was fitted to the posteriors of the training data; "
           "compared by the Fréchet distance of its samples from validation images.",
           (("sampler_components", "{} components"), ("sampler_candidates", "{name} {}"))),
    Figure("samples_sharpness", "Sharpness", "",
           "Variance of the Laplacian of samples over that of test images: under 1 they are blurred."),
    Figure("precision", "Precision", "",
           "Share of samples that lie among test images in feature space. Higher is better."),
    Figure("recall", "Recall", "",
           "Share of test images that lie among samples: whether all kinds are drawn. Higher is better."),
    Figure("density", "Density", "",
           "How many test images' neighbourhoods a sample lies in, relative to what is expected; near 1 is good."),
    Figure("coverage", "Coverage", "",
           "Share of test images with a sample in their neighbourhood. Higher is better."),
    Figure("nearest_neighbour_ratio", "Nearest-neighbour ratio", "",
           "Distance of samples to the nearest training image over that to the nearest test image: well under 1 "
           "means that training images are copied."),
    Figure("nearer_than_any_test", "Nearer than any test image", "",
           "Share of samples that lie nearer to a training image, of all of them, than every test image does. Well "
           "over what chance makes of it, training images are repeated.",
           (("nearer_than_chance", "by chance {}"), ("half_as_far", "less than half as far {}"),
            ("nearer_than_most_test", "nearer than 95 % of test images {}, by chance 0.05"))),
    Figure("feature_accuracy", "Accuracy of the features", "",
           "Share of test images that the classifier behind the features names rightly. The features are as good "
           "as it is."),
)  # fmt: skip
DETECTION = (
    Figure("auroc", "AUROC", "",
           "How often an anomaly of the test part has a higher score than a normal {noun}: 0.5 by chance, 1 always.",
           (("anomalies", "{} anomalies"), ("test_examples", "{} normal {nouns}"),
            ("pca_auroc", "error of as many principal components {}"),
            ("knn_auroc", "distance from the five nearest training images {}"),
            ("auroc_by_kind", "{name} alone {}"))),
    Figure("heat_auroc", "AUROC of heat maps", "",
           "The same, of the mean of the hottest 4 % of each image's heat map in place of its score.",
           (("pca_heat_auroc", "principal components {}"), ("knn_heat_auroc", "nearest training images {}"))),
    Figure("pixel_auroc", "AUROC of pixels", "",
           "How often a pixel within a defect is hotter than one without, over all test images: whether defects are "
           "located.",
           (("pca_pixel_auroc", "principal components {}"), ("knn_pixel_auroc", "nearest training images {}"))),
    Figure("average_precision", "Average precision", "",
           "Share of true alarms, averaged over the thresholds at which one anomaly more is found. It depends on how "
           "common anomalies are in the test part. Higher is better."),
    Figure("recall_at_fpr_0.001", "Recall at 0.1 % false alarms", "",
           "Share of anomalies over the threshold that at most one of a thousand normal test {nouns} is over."),
    Figure("recall_at_fpr_0.01", "Recall at 1 % false alarms", "", "The same, at one of a hundred."),
    Figure("recall_at_fpr_0.05", "Recall at 5 % false alarms", "", "The same, at one of twenty."),
    Figure("false_alarm_rate_0.01", "False alarms at alpha = 0.01", "",
           "Share of normal test {nouns} whose p-value is at most 0.01, by thresholds that were set on held-back "
           "{nouns} alone. At most alpha is promised, on average over calibrations of this size.",
           (("calibration_examples", "calibrated on {} {nouns}"),)),
    Figure("false_alarm_rate_0.05", "False alarms at alpha = 0.05", "", "The same, at 0.05."),
    Figure("false_alarm_rate_0.1", "False alarms at alpha = 0.1", "", "The same, at 0.1."),
)  # fmt: skip
LATENTS = (
    Figure("mutual_information", "Mutual information", "nats",
           "What z tells of which {noun} it came from; the set's size caps what can be seen of it. "
           "Near 0, the encoder ignores x.",
           (("mutual_information_cap", "cap, log N {}"), ("rate", "rate {}"))),
    Figure("decoder_gain", "Decoder gain", "nats",
           "By how much {a_noun} is likelier given its own z than given another {noun}'s; at least about the mutual "
           "information where the decoder is as sharp as z allows. Near 0, the decoder ignores z.",
           (("decoder_gain_share", "own z better for a share of {}, 0.5 by chance"),)),
    Figure("total_correlation", "Total correlation", "nats",
           "How far the latent dimensions depend on each other over the set; 0 if independent."),
    Figure("dimensionwise_kl", "Dimension-wise KL", "nats",
           "How far each latent dimension's own distribution over the set is from the prior's, summed. "
           "Lower is better for samples."),
    Figure("aggregate_kl", "Aggregate KL", "nats",
           "KL(q(z) ‖ p(z)): how far the aggregate posterior is from the prior that samples are drawn from. "
           "Lower is better for samples."),
    Figure("aggregate_kl_lower_bound", "Aggregate KL at least", "nats",
           "By a mixture of Gaussians that was fitted to latents of training {nouns}: a bound from below on the same "
           "divergence, for all {nouns} that there might be."),
    Figure("mmd2", "MMD²", "",
           "Squared maximum mean discrepancy of posterior draws from the prior; 0 if they are alike.",
           (("mmd2_p_value", "p-value {}"),)),
    Figure("two_sample_auc", "Two-sample AUC", "",
           "How well a classifier tells posterior draws from the prior's: 0.5 not at all, 1 always. "
           "Nearer 0.5 is better for samples."),
)  # fmt: skip
KNOWN = (HEADLINE, BOUNDS, RECONSTRUCTIONS, SENTENCES, SAMPLES, DETECTION, LATENTS)
# A cross-entropy is not to be taken for a likelihood.
CROSS_ENTROPIES = {
    "distortion": "Cross-entropy of {a_noun} from its reconstruction, at a z drawn from the posterior; the entropy "
    "floor is the least that any reconstruction reaches. Lower is better.",
}


def figure_table(caption: str, figures: tuple[Figure, ...], findings: Findings) -> str:
    """The figures that were measured, each with what it is compared with and what it means; empty if none was."""
    metrics = findings.metrics
    left_out = metrics.get("left_out", {})
    found = [figure for figure in figures if metrics.get(figure.key) is not None or figure.key in left_out]
    if not found:
        return ""
    rows = [[figure.name, _value(figure, metrics), "<br>".join(_beside(figure, findings))] for figure in found]
    return table(caption, ("figure", "value", "to compare"), rows, [_gloss(figure, findings) for figure in found])


def others(metrics: Mapping[str, Any]) -> tuple[Figure, ...]:
    """Figures that have no words here, under their own names."""
    known = {key for figures in KNOWN for figure in figures for key in (figure.key, *dict(figure.beside))}
    return tuple(
        Figure(key, escape(key.replace("_", " ")), "", "")
        for key, value in metrics.items()
        if isinstance(value, int | float) and key not in known | {"test_examples"}
        if not key.endswith("_standard_error")
    )


def _value(figure: Figure, metrics: Mapping[str, Any]) -> str:
    measured = metrics.get(figure.key)
    if measured is None:
        return "left out"
    if isinstance(measured, str):
        return escape(measured)
    value = datum(measured, metrics.get(f"{figure.key}_standard_error"))
    return f'{value} <span class="unit">{figure.unit}</span>' if figure.unit else value


def _beside(figure: Figure, findings: Findings) -> list[str]:
    shown = []
    for key, text in figure.beside:
        measured = findings.metrics.get(key)
        values = measured if isinstance(measured, Mapping) else {} if measured is None else {"": measured}
        shown += [findings.words.said(text, datum(value), name=escape(name)) for name, value in values.items()]
    return shown


def _gloss(figure: Figure, findings: Findings) -> str:
    reason = findings.metrics.get("left_out", {}).get(figure.key)
    crossed = findings.metrics["measure"] == "cross_entropy" and not reason
    gloss = findings.words.said(CROSS_ENTROPIES.get(figure.key, figure.gloss) if crossed else figure.gloss)
    return f"{gloss} Left out: {escape(reason)}." if reason else gloss
