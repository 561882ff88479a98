"""scikit-learn's breast-cancer table: 569 tumours, 30 measurements of the nuclei of their cells; 212 are malignant.

Source: Wolberg, Mangasarian, Street and Street, Breast Cancer Wisconsin (Diagnostic), UCI, 1993.
"""

import hashlib

import numpy as np
from sklearn.datasets import load_breast_cancer

from vae_pipeline.kinds.parts import TableSource
from vae_pipeline.kinds.spec import Column
from vae_pipeline.recipe.data import TumoursData

BENIGN = 1


def open_tumours(data: TumoursData) -> TableSource:
    """Read the table that scikit-learn carries; benign tumours are normal."""
    bunch = load_breast_cancer()
    digest = hashlib.sha256(bunch.data.astype(np.float32).tobytes()).hexdigest()
    return TableSource(
        columns=tuple(Column(str(name), "number", False, ()) for name in bunch.feature_names),
        rows=bunch.data,
        labels=(bunch.target != BENIGN).astype(np.int64),
        scaling=data.scaling,
        cells=data.cells,
        one_class=data.one_class,
        valid=data.valid,
        test=data.test,
        split=data.split,
        ignored=("target",),
        origins={"sklearn.datasets.load_breast_cancer": f"sha256:{digest}"},
    )
