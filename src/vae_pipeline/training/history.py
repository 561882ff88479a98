"""The history of a run: its epochs as the rows of history.csv."""

from collections.abc import Sequence

from vae_pipeline.training.epoch import Epoch
from vae_pipeline.training.trained import Row, columns


def history_rows(history: Sequence[Epoch], kept: int, sharpened: bool) -> list[Row]:
    """The rows of a history, from epochs of which the one with number `kept` was kept."""
    names = columns(sharpened)
    return [
        {
            **{name: float(epoch.epoch == kept) if name == "kept" else _number(getattr(epoch, name)) for name in names},
            **epoch.further(),
        }
        for epoch in history
    ]


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)
