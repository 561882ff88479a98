"""`make bench-anomaly`: detectors of anomalies beside each other on tables, written to docs/anomaly.md.

One class: a random half of a table's normal rows is the training part; the rest of them, with every anomaly, is the
test part. Contaminated: a random half of all rows is the training part, anomalies among them. No row is resampled.
Every detector sees the same rows, in columns standardised by the training part, and is what its package ships; ours
has one recipe for all tables. A figure is kept as soon as it is found, so that a run that was stopped goes on.
"""

import argparse
import hashlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial, reduce
from itertools import product
from operator import getitem
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from common import HERE, ROOT, SINGLE, WORKERS, store
from environments import PEERS, python
from sklearn.datasets import load_breast_cancer

from vae_pipeline.kinds.download import Finder
from vae_pipeline.metrics.detection import RATES, detection
from vae_pipeline.recipe.data import File
from vae_pipeline.system.files import content_key
from vae_pipeline.system.settings import Settings

RESULTS, PAGE = HERE / "anomaly.json", ROOT / "docs" / "anomaly.md"
OURS, SOME, VAE = "vae-pipeline", "vae-pipeline some", "PyOD VAE"
DETECTORS = (OURS, VAE, "PyOD AutoEncoder", "IForest", "PCA", "ECOD", "kNN", "LOF", "OCSVM")
CONTAMINATED = (SOME, OURS, "IForest", "PCA", "ECOD", "kNN", "LOF", "OCSVM")
TUNED = ("6_cardio", "28_pendigits", "30_satellite")  # what contamination="some" does was chosen on these
PATIENCE = 6  # times as long as ours, in `speed`
MOST_TRAIN, MOST_TEST = 10_000, 20_000  # rows, of any set and for every detector
ADDRESS = "https://raw.githubusercontent.com/Minqi824/ADBench/main/adbench/datasets/Classical"
ADBENCH = {
    "38_thyroid": "8de161b3f235b7647bb0b39a836d983ff61d67bf234edac461da2d71e889cb87",
    "6_cardio": "bc5009bde6930b4d298b594f31b34485a9a17210cff0e8fb00a8c3068b885a2d",
    "32_shuttle": "26900b0f6be45d9ddb7a402c9b2f956ceda42d23a8ca4cf4406b8bc1352823d1",
    "30_satellite": "1f048f5686f1b8c16a227fdfa3c81a62cd9a92715714a6b24c69b1c5ad96b46e",
    "28_pendigits": "c4936b89dcdad59d303020e492f763a0f54170080d787c77497609acbb9c2d79",
    "5_campaign": "74dd4d0072d6c6f1aabab63bc102f9633454f32bb936fa9bcfbd38f9f2386bcd",
    "10_cover": "945a097c3542ae81a551bf1c06dcad78a755d94f84fcaf1d60687e42d1a656df",
    "11_donors": "5824ec854465f2763b4bfe3da1ae9f25ed5433b5c6e265d42e37da4f82a58679",
}
Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Row = dict[str, Any]
Table = tuple[Array, Flags]
"""Rows, and which of them are anomalies."""
Read = Callable[[], Table]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--folder", type=Path, help="of .npz with X and y, instead of the ten sets; the page is printed"
    )
    parser.add_argument("--only", action="append", help="a set; or contaminated, speed or large")
    parser.add_argument("--detector", choices=(*DETECTORS, SOME), action="append")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=100_000, help="of speed")
    parser.add_argument("--again", action="store_true", help="find anew what is kept already")
    given = parser.parse_args()
    results, tables = RESULTS, shipped()
    if given.folder is not None:
        results = HERE / ".models" / f"anomaly-{content_key(str(given.folder.absolute()))[:16]}.json"
        results.parent.mkdir(exist_ok=True)
        tables = {path.stem: partial(npz, path) for path in sorted(given.folder.glob("*.npz"))}
    narrowed = given.folder is not None or given.detector is not None
    wanted = given.only or [*tables, "contaminated", *(() if narrowed else ("speed", "large"))]
    kinds = {"contaminated"} & {*wanted} | ({"detection"} if {*tables} & {*wanted} else set())
    chosen = {name: read for name, read in tables.items() if name in wanted} or tables
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(results, Path(folder), given.detector or (*DETECTORS, SOME), given.again)
        if "detection" in kinds:
            bench.detection("detection", chosen, given.seeds)
        if "contaminated" in kinds:
            bench.detection("contaminated", chosen, given.seeds)
        if "speed" in wanted:
            bench.speed(given.rows)
        if "large" in wanted:
            bench.large(tables["11_donors"])
    words = page(results)
    if given.folder is None:
        PAGE.write_text(words)
    else:
        print(words)


# ── the tables ────────────────────────────────────────────────────────────────────────────────────────


def shipped() -> dict[str, Read]:
    """Eight of ADBench's sets, payments by credit card, tumours."""
    settings = Settings.load()
    finder = Finder(settings.home / "downloads", settings.mirror)
    files = {
        name: File(path=None, url=f"{ADDRESS}/{name}.npz", digest=f"sha256:{has}") for name, has in ADBENCH.items()
    }
    tables: dict[str, Read] = {name: partial(adbench, finder, file) for name, file in files.items()}
    return tables | {"fraud": partial(fraud, settings.mirror), "tumours": tumours}


def adbench(finder: Finder, file: File) -> Table:
    return npz(finder.find(file))


def npz(path: Path) -> Table:
    with np.load(path) as archive:
        return archive["X"].astype(np.float64), archive["y"] == 1


def fraud(mirror: str | None) -> Table:
    """All 492 frauds among 11,632 payments, a part of the whole set; Time is left out."""
    found = [] if mirror is None else sorted(Path(mirror).rglob("creditcard_partial.npz"))
    if not found:
        raise SystemExit("creditcard_partial.npz isn't in the folder that VAE_MIRROR names: name other sets by --only")
    rows, anomalous = npz(found[0])
    return rows[:, 1:], anomalous


def tumours() -> Table:
    bunch = load_breast_cancer()
    return bunch.data, bunch.target == 0


def made(rows: int) -> tuple[Array, Array, Flags]:
    """Rows to fit and to score, of 30 columns in four clusters; 5 % of the latter lie 1.5 times as far out."""
    random = np.random.default_rng(0)
    centres, causes = random.normal(0, 2, (4, 30)), random.normal(0, 1, (4, 30, 5))
    cluster = random.integers(0, 4, 2 * rows)
    around = np.einsum("rcf,rf->rc", causes[cluster], random.normal(size=(2 * rows, 5)))
    around += random.normal(0, 0.3, around.shape)
    anomalous = np.arange(rows) < rows // 20
    around[rows:][anomalous] *= 1.5
    drawn = centres[cluster] + around
    return drawn[:rows], drawn[rows:], anomalous


def split(anomalous: Flags, seed: int, kind: str = "detection") -> tuple[Indices, Indices]:
    """The training and the test part."""
    random = np.random.default_rng(seed)
    if kind == "contaminated":
        order = random.permutation(len(anomalous))
        return order[: len(order) // 2], order[len(order) // 2 :]
    normal = random.permutation(np.flatnonzero(~anomalous))
    half = len(normal) // 2
    test = random.permutation(np.concatenate([normal[half:], np.flatnonzero(anomalous)]))
    return normal[:half], test


# ── running ───────────────────────────────────────────────────────────────────────────────────────────


class Bench:
    """What is found, and where it is kept."""

    def __init__(self, results: Path, folder: Path, detectors: Sequence[str], again: bool) -> None:
        self.results, self.folder, self.detectors, self.again = results, folder, detectors, again

    def detection(self, kind: str, tables: dict[str, Read], seeds: int) -> None:
        """Each detector on each table and split; `kind` is the section of figures."""
        meant = [each for each in self.detectors if each in (CONTAMINATED if kind == "contaminated" else DETECTORS)]
        for seed, (name, read) in product(range(seeds), tables.items()):
            kept = self.kept(kind).get(name, {})
            wanted = [each for each in meant if self.again or str(seed) not in kept.get(each, {})]
            if not wanted:
                continue
            print(f"{kind}: {name}, seed {seed} ...", file=sys.stderr, flush=True)
            x, anomalous = read()
            train, test = split(anomalous, seed, kind)
            train, test = np.sort(train[:MOST_TRAIN]), np.sort(test[:MOST_TEST])
            part = {
                "train": len(train),
                "test": len(test),
                "prevalence": float(anomalous[test].mean()),
                "indices": f"sha256:{hashlib.sha256(train.tobytes() + test.tobytes()).hexdigest()}",
            }
            for each, found in self.run(x[train], x[test], anomalous[test], seed, wanted):
                rows = self.kept(kind)  # read again: another run may have found others meanwhile
                row = rows.setdefault(name, {})
                row["set"] = {"rows": len(x), "columns": x.shape[1], "anomalies": int(anomalous.sum())}
                row.setdefault("split", {})[str(seed)] = part
                row.setdefault(each, {})[str(seed)] = found
                store(self.results, kind, rows)

    def speed(self, rows: int) -> None:
        """Ours and PyOD's VAE in turn, on as many rows to fit to as to score, two threads each.

        PyOD's is stopped after PATIENCE times what ours took.
        """
        tables = made(rows)
        found: dict[str, Any] = {"rows": rows, **dict(self.run(*tables, 0, (OURS,), threads=2))}
        patience = PATIENCE * sum(found[OURS][part]["wall"] for part in ("fit", "score"))
        found |= dict(self.run(*tables, 0, (VAE,), threads=2, limit=patience))
        if VAE not in found:
            found["stopped_after"] = patience
        store(self.results, "speed", found)

    def large(self, read: Read) -> None:
        """Ours on all of donors, whose peak of memory counts."""
        x, anomalous = read()
        train, test = split(anomalous, 0)
        for each, row in self.run(x[train], x[test], anomalous[test], 0, (OURS,)):
            store(self.results, "large", {each: row | {"train": len(train), "test": len(test)}})

    def kept(self, section: str) -> dict[str, Any]:
        everything = json.loads(self.results.read_text()) if self.results.is_file() else {}
        return dict(everything.get(section, {}).get("rows", {}))

    def run(
        self,
        train: Array,
        test: Array,
        anomalous: Flags,
        seed: int,
        detectors: Sequence[str],
        threads: int = 1,
        limit: float | None = None,
    ) -> Iterator[tuple[str, Row]]:
        """What each detector found, and its times; those of a package in one process, stopped after `limit` seconds."""
        centre, scale = train.mean(0), train.std(0)
        scale[scale == 0] = 1
        np.savez(self.folder / "rows.npz", train=(train - centre) / scale, test=(test - centre) / scale)
        environment = os.environ | SINGLE | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        ours, theirs = (
            [each for each in detectors if each in (OURS, SOME)],
            [each for each in detectors if each not in (OURS, SOME)],
        )
        for names in filter(None, (ours, theirs)):
            interpreter = Path(sys.executable) if names == ours else python("pyod")
            command = [interpreter, WORKERS / "detectors.py", self.folder / "rows.npz", self.folder, seed, *names]
            with subprocess.Popen(
                [str(part) for part in command], env=environment, stdout=subprocess.PIPE, text=True
            ) as process:
                assert process.stdout is not None
                timer = threading.Timer(limit or threading.TIMEOUT_MAX, process.kill)
                timer.daemon = True
                timer.start()
                for line in process.stdout:
                    told = json.loads(line)
                    name = told.pop("name")
                    scores = np.load(self.folder / f"{name}.npy").astype(np.float64)
                    wrong = ~np.isfinite(scores)  # PyOD's networks overflow where a column is constant in training
                    scores[wrong] = np.finfo(np.float64).max
                    yield name, detection(scores, anomalous) | told | {"not_finite": int(wrong.sum())}
            timer.cancel()
            if process.returncode and (limit is None or process.returncode != -signal.SIGKILL):
                raise SystemExit(f"{', '.join(names)}: the worker failed")


# ── the page ──────────────────────────────────────────────────────────────────────────────────────────

Figures = dict[str, dict[str, dict[str, Any]]]
"""By set, detector and seed."""
KEYS = {"auroc": "AUROC", "average_precision": "average precision"}


def page(results: Path = RESULTS) -> str:
    kept: dict[str, Any] = json.loads(results.read_text())
    lines = [
        "# Anomaly detection",
        "",
        "Written by `make bench-anomaly`; [benchmarks/](../benchmarks/README.md) says what it runs.",
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
        lines += [*means(whole), "", ahead(whole), "", *targets(whole), ""]
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
    """Which detectors do better on average than the first."""
    first, *others = detectors
    better = {
        title: [each for each in others if over_sets(whole, each, key) > over_sets(whole, first, key)]
        for key, title in KEYS.items()
    }
    told = "; ".join(f"by {title} {', '.join(names) or 'none'}" for title, names in better.items())
    return f"Better than {first} on average: {told}."


def behind(whole: Figures, first: str, detector: str) -> str:
    """By how much it lies behind the first in AUROC: the mean over sets, and that mean's standard error over sets."""
    apart = [mean(row, first, "auroc") - mean(row, detector, "auroc") for row in whole.values()]
    if len(apart) < 2:
        return f"{apart[0]:+.3f}"
    return f"{statistics.mean(apart):+.3f} ± {statistics.stdev(apart) / len(apart) ** 0.5:.3f}"


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


def table(head: str, rows: list[list[str]]) -> list[str]:
    columns = head.count("|") + 1
    return [f"| {head} |", "|---|" + "---:|" * (columns - 1), *("| " + " | ".join(row) + " |" for row in rows)]


if __name__ == "__main__":
    main()
