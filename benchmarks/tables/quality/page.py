"""The page of the table, a function for each section's rows."""

from benchmarks.environments import PEERS
from benchmarks.markdown import table
from benchmarks.models import DRAWS, Row
from benchmarks.store import Kept
from benchmarks.tables.quality.sections import ALIKE, BOUNDED, PUBLISHED, SECTIONS

Rows = dict[str, Row]


def page(kept: Kept) -> str:
    lines = [
        "# Quality",
        "",
        "Written by `make bench TABLE=quality`; [benchmarks/](../benchmarks/README.md) says what each table runs.",
        "All figures are of",
        "the test part, in nats, of one run with seed 0 that nobody picked. Published figures stand beside ours for",
        "orientation: only runs side by side, on the same data with the same network, are a comparison.",
        "",
    ]
    for section in SECTIONS:
        lines += [f"## {section.__doc__}", ""]
        if section.__name__ not in kept:
            lines += ["Not measured.", ""]
            continue
        found = kept[section.__name__]
        lines += [f"{found['date']}; {found['machine']}.", "", *WORDS[section.__name__](found["rows"]), ""]
    lines += [f"pythae: {', '.join(PEERS['pythae'])}.", ""]
    return "\n".join(lines)


def minutes(row: Row) -> str:
    return f"{row['cpu'] / 60:.1f} ({row['wall'] / 60:.1f})"


def number(row: Row, key: str, digits: int = 2) -> str:
    return f"{row[key]:.{digits}f}" if row.get(key) is not None else ""


def likelihood_words(rows: Rows) -> list[str]:
    own = [
        [
            f"`{name}`",
            number(row, "elbo"),
            f"**{row['importance_bound']:.2f}** ± {row['importance_bound_standard_error']:.2f}",
            f"{row['importance_samples']:,}",
            number(row, "bound_alike") or "not kept",
            number(row, "pareto_k_over_0.7") or "not kept",
            f"{row['importance_examples']:,}",
            minutes(row),
        ]
        for name, row in rows.items()
    ]
    published = [[name, "", figures, "", "", "", "", ""] for name, figures in PUBLISHED.items()]
    columns = f"ELBO | importance bound | K | at K = {ALIKE:,} | k̂ over 0.7 | test images"
    lines = table(f"recipe | {columns} | minutes of training, CPU (wall)", own + published)
    if len({row["importance_examples"] for row in rows.values()}) > 1:
        words = (
            "The bounds of our recipes are of different test images, and don't compare with each other: thousands of",
            "images differ by as much as the models do. Their ELBOs are of all test images, and compare.",
        )
    else:
        words = (
            "Bounds are of all test images, by their ELBO and by its gap on so many of them, the same for all our",
            f"recipes. Where K differs, the bounds at K = {ALIKE:,} compare.",
        )
    return [*lines, "", *words]


def pythae_words(rows: Rows) -> list[str]:
    head = f"| importance bound, K = {DRAWS:,}, {BOUNDED:,} test images | above ours, paired | minutes of training, CPU"
    body = [
        [
            name,
            f"{row['bound']:.2f} ± {row['standard_error']:.2f}",
            paired(row) if name != "vae-pipeline" else "",
            f"{row['cpu'] / 60:.1f}",
        ]
        for name, row in rows.items()
    ]
    lines = [
        *table(head, body),
        "",
        "All bounds are computed by the same thirty lines of plain torch (benchmarks/workers/importance.py). Our",
        "recipe has a schedule (one-cycle, average of weights), pythae's trainer Adam at 0.001.",
    ]
    if all("above_ours" in row for row in rows.values()):
        return [*lines, "The plain loop has our schedule: as far as it equals us, that is what parts us from pythae."]
    return [*lines, "No plain loop with our schedule was measured beside them, so that schedules are compared."]


def paired(row: Row) -> str:
    """Empty of rows that were measured before bounds were kept by image."""
    return f"{row['above_ours']:+.2f} ± {row['above_ours_standard_error']:.2f}" if "above_ours" in row else ""


def samples_words(rows: Rows) -> list[str]:
    head = (
        "| Fréchet distance of samples | of reconstructions | of training images | sharpness of reconstructions | "
        "of samples | PSNR, dB | 10,000 from the graph, s | minutes of training, CPU"
    )
    body = [
        [
            name,
            f"**{row['frechet']:.2f}**",
            number(row, "frechet_reconstructions"),
            number(row, "frechet_floor"),
            number(row, "sharpness"),
            number(row, "samples_sharpness"),
            number(row, "psnr", 1),
            number(row, "drawing"),
            f"{row['cpu'] / 60:.1f}",
        ]
        for name, row in rows.items()
    ]
    return [
        *table(head, body),
        "",
        "The distance is no FID: it is taken in the features of a small classifier of the same data, and compares only",
        "within one data set. Sharpness: variance of the Laplacian over the test images'; 1 is as sharp as those.",
    ]


def control_words(rows: Rows) -> list[str]:
    body = [
        [
            name,
            row["length"],
            f"{row['reached']:.2f}",
            f"{row['held_out']:.2f}" if "held_out" in row else "",
            f"{100 * abs(row.get('held_out', row['reached']) / row['wanted'] - 1):.1f} %",
            f"{row['beta']:.3g}",
        ]
        for name, row in rows.items()
    ]
    return table(
        "recipe and target | length | reached, mean of the last epoch | on the validation part | off by | beta", body
    )


WORDS = {
    "likelihood": likelihood_words,
    "beside_pythae": pythae_words,
    "samples_of_mnist": samples_words,
    "samples_of_fashion": samples_words,
    "control": control_words,
}
