"""The page of the table, a function for each section's rows."""

import statistics
from collections.abc import Sequence
from functools import reduce
from operator import getitem
from typing import Any

from benchmarks.environments import PEERS
from benchmarks.markdown import table
from benchmarks.store import Kept
from benchmarks.tables.anomaly.plan import CONTAMINATED, DETECTORS, MOST_TEST, MOST_TRAIN, OURS, PATIENCE, TUNED, VAE
from vae_pipeline.metrics.detection import RATES

Row = dict[str, Any]
Figures = dict[str, dict[str, dict[str, Any]]]
"""Figures by set, detector and seed."""
SIMPLE, FAR = ("PCA", "IForest", "kNN"), 0.03
WHY = {
    "6_cardio": "What is wrong there are extreme values of columns by themselves: the squared length of a standardised "
    "row, which knows no column of another, has an AUROC of 0.966 ± 0.003 (five splits). A model of how columns go "
    'together asks another question. `kind="neighbour_ensemble"`, which has a row\'s length among its parts, comes to '
    "0.975."
}
KEYS = {"auroc": "AUROC", "average_precision": "average precision"}


def page(kept: Kept) -> str:
    lines = [
        "# Anomaly detection",
        "",
        "Written by `make bench TABLE=anomaly`; [benchmarks/](../benchmarks/README.md) says what it runs.",
        "",
        "**One class** means that every row to train on is normal, and that somebody knows it: payments that were",
        "cleared, parts that passed inspection, a machine's first good weeks. A detector learns from them what is",
        "normal, and anything else stands out, whether or not its like was ever seen. That is what ours is made for. A",
        "heap of rows in which anomalies may lie is another task, with",
        "[figures of its own](#trained-on-rows-with-anomalies-among-them).",
        "",
        f"A random half of the normal rows trains (at most {MOST_TRAIN:,}), the rest of them and every anomaly are the",
        f"test part (at most {MOST_TEST:,} rows, drawn at random); no row is resampled. All detectors have the same",
        "rows in standardised columns and their packages' defaults, but for PCA's number of components, which is the",
        "table's rank (PyOD's default divides by 0 in campaign); vae-pipeline has one recipe for all sets. A figure is",
        "kept until it is asked for again: a date is that of the last one found.",
        "",
        '`VAEDetector(kind="neighbour_ensemble")`, which looks at the nearest training rows too and keeps them, isn\'t',
        "in these figures: [neighbours](models/detection.md#neighbours), [ADR 61](adr/0061-neighbours.md).",
        "",
    ]
    for name, words in {
        "detection": detection_words,
        "contaminated": contaminated_words,
        "speed": speed_words,
        "large": large_words,
    }.items():
        if name in kept:
            found = kept[name]
            lines += [*words(found["rows"], f"{found['date']}; {found['machine']}."), ""]
    return "\n".join([*lines, f"PyOD: {', '.join(PEERS['pyod'])}.", ""])


def shared(row: dict[str, Any], detectors: Sequence[str] = DETECTORS) -> dict[str, Any]:
    """The splits that every detector of a set was measured on: others compare with nothing."""
    measured = [each for each in detectors if each in row]
    seeds = sorted(set.intersection(*(set(row[each]) for each in measured)))
    return {"split": {seed: row["split"][seed] for seed in seeds}} | {
        each: {seed: row[each][seed] for seed in seeds} for each in measured if seeds
    }


def detection_words(found: Figures, when: str) -> list[str]:
    figures = {name: shared(row) for name, row in found.items()}
    whole = {name: row for name, row in figures.items() if all(each in row for each in DETECTORS)}
    lines = ["## Means over sets", "", when, ""]
    lines += [
        "The last column is the mean over sets of vae-pipeline's AUROC less that detector's, ± its standard error over",
        "sets: below 0 that detector is the better one, and less than twice the error tells nothing.",
        "",
    ]
    if whole:
        lines += [*means(whole), "", ahead(whole), "", *targets(whole), "", *far_behind(whole)]
    absent = [name for name in figures if name not in whole]
    if absent:
        lines += [f"Left out of the means, since a detector isn't measured there: {', '.join(absent)}.", ""]
    counts = ", ".join(f"{name} {len(row['split'])}" for name, row in figures.items())
    lines += [f"Splits that all detectors were measured on: {counts}.", ""]
    for key, title in KEYS.items():
        lines += [f"## {title[0].upper()}{title[1:]}", "", *by_set(figures, key), ""]
    lines += ["## Recall at a false-positive rate of 0.1 / 1 / 5 %", "", *recalls(figures), ""]
    lines += [
        "## Seconds to fit / to score",
        "",
        "CPU time, one thread, and in brackets wall time.",
        "",
        *seconds(figures),
    ]
    lines += ["", "## Splits", "", "sha256 of the indices of training and test rows.", "", *splits(figures)]
    return lines


def contaminated_words(found: Figures, when: str) -> list[str]:
    figures = {name: shared(row, CONTAMINATED) for name, row in found.items()}
    whole = {name: row for name, row in figures.items() if all(each in row for each in CONTAMINATED)}
    others = {name: row for name, row in whole.items() if name not in TUNED}
    lines = [
        "## Trained on rows with anomalies among them",
        "",
        f"{when} A random half of all rows trains (at most {MOST_TRAIN:,}), anomalies and all; the other half is the",
        "test part. Nobody tells which rows are anomalies, nor how many there are. `vae-pipeline` is fitted as if all",
        'were normal; `vae-pipeline some` is `VAEDetector(contamination="some")`. What that does was chosen on',
        f"{', '.join(TUNED)}: they are left out of the means.",
        "",
    ]
    if others:
        lines += [*means(others, CONTAMINATED), "", ahead(others, CONTAMINATED), ""]
    for key, title in KEYS.items() if whole else ():
        lines += [f"### {title[0].upper()}{title[1:]}", "", *by_set(whole, key, CONTAMINATED), ""]
    counts = ", ".join(f"{name} {len(row['split'])}" for name, row in whole.items())
    return [*lines, f"Splits that all were measured on: {counts or 'none'}."]


def mean(row: Row, detector: str, *keys: str) -> float:
    """Over the splits."""
    return float(statistics.mean(reduce(getitem, keys, found) for found in row[detector].values()))


def over_sets(whole: Figures, detector: str, key: str) -> float:
    return statistics.mean(mean(row, detector, key) for row in whole.values())


def means(whole: Figures, detectors: Sequence[str] = DETECTORS) -> list[str]:
    """The first detector is the one that the others are taken off."""
    keys, first = (*KEYS, *(f"recall_at_fpr_{rate:g}" for rate in RATES)), detectors[0]
    body = [[each, *(f"{over_sets(whole, each, key):.3f}" for key in keys)] for each in detectors]
    for cells in body:
        cells.append("" if cells[0] == first else behind(whole, first, cells[0]))
    columns = "AUROC | average precision | recall at FPR 0.1 % | at 1 % | at 5 %"
    return table(f"{len(whole)} sets | {columns} | {first} less it, AUROC", body)


def ahead(whole: Figures, detectors: Sequence[str] = DETECTORS) -> str:
    """The detectors that do better on average than the first."""
    first, *others = detectors
    better = {
        title: [each for each in others if over_sets(whole, each, key) > over_sets(whole, first, key)]
        for key, title in KEYS.items()
    }
    told = "; ".join(f"by {title} {', '.join(names) or 'none'}" for title, names in better.items())
    return f"Better than {first} on average: {told}."


def behind(whole: Figures, first: str, detector: str) -> str:
    """The AUROC by which it lies behind the first: the mean over sets, and that mean's standard error over sets."""
    apart = [mean(row, first, "auroc") - mean(row, detector, "auroc") for row in whole.values()]
    if len(apart) < 2:
        return f"{apart[0]:+.3f}"
    return f"{statistics.mean(apart):+.3f} ± {statistics.stdev(apart) / len(apart) ** 0.5:.3f}"


def far_behind(whole: Figures) -> list[str]:
    """The sets on which one of three that are simple finds more by over 0.03, and why."""
    lines = []
    for name, row in whole.items():
        best = max(SIMPLE, key=lambda each: mean(row, each, "auroc"))
        if mean(row, OURS, "auroc") < mean(row, best, "auroc") - FAR:
            lines += [
                f"**{name}: {best} has {mean(row, best, 'auroc') - mean(row, OURS, 'auroc'):.3f} more.** {WHY[name]}",
                "",
            ]
    return lines


def targets(whole: Figures) -> list[str]:
    def auroc(detector: str) -> float:
        return over_sets(whole, detector, "auroc")

    precision = 1.05 * over_sets(whole, VAE, "average_precision")
    wanted = {
        "AUROC ≥ PyOD VAE + 0.02": (auroc(OURS), auroc(VAE) + 0.02),
        "AUROC ≥ IForest + 0.01": (auroc(OURS), auroc("IForest") + 0.01),
        "AUROC ≥ PCA": (auroc(OURS), auroc("PCA")),
        "AUROC ≥ 0.99 × kNN": (auroc(OURS), 0.99 * auroc("kNN")),
        "average precision ≥ 1.05 × PyOD VAE": (over_sets(whole, OURS, "average_precision"), precision),
    }
    body = [
        [name, f"{ours:.4f}", f"{least:.4f}", "yes" if ours >= least else "**no**"]
        for name, (ours, least) in wanted.items()
    ]
    return table("target | vae-pipeline | at least | reached", body)


def by_set(figures: Figures, key: str, detectors: Sequence[str] = DETECTORS) -> list[str]:
    body = []
    for name, row in figures.items():
        anomalous = statistics.mean(part["prevalence"] for part in row["split"].values())
        cells = [f"{mean(row, each, key):.3f}" if each in row else "" for each in detectors]
        best = max(cells)
        body.append([f"{name} ({anomalous:.1%})", *(f"**{cell}**" if cell == best else cell for cell in cells)])
    return table(f"set (anomalies in the test part) | {' | '.join(detectors)}", body)


def recalls(figures: Figures) -> list[str]:
    def cell(row: Row, detector: str) -> str:
        return " / ".join(f"{mean(row, detector, f'recall_at_fpr_{rate:g}'):.2f}" for rate in RATES)

    body = [[name, *(cell(row, each) if each in row else "" for each in DETECTORS)] for name, row in figures.items()]
    return table(f"set | {' | '.join(DETECTORS)}", body)


def seconds(figures: Figures) -> list[str]:
    def cell(row: Row, detector: str) -> str:
        return " / ".join(
            f"{mean(row, detector, part, 'cpu'):.2f} ({mean(row, detector, part, 'wall'):.2f})"
            for part in ("fit", "score")
        )

    body = [[name, *(cell(row, each) if each in row else "" for each in DETECTORS)] for name, row in figures.items()]
    return table(f"set | {' | '.join(DETECTORS)}", body)


def splits(figures: Figures) -> list[str]:
    body = [
        [name, seed, f"{part['train']:,}", f"{part['test']:,}", f"`{part['indices'].removeprefix('sha256:')[:16]}`"]
        for name, row in figures.items()
        for seed, part in row["split"].items()
    ]
    return table("set | seed | training rows | test rows | sha256", body)


def speed_words(found: dict[str, Any], when: str) -> list[str]:
    body = [
        [
            each,
            *(f"{found[each][part]['cpu']:.2f} ({found[each][part]['wall']:.2f})" for part in ("fit", "score")),
            f"{found[each]['peak_mib']:.0f}",
            f"{found[each]['auroc']:.3f}",
        ]
        for each in (OURS, VAE)
        if each in found
    ]
    if "stopped_after" in found:
        body.append(
            [VAE, f"stopped after {found['stopped_after']:.0f} s, {PATIENCE} times ours, in its fit", "", "", ""]
        )
    return [
        f"## {found['rows']:,} rows of 30 columns",
        "",
        f"{when} As many rows to score, of four clusters; 5 % lie 1.5 times as far from the centres. Two threads.",
        "",
        *table("| seconds to fit, CPU (wall) | to score | peak MiB | AUROC", body),
    ]


def large_words(found: dict[str, Any], when: str) -> list[str]:
    row = found[OURS]
    words = f"{row['train']:,} rows to fit, {row['test']:,} to score"
    body = [
        [
            words,
            *(f"{row[part]['cpu']:.1f}" for part in ("fit", "score")),
            f"{row['peak_mib']:.0f}",
            f"{row['auroc']:.3f}",
        ]
    ]
    head = "| CPU seconds to fit | to score | peak MiB | AUROC"
    return ["## donors, whole, by vae-pipeline", "", when, "", *table(head, body)]
