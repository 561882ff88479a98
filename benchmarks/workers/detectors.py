"""Detectors of anomalies: python detectors.py INPUT OUTPUT SEED NAME...

INPUT, an .npz, holds the rows `train` (all of them normal) and `test`. Of each detector in turn the scores go to
OUTPUT/NAME.npy, and a line says the seconds that fitting and scoring took, and the peak of memory so far.
"""

import json
import sys
import time
from importlib import import_module
from pathlib import Path

import numpy as np
from protocol import peak_mib

# Each as its package ships it, but for what `detector` says.
PYOD = {
    "PyOD VAE": ("vae", "VAE"),
    "PyOD AutoEncoder": ("auto_encoder", "AutoEncoder"),
    "IForest": ("iforest", "IForest"),
    "PCA": ("pca", "PCA"),
    "ECOD": ("ecod", "ECOD"),
    "kNN": ("knn", "KNN"),
    "LOF": ("lof", "LOF"),
    "OCSVM": ("ocsvm", "OCSVM"),
}


def detector(name, seed, train):
    if name.startswith("vae-pipeline"):
        from our_detector import Detector

        return Detector(seed, contamination="some" if name.endswith("some") else None)
    module, called = PYOD[name]
    made = getattr(import_module(f"pyod.models.{module}"), called)
    match name:
        case "PyOD VAE" | "PyOD AutoEncoder":
            return made(random_state=seed, verbose=0)
        case "IForest":
            return made(random_state=seed)
        case "PCA":  # by default it divides by 0 where columns depend on each other
            return made(random_state=seed, n_components=int(np.linalg.matrix_rank(train)))
        case _:
            return made()


def timed(work):
    cpu, wall = time.process_time(), time.perf_counter()
    found = work()
    return found, {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}


def main():
    rows, out, seed, *names = sys.argv[1:]
    given = np.load(rows)
    train, test = given["train"], given["test"]
    for name in names:
        made = detector(name, int(seed), train)
        _, fit = timed(lambda made=made: made.fit(train))
        scores, score = timed(lambda made=made: made.decision_function(test))
        np.save(Path(out) / f"{name}.npy", scores)
        print(json.dumps({"name": name, "fit": fit, "score": score, "peak_mib": peak_mib()}), flush=True)


main()
