"""Examples of before, weighed until they resemble those of now: what `score --shift-from --shift-to` judges by."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import typer

from vae_pipeline.system.errors import DataError

if TYPE_CHECKING:
    from vae_pipeline.runtime.bundle import Bundle
    from vae_pipeline.runtime.detection import Detection


class Shifted:
    """A bundle's detector with another calibration: normal examples of before, weighed."""

    def __init__(self, model: "Bundle", before: Path, now: Path, key: str | None, resize: Any) -> None:
        """Judge the examples of before, weigh them, and say how many are left of them.

        Raises:
            DataError: an example can't be used, there are too few, or the model has no weights of this kind.
        """
        from vae_pipeline.runtime.shift import Shift

        why = {
            "is conditional, and a shift is told by latents alone": model.manifest.conditional,
            "has maps of latents, too many to tell a shift by": model.latent_map is not None,
            "has a threshold for each segment, which is another remedy": model.detector.segments is not None,
        }
        for reason, true in why.items():
            if true:
                raise DataError(f"--shift-from was given, and {model.folder} {reason}: leave it out")
        self.model = model
        scores, calibration = self._seen(before, key, resize)
        self.shift = Shift.between(scores, calibration, self._seen(now, key, resize)[1])
        size = self.shift.effective_size
        self.told = f"weighed by {now}, the {len(scores):,} examples of {before} count as {size:.3g}"
        typer.echo(self.told, err=True)

    def _seen(self, path: Path, key: str | None, resize: Any) -> tuple[Any, Any]:
        from vae_pipeline.kinds.observations import Examples
        from vae_pipeline.runtime.shift import LEAST

        parts = [some.x for some in Examples([path], self.model.spec, key, resize).some()]
        scores = np.concatenate([self.model.detect(x).score for x in parts])
        if len(scores) < LEAST:
            raise DataError(f"{path} holds {len(scores)} examples, too few to tell a shift: give at least {LEAST}")
        return scores, np.concatenate([self.model.encode(x).mean for x in parts])

    def require(self, alpha: float) -> None:
        """Refuse a false-alarm rate that can't be told.

        Raises:
            DataError: so few examples resemble those of now.
        """
        least = 1 / (self.shift.effective_size + 1)
        if not least <= alpha < 1:
            raise DataError(
                f"alpha {alpha:g} was given; {self.told}, which tells false-alarm rates from {least:.2g} to 1"
            )

    def judged(self, x: Any, found: "Detection") -> "Detection":
        """Replace the p-values of what was `found` of examples."""
        return replace(found, p_value=self.shift.p_values(found.score, self.model.encode(x).mean))
