"""Synthetic rows of `vae-pipeline synthesize` with those of TVAE and of adversarial random forests.

Needs VAE_MIRROR and two hours; a row is stored as soon as it is found. `--set` and `--method` narrow it.

Each draws as many rows as the training part has. Classifiers that were trained on drawn rows are tried on the test
part: adult's own file, and a stratified fifth of the other two, another one for each seed. A gap is the class "?" to
those that don't know of gaps.
"""

import csv
import gzip
import os
import resource
import subprocess
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import train_test_split

from benchmarks.environments import python
from benchmarks.markdown import table
from benchmarks.store import Kept, Store
from benchmarks.work import CLI, PIN, ROOT, SINGLE, WORKERS
from vae_pipeline.kinds.spec import Column
from vae_pipeline.metrics.privacy import privacy
from vae_pipeline.metrics.tables import synthesis
from vae_pipeline.metrics.usefulness import usefulness
from vae_pipeline.system.settings import Settings

PAGE = ROOT / "docs" / "synthesisers.md"
SEEDS = (0, 1, 2)
METHODS = ("vae-pipeline", "TVAE", "ARF")
TARGET = "target"
GAP = "?"
ADULT = (
    "age workclass fnlwgt education education-num marital-status occupation relationship race sex capital-gain "
    f"capital-loss hours-per-week native-country {TARGET}"
).split()
NUMBERS = ("age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week")
LINE = ((0.0, 0.0), (1.0, 1.0))
Array = npt.NDArray[Any]
Figures = dict[str, Any]


@dataclass(frozen=True)
class Rows:
    """A table's two parts; gaps are None."""

    train: pd.DataFrame
    test: pd.DataFrame

    @property
    def classes(self) -> list[str]:
        return [name for name in self.train if not pd.api.types.is_numeric_dtype(self.train[name])]


def _mirror() -> Path:
    mirror = Settings().mirror
    assert mirror is not None, "set VAE_MIRROR"
    return Path(str(mirror).removeprefix("file://"))


def _adult(_: int) -> Rows:
    parts = []
    for name in ("adult.data", "adult.test"):
        with gzip.open(_mirror() / "tables" / f"{name}.gz", "rt") as file:
            found = [row for row in csv.reader(file, skipinitialspace=True) if len(row) == len(ADULT)]
        frame = pd.DataFrame(found, columns=ADULT).replace(GAP, None)
        frame[TARGET] = frame[TARGET].str.rstrip(".")
        parts.append(frame.astype(dict.fromkeys(NUMBERS, int)))
    return Rows(*parts)


def _some_of_adult(seed: int) -> Rows:
    rows = _adult(seed)
    return Rows(rows.train.sample(3_000, random_state=seed).reset_index(drop=True), rows.test)


def _german(seed: int) -> Rows:
    frame = pd.read_csv(_mirror() / "tables" / "german.data.gz", sep=" ", header=None)
    frame.columns = [*(f"a{at}" for at in range(1, 21)), TARGET]
    return _parted(frame.assign(target=frame[TARGET].map({1: "good", 2: "bad"})), seed)


def _payments(seed: int) -> Rows:
    given = np.load(_mirror() / "creditcard" / "creditcard_partial.npz")
    frame = pd.DataFrame(given["X"].astype(float), columns=[str(name) for name in given["columns"]])
    return _parted(frame.assign(target=np.where(given["y"] == 1, "fraud", "usual")), seed)


def _parted(frame: pd.DataFrame, seed: int) -> Rows:
    train, test = train_test_split(frame, test_size=0.2, random_state=seed, stratify=frame[TARGET])
    return Rows(train.reset_index(drop=True), test.reset_index(drop=True))


SETS: dict[str, Callable[[int], Rows]] = {
    "adult": _adult,
    "adult_3000": _some_of_adult,
    "german": _german,
    "payments": _payments,
}


def options(parser: ArgumentParser) -> None:
    parser.add_argument("--set", action="append", choices=SETS)
    parser.add_argument("--method", action="append", choices=METHODS)
    parser.add_argument("--seed", action="append", type=int)


def measure(given: Namespace, store: Store) -> None:
    for name in given.set or SETS:
        for seed in given.seed or SEEDS:
            for method in given.method or METHODS:
                found = store.rows(name)
                found[f"{method} {seed}"] = _measured(SETS[name](seed), method, seed)
                store.keep(name, found)


def _measured(rows: Rows, method: str, seed: int) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        given, out = Path(folder) / "given.csv", Path(folder) / "drawn.csv"
        ours = method == "vae-pipeline"
        (rows.train if ours else rows.train.fillna(GAP)).to_csv(given, index=False)
        count = str(len(rows.train))
        if ours:
            command = [*CLI, "synthesize", given, "-o", out, "-n", count, "--seed", str(seed)]
        else:
            command = [python("synthesis"), WORKERS / "synthesisers.py", method, given, out, str(seed), count]
            command += rows.classes
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        env = {name: value for name, value in os.environ.items() if ours or name != "PYTHONPATH"} | SINGLE
        subprocess.run([*PIN, *command], check=True, env=env, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        drawn = pd.read_csv(out, keep_default_na=False, na_values=["", GAP], dtype=dict.fromkeys(rows.classes, str))
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return _judged(rows, drawn[list(rows.train)], seed) | {"cpu_seconds": cpu}


def _judged(rows: Rows, drawn: pd.DataFrame, seed: int) -> Figures:
    columns = [_column(name, rows) for name in rows.train]
    train, test, made = (_numbers(frame, columns) for frame in (rows.train, rows.test, drawn))
    return {
        **usefulness(train, test, made, columns, TARGET, seed, most=len(train)),
        **asdict(synthesis(train, test, made, columns, seed)),
        **asdict(privacy(train, test, made, columns, seed)),
    }


def _column(name: str, rows: Rows) -> Column:
    if name not in rows.classes:
        return Column(name, "number", False, LINE)
    known = pd.concat([rows.train[name], rows.test[name]]).dropna().unique()
    return Column(name, "category", True, LINE, tuple(sorted(map(str, known))))


def _numbers(frame: pd.DataFrame, columns: list[Column]) -> Array:
    found = []
    for column in columns:
        values = frame[column.name]
        if column.kind == "category":
            places = {name: float(at) for at, name in enumerate(column.values)}
            values = values.map(lambda value, places=places: places.get(value, np.nan))
        found.append(pd.to_numeric(values).to_numpy(np.float32))
    return np.stack(found, 1)


# ── the page ──────────────────────────────────────────────────────────────────────────────────────────

SHOWN = (
    ("accuracy", "tstr_accuracy"),
    ("F1", "tstr_f1"),
    ("column shapes", "column_shapes"),
    ("column pairs", "pair_trends"),
    ("AUC told from real", "rows_auc"),
    ("rare classes kept", "rare_kept"),
    ("copies", "copies"),
    ("membership AUC", "membership_auc"),
    ("values guessed, test rows", "disclosure_of_test"),
    ("of training rows", "disclosure"),
)
OF_REAL = {
    "tstr_accuracy": "tstr_of_train_accuracy",
    "tstr_f1": "tstr_of_train_f1",
    "column_shapes": "column_shapes_of_test",
    "pair_trends": "pair_trends_of_test",
    "rows_auc": "rows_auc_of_test",
    "rare_kept": "rare_kept_of_test",
    "copies": "copies_of_test",
}


def page(kept: Kept) -> str:
    lines = [
        "# Synthesisers of tables, side by side",
        "",
        "Written by `make bench TABLE=synthesis`, each synthesiser in a process of its own, on one thread, as its",
        "package ships it: `vae-pipeline synthesize`, TVAE of `ctgan` 0.12.1, and adversarial random forests of",
        "`arfpy` 0.1.1. Each draws as many rows as it was given. [The figures](figures.md) are those of a report;",
        "accuracy and F1 are those of logistic regression, a random forest and boosted trees that were trained on",
        "drawn rows and tried on the test part: adult's own file, and a stratified fifth of the other two, another",
        "one for each seed. F1 is that of the rarer class. Means ± deviation over the seeds",
        "that have the figure; without one, of one seed. `adult_3000` is 3,000 rows of adult's training",
        "part, beside its whole test file.",
    ]
    for name, section in kept.items():
        rows = section["rows"]
        seeds = len({each.rsplit(" ", 1)[1] for each in rows})
        lines += [
            "",
            f"## {name}",
            "",
            f"{section['date']}; {section['machine']}; {seeds} {'seed' if seeds == 1 else 'seeds'}.",
            "",
        ]
        head = "rows of | " + " | ".join(words for words, _ in SHOWN) + " | CPU seconds"
        lines += table(head, [*_rows(rows)])
    return "\n".join([*lines, ""])


def _rows(rows: dict[str, Figures]) -> list[list[str]]:
    found = [
        ["the test part, or real ones", *(_told(list(rows.values()), OF_REAL.get(key, "")) for _, key in SHOWN), ""]
    ]
    for method in METHODS:
        of = [figures for name, figures in rows.items() if name.rsplit(" ", 1)[0] == method]
        if of:
            found.append(
                [method, *(_told(of, key) for _, key in SHOWN), f"{mean(each['cpu_seconds'] for each in of):.0f}"]
            )
    return found


def _told(of: list[Figures], key: str) -> str:
    values = [each[key] for each in of if each.get(key) is not None]
    if not values:
        return ""
    spread = f" ± {stdev(values):.3f}" if len(values) > 1 else ""
    return f"{mean(values):.3f}{spread}"
