"""Figures of a classifier's probabilities on labelled images: accuracy, balanced accuracy and AUC."""

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

Array = npt.NDArray[Any]


def classification(probabilities: Array, labels: Array) -> dict[str, float]:
    """Figures of probabilities [examples, classes] of whole-numbered labels [examples]; each lies in [0, 1].

    `balanced_accuracy` is the mean recall, `auc` the mean area under the ROC curve of each class against the rest, both
    over the classes that occur. `auc` is 0.5 where only one class occurs.
    """
    named = probabilities.argmax(1)
    present = np.unique(labels)
    areas = [roc_auc_score(labels == each, probabilities[:, each]) for each in present if len(present) > 1]
    return {
        "accuracy": float((named == labels).mean()),
        "balanced_accuracy": float(np.mean([(named[labels == each] == each).mean() for each in present])),
        "auc": float(np.mean(areas)) if areas else 0.5,
    }
