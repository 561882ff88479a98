"""Results that are kept while a study runs: a file for each classifier, so that a killed study goes on."""

from dataclasses import asdict
from pathlib import Path

from vae_pipeline.evaluation.study.findings import Outcome
from vae_pipeline.system.files import write_json
from vae_pipeline.system.typed_json import read_json, typed


class Kept:
    """The results in a folder, whose name stands for all that determines them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, size: str, repeat: int, arm: str) -> Outcome | None:
        """The result of a classifier; None where it isn't there, or isn't whole."""
        try:
            return typed(Outcome, read_json(self._path(size, repeat, arm)))
        except (OSError, ValueError):
            return None

    def put(self, outcome: Outcome) -> None:
        """Keep a result, written beside and renamed."""
        write_json(self._path(outcome.size, outcome.repeat, outcome.arm), asdict(outcome))

    def _path(self, size: str, repeat: int, arm: str) -> Path:
        return self.folder / f"{size}_{repeat}_{arm}.json"
