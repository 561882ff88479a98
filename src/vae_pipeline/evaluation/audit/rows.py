"""The audit of rows of a table that are written already, against the table that they are to stand for."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from vae_pipeline.evaluation.audit.found import OF_ROWS, AuditFindings, Copy
from vae_pipeline.evaluation.tables import LEAST
from vae_pipeline.kinds.observations import Examples, joined
from vae_pipeline.kinds.raw import checked
from vae_pipeline.kinds.spec import TableSpec
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.metrics.detection import normal_part
from vae_pipeline.metrics.membership import CONFIDENCE
from vae_pipeline.metrics.privacy import copied_rows, privacy
from vae_pipeline.numerics.randomness import derive
from vae_pipeline.system.errors import DataError

Array = npt.NDArray[Any]


def audit_rows(files: Sequence[Examples], prepared: Prepared, spec: TableSpec, seed: int) -> AuditFindings:
    """The figures of synthetic rows; copies are looked for among all, the rest asked of 5,000 that are drawn."""
    seen = joined([each for file in files for each in file.some()])
    drawn, train, test = checked(seen.x, spec), prepared.train.x[:], normal_part(prepared).x[:]
    unknown = _unknown(drawn, spec)
    of = copied_rows(train, drawn)
    figures: dict[str, Any] = {"files": len(drawn), "audited_rows": min(len(train), len(test)), "left_out": {}}
    figures |= {
        "unknown": unknown,
        "copies": float((of >= 0).mean()),
        "copies_of_test": float((copied_rows(train, test) >= 0).mean()),
    }
    if min(len(train), len(test)) < LEAST:
        reason = f"{figures['audited_rows']} training or test rows are too few to be told apart: {LEAST} are wanted"
        figures["left_out"] = {figure.key: reason for figure in OF_ROWS[1:]}
    else:
        order = np.random.default_rng(derive(seed, "audited files")).permutation(len(drawn))
        figures = {**_figures(train, test, drawn[order], spec, seed), **figures}
    return AuditFindings(figures, list(_copies(of, seen.files, seen.rows)))


def _unknown(drawn: Array, spec: TableSpec) -> dict[str, int]:
    """The number of values that the data don't have, of each column of classes that holds some.

    Raises:
        DataError: a column holds nothing else, so that no row could be a copy.
    """
    unknown = {
        column.name: int((drawn[:, at] == len(column.values)).sum())
        for at, column in enumerate(spec.columns)
        if column.kind == "category"
    }
    for name, count in unknown.items():
        if count == len(drawn):
            raise DataError(f"column {name} holds no value that the data have: write its values as the data do")
    return {name: count for name, count in unknown.items() if count}


def _figures(train: Array, test: Array, drawn: Array, spec: TableSpec, seed: int) -> dict[str, Any]:
    figures = dataclasses.asdict(privacy(train, test, drawn, spec.columns, seed))
    area, error = figures["membership_auc"], figures.pop("membership_standard_error")
    figures["nearer_to_training_standard_error"] = figures.pop("nearer_standard_error")
    around = float(norm.ppf((1 + CONFIDENCE) / 2)) * error
    ends = {"membership_auc_low": max(0.0, area - around), "membership_auc_high": min(1.0, area + around)}
    return figures | ends


def _copies(of: npt.NDArray[np.int64], files: Sequence[str], rows: npt.NDArray[np.int64]) -> Iterator[Copy]:
    for file, row, training_row in zip(files, rows.tolist(), of.tolist(), strict=True):
        if training_row >= 0:
            yield Copy(file, row, training_row, "copy")
