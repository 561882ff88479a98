"""The page: title, summary, contents, headline figures; then pictures and charts, checks, and where it all comes from.

It needs no network and no script, follows the reader's choice of light or dark, and prints.
"""

from collections.abc import Iterable, Mapping
from html import escape

from vae_pipeline.evaluation.report import words
from vae_pipeline.evaluation.report.charts import bar_chart, line_chart
from vae_pipeline.evaluation.report.checks import attention, checks, needs_attention
from vae_pipeline.evaluation.report.figures import figure_table, measured, others
from vae_pipeline.evaluation.report.findings import Findings
from vae_pipeline.evaluation.report.frame import framed
from vae_pipeline.evaluation.report.latent_map import by_channel, scale_of
from vae_pipeline.evaluation.report.markup import MINUS, datum, figure, players, table
from vae_pipeline.evaluation.report.privacy import CLOSEST, is_audited, privacy
from vae_pipeline.evaluation.report.provenance import provenance
from vae_pipeline.evaluation.report.shown import shown
from vae_pipeline.recipe.figures import figures_of, names

SCORED = ("auroc", "average_precision", "recall_at_fpr_0.01")
"""The figures that each score of a detector is told by."""
MARGINALS = (
    "How the values of each column are distributed: in grey the training rows, in blue drawn ones. Of many "
    "classes the most frequent are shown."
)
TOGETHER = (
    "How strongly each pair of columns goes together, from 0 to 1, in training rows, drawn ones, and the difference: "
    "correlation of two numbers, correlation ratio of a class and a number, Cramér's V of two classes."
)


def page(findings: Findings) -> str:
    """The report as HTML."""
    metrics = findings.metrics
    sections = {
        "How it learned": [_curves(findings)],
        "What it reconstructs": _reconstructions(findings),
        "What it generates": _samples(findings),
        "What it gives away": privacy(findings),
        "What it writes": _sentences(findings),
        "What it finds": _detection(findings),
        "What the latents carry": _latents(findings),
        "Other figures": [
            figure_table("More on the bounds", figures_of("bounds"), findings),
            figure_table("Further measurements", others(metrics), findings),
        ],
        "Checks": [checks(findings)],
        "Where it comes from": [provenance(findings)],
    }
    filled = {title: "\n".join(filter(None, parts)) for title, parts in sections.items() if any(parts)}
    parts = [
        f'<section class="attention">\n<h2>Needs attention</h2>\n{attention(findings)}\n</section>'
        if needs_attention(findings)
        else "",
        f'<p class="summary">{words.summary(findings)}</p>',
        _contents(filled),
        _headline(findings),
        *(f'<section id="{_anchor(title)}">\n<h2>{title}</h2>\n{part}\n</section>' for title, part in filled.items()),
    ]
    about = str(findings.recipe["about"])
    return framed("Report of a variational autoencoder", findings.name, about, "\n".join(filter(None, parts)))


def _contents(titles: Iterable[str]) -> str:
    links = "\n".join(f'<li><a href="#{_anchor(title)}">{title}</a></li>' for title in titles)
    return f'<nav aria-label="Contents">\n<ul>\n{links}\n</ul>\n</nav>'


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


def _headline(findings: Findings) -> str:
    metrics = findings.metrics
    observed = findings.words
    normal = "normal " if "auroc" in metrics else ""
    note = (
        f"{words.reading(metrics['measure'], observed)} Information is in nats {observed.a_noun}, summed over its "
        f"values and averaged over {metrics['test_examples']:,} {normal}test {observed.nouns}; ± is one standard error "
        "over them, and says nothing of another seed."
    )
    return f'{figure_table("Headline figures", figures_of("headline"), findings)}\n<p class="reading">{note}</p>'


def _curves(findings: Findings) -> str:
    epochs = [int(row["epoch"] or 0) for row in findings.history]
    charts = []
    for key, title in (("elbo", "ELBO, nats"), ("distortion", "Distortion, nats"), ("rate", "Rate, nats")):
        series = {part: [row[f"{part}_{key}"] for row in findings.history] for part in ("train", "valid")}
        charts.append(line_chart(title, epochs, series, findings.kept_epoch))
    distance = "Spectral distance" if findings.sounds else "Perceptual distance"
    for key, title in (("perceptual", distance), ("discriminator", "Loss of the discriminator")):
        values = [row.get(key) for row in findings.history]
        if any(value is not None for value in values):
            charts.append(line_chart(title, epochs, {"train": values}, findings.kept_epoch))
    caption = (
        "After each epoch, on the training and the validation part. The dotted line is the epoch whose weights were "
        "kept. The first steep epochs may lie outside the frame."
    )
    return figure("\n".join(charts), caption, "wide")


def _reconstructions(findings: Findings) -> list[str]:
    if findings.sounds:
        return _heard_again(findings)
    alt = "Rows of test images, each row above the row of its reconstructions."
    caption = "Test images; under each, its reconstruction from the posterior's mean."
    figures = figure_table("More on reconstructions", figures_of("reconstructions"), findings)
    rows = (
        "In rows: clean test images; what the model was given; its answers; and the widths of their intervals, white "
        "where a clean value may be any."
    )
    return [
        shown(findings, "reconstructions.png", alt, caption),
        shown(findings, "denoised.png", "Clean, corrupted and denoised images, and the widths of intervals.", rows),
        figures,
    ]


def _samples(findings: Findings) -> list[str]:
    if findings.sounds:
        return _heard_anew(findings)
    if findings.features:
        return []
    by_class = " Each row is of one class." if findings.recipe["model"]["conditional"] else ""
    caption = f"New images: the decoder's means at draws of {words.sampler(findings)}.{by_class}"
    figures = figure_table("More on samples", figures_of("samples"), findings)
    closest = (
        "The samples that lie nearest to a training image, of all of them, in feature space; under each, that image. A "
        "sample that is the same image was remembered, not made."
    )
    return [
        shown(findings, "marginals.png", "The distribution of each column.", MARGINALS, "diagram", "broad"),
        shown(findings, "correlations.png", "How columns go together.", TOGETHER, "diagram", "broad"),
        shown(findings, "samples.png", "A grid of images that the model drew.", caption),
        "" if is_audited(findings) else shown(findings, "closest.png", CLOSEST, closest),
        figures,
    ]


def _heard_again(findings: Findings) -> list[str]:
    sounds = [sound for name, sound in findings.sounds.items() if name.startswith("reconstructions")]
    half = len(sounds) // 2
    alt = "Waveforms and spectrograms of test recordings, above those of their reconstructions."
    caption = (
        "Test recordings, each as a waveform and as a mel spectrogram, from low tones up to high ones, over 80 dB of "
        "loudness; under them their reconstructions from the posterior's mean."
    )
    return [
        shown(findings, "reconstructions.png", alt, caption),
        figure(players(sounds[:half], "Test recording"), "Test recordings."),
        figure(players(sounds[half:], "Reconstruction"), "Their reconstructions, in the same order."),
        figure_table("More on reconstructions", figures_of("reconstructions"), findings),
    ]


def _heard_anew(findings: Findings) -> list[str]:
    drawn = [sound for name, sound in findings.sounds.items() if name.startswith("samples")]
    path = [sound for name, sound in findings.sounds.items() if name.startswith("path")]
    caption = f"New recordings: the decoder's means at draws of {words.sampler(findings)}."
    morph = "The way from one test recording to another, in even steps of the latents."
    return [
        shown(findings, "samples.png", "Waveforms and spectrograms that the model drew.", caption),
        figure(players(drawn, "Sample"), "The same, to be heard."),
        shown(findings, "path.png", "Waveforms and spectrograms that change from one to another.", morph),
        figure(players(path, "Step"), "The same, to be heard."),
        figure_table("More on samples", figures_of("samples"), findings),
    ]


def _sentences(findings: Findings) -> list[str]:
    """Sentences as they came: none is picked."""
    metrics = findings.metrics
    rebuilt = [[escape(each) for each in pair] for pair in metrics.get("shown_reconstructions", ())]
    samples = [[escape(each)] for each in metrics.get("shown_samples", ())]
    paths = ["<br>".join(map(escape, path)) for path in metrics.get("shown_paths", ())]
    origin = f"Samples, drawn token by token at draws of {words.sampler(findings)}"
    return (
        [
            table("Test sentences, and what is decoded from their posterior's mean", ("sentence", "again"), rebuilt),
            table(origin, ("sentence",), samples),
            table("Between two test sentences, in even steps of the latents", ("path",), [[path] for path in paths]),
            figure_table("More on sentences", figures_of("sentences"), findings),
        ]
        if samples
        else []
    )


def _detection(findings: Findings) -> list[str]:
    nouns = findings.words.nouns
    caption = (
        f"Scores of the test part, normal {nouns} and anomalies, each by shares of its own. The axis is straight in "
        "the middle and logarithmic towards its ends."
    )
    alt = f"Histograms of the scores of normal {nouns} and of anomalies."
    return [
        shown(findings, "scores.png", alt, caption, "diagram"),
        figure_table("Detection", figures_of("detection"), findings),
        _scores(findings.metrics.get("scores", {}), findings.metrics.get("score")),
        shown(
            findings, "heat_maps.png", "Test images, the masks of their defects, and their heat maps.",
            "Test images drawn from each kind, found or not; where their defects are; and where the model finds them "
            "unlikely, in nats by which each pixel would be likelier had it been expected, smoothed. All maps are "
            "on one scale.",
        ),
    ]  # fmt: skip


def _scores(scores: Mapping[str, Mapping[str, float]], chosen: str | None) -> str:
    """Every score of the one model; which of them the detector has, the recipe says, and no test label."""
    keys = [key for key in SCORED if all(key in of for of in scores.values())]
    own = {chosen: " (the detector's)"}
    rows = [
        [kind.replace("elbo", "ELBO").replace("_", " ") + own.get(kind, ""), *(measured(key, of[key]) for key in keys)]
        for kind, of in scores.items()
    ]
    header = ("score", *(names()[key] for key in keys))
    return table("Each score of this model", header, rows) if rows else ""


def _latents(findings: Findings) -> list[str]:
    rates = [float(rate) for rate in findings.metrics["rate_per_dimension"].values()]
    active, part = findings.active, "dimension"
    if told := findings.metrics.get("latent_map"):
        (rates, active), part = by_channel(rates, active, told), "channel"
    idle = " Pale ones are idle." if not all(active) else ""
    spectrum = figure(
        bar_chart(f"Rate of each latent {part}, nats", rates, active, part),
        f"The rate, KL(q(z | x) ‖ p(z)), split over the latent {part}s, highest first.{idle}",
    )
    colours = ", coloured by class" if findings.spec.classes else ""
    return [
        spectrum,
        _levels(findings),
        shown(
            findings, "manifold.png", "A square of images that change smoothly from one to the next.",
            "The latent plane: what the decoder makes of the quantiles of N(0, I), first dimension rightwards, second "
            "upwards.",
        ),
        shown(
            findings, "traversals.png", "Rows of images, each row changing one thing from left to right.",
            f"In each row one latent dimension goes from {MINUS}2.5 to 2.5, the others staying at the posterior mean "
            "of a test image. The dimensions of the highest rate come first.",
        ),
        shown(
            findings, "latents.png", "Scatter of posterior means in two latent dimensions.",
            f"Where test {findings.words.nouns} lie in two latent dimensions: their posterior means{colours}.",
            "diagram",
        ),
        scale_of(told) if told else "",
        figure_table("More on the latents", figures_of("latents"), findings),
    ]  # fmt: skip


def _levels(findings: Findings) -> str:
    """Each level of a ladder: its latents, what they carry, and how many of them are active."""
    rates, sizes = (findings.metrics.get(f"{key}_per_level", {}) for key in ("rate", "latents"))
    rows, first = [], 0
    for number, rate in rates.items():
        active = sum(findings.active[first : first + sizes[number]])
        share = 100 * rate / max(findings.metrics["rate"], 1e-9)
        rows.append([number, f"{sizes[number]:,}", f"{active:,}", datum(rate), f"{share:.0f} %"])
        first += sizes[number]
    header = ("level", "latents", "active", "rate, nats", "of the rate")
    return table("The levels, topmost first", header, rows) if rows else ""
