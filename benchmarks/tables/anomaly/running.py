"""The runs of detectors: each package in a process and an environment of its own."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.environments import python
from benchmarks.store import Store
from benchmarks.tables.anomaly.plan import CONTAMINATED, DETECTORS, MOST_TEST, MOST_TRAIN, OURS, PATIENCE, SOME, VAE
from benchmarks.tables.anomaly.sets import Array, Flags, Read, made, split
from benchmarks.work import SINGLE, WORKERS
from vae_pipeline.metrics.detection import detection

Row = dict[str, Any]


class Bench:
    """Runs of detectors, and where what they find is stored."""

    def __init__(self, store: Store, folder: Path, detectors: Sequence[str], again: bool) -> None:
        self.store, self.folder, self.detectors, self.again = store, folder, detectors, again

    def detection(self, kind: str, tables: dict[str, Read], seeds: int) -> None:
        """Each detector on each table and split; `kind` is the section of figures."""
        meant = [each for each in self.detectors if each in (CONTAMINATED if kind == "contaminated" else DETECTORS)]
        for seed, (name, read) in product(range(seeds), tables.items()):
            kept = self.store.rows(kind).get(name, {})
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
                rows = self.store.rows(kind)  # read again: another run may have found others meanwhile
                row = rows.setdefault(name, {})
                row["set"] = {"rows": len(x), "columns": x.shape[1], "anomalies": int(anomalous.sum())}
                row.setdefault("split", {})[str(seed)] = part
                row.setdefault(each, {})[str(seed)] = found
                self.store.keep(kind, rows)

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
        self.store.keep("speed", found)

    def large(self, read: Read) -> None:
        """Ours on all of donors, whose peak of memory counts."""
        x, anomalous = read()
        train, test = split(anomalous, 0)
        for each, row in self.run(x[train], x[test], anomalous[test], 0, (OURS,)):
            self.store.keep("large", {each: row | {"train": len(train), "test": len(test)}})

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
        """Each detector's findings and times; those of a package in one process, stopped after `limit` seconds."""
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
