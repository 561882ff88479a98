"""How well a score tells anomalies from normal rows: over all thresholds, and at few false alarms."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from vae_pipeline.data.store import Prepared, Split
from vae_pipeline.metrics.bounds import PerExample, batches, evaluating, taken
from vae_pipeline.models.vae import VAE

NORMAL = 0  # the label of normal rows; anomalies have 1
DRAWS = 16
RATES = (0.001, 0.01, 0.05)


def normal_part(prepared: Prepared) -> Split:
    """The test part without its anomalies, where labels tell them; all of it where they say something else."""
    return normal_rows(prepared.test) if prepared.tells_anomalies else prepared.test


def normal_rows(split: Split) -> Split:
    """The rows that aren't anomalies; all where nothing says which are, or all are."""
    if split.labels is None or not (split.labels == NORMAL).any():
        return split
    return taken(split, np.flatnonzero(split.labels == NORMAL))


@torch.inference_mode()
def anomaly_score(model: VAE, split: Split, device: torch.device) -> PerExample:
    """-ELBO of each example in nats, averaged over draws of z that are the same for every example.

    It is what `Bundle.score` gives by default; high means unlikely.
    """
    noise = torch.from_numpy(np.random.default_rng(0).standard_normal((DRAWS, model.latents)).astype(np.float32))
    found = []
    with evaluating(model):
        for rows, labels in batches(split, device):
            posterior = model.encode(rows, labels)
            z = posterior.transform(noise.to(device).unsqueeze(1).expand(-1, len(rows), -1))  # type: ignore[attr-defined]
            inference = model.explain(model.scaling(rows), posterior, z, labels)
            found.append((inference.distortion() + inference.rate()).double().mean(0).cpu().numpy())
    return np.concatenate(found)


def detection(score: PerExample, anomalous: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Figures of a score that is to be high where `anomalous`; nothing where one of the two is absent."""
    if anomalous.all() or not anomalous.any():
        return {}
    false_alarms, recall, _ = roc_curve(anomalous, score, drop_intermediate=False)
    at = {f"recall_at_fpr_{rate:g}": float(recall[false_alarms <= rate].max()) for rate in RATES}
    return {
        "auroc": float(roc_auc_score(anomalous, score)),
        "average_precision": float(average_precision_score(anomalous, score)),
        **at,
        "anomalies": int(anomalous.sum()),
    }
