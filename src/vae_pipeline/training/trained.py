"""The folder that `train` fills, and what others read from it."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from vae_pipeline.kinds.spec import DataSpec, load_spec
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.models.build import build
from vae_pipeline.models.vae import VAE
from vae_pipeline.models.weights import load_weights, save_weights
from vae_pipeline.numerics.randomness import seeded
from vae_pipeline.recipe import TrainedRecipe
from vae_pipeline.runtime.privacy_entry import PrivacyEntry
from vae_pipeline.system.errors import DataError
from vae_pipeline.system.files import replace_file, write_json
from vae_pipeline.system.reading import parse, read_yaml
from vae_pipeline.system.seal import unsealed
from vae_pipeline.system.typed_json import read_json, typed

COLUMNS = (
    "epoch", "train_elbo", "train_distortion", "train_rate",
    "valid_elbo", "valid_distortion", "valid_rate", "active_units", "mutual_information", "posterior_variance",
    "decoder_gain", "decoder_gain_share", "learning_rate", "beta", "kept",
)  # fmt: skip
SHARPNESS = ("perceptual", "perceptual_weight", "adversarial", "adversarial_weight", "discriminator")
"""Columns of a history whose recipe has `train.sharpness`, before the last."""
SKIPPED, LEVEL = "skipped_steps", "rate_of_level_"
"""Columns after the last that some recipes have: the second begins the names of those of a ladder's levels, the topmost
being 1."""
PRIVACY = "privacy.json"
"""The promise of private training, beside its weights."""
Row = dict[str, float | None]


def columns(sharpened: bool) -> tuple[str, ...]:
    """The columns of a history."""
    return (*COLUMNS[:-1], *SHARPNESS, COLUMNS[-1]) if sharpened else COLUMNS


@dataclass(frozen=True)
class SamplerChoice:
    """The sampler of new latents, and the distance of each candidate's samples, where it was chosen."""

    kind: str
    distances: dict[str, float]

    @classmethod
    def load(cls, path: Path) -> "SamplerChoice":
        """Read what `train` wrote.

        Raises:
            DataError: it isn't there, or says nothing of a sampler.
        """
        try:
            return typed(cls, read_json(path))
        except (OSError, ValueError) as error:
            raise DataError(f"{path} isn't what `vae-pipeline train` wrote ({error}): train again") from error


@dataclass(frozen=True)
class Trained:
    """A trained model and what made it."""

    model: VAE
    recipe: TrainedRecipe
    spec: DataSpec
    weights_sha256: str
    history: list[Row]
    sampler: SamplerChoice
    alarms: list[dict[str, Any]]
    """The alarms of its training: name, about, epoch, cleared."""
    privacy: PrivacyEntry | None = None
    """The promise of private training."""

    @property
    def impatient(self) -> bool:
        """True if training ended because `patience` epochs brought no better one."""
        patience, elbos = self.recipe.train.patience, [row["valid_elbo"] for row in self.history]
        if patience is None or None in elbos:
            return False
        return len(elbos) - 1 - max(range(len(elbos)), key=lambda index: elbos[index] or -math.inf) >= patience

    @property
    def kept_epoch(self) -> int:
        """The epoch whose weights these are."""
        return next(int(row["epoch"] or 0) for row in self.history if row["kept"] == 1)

    def sees(self, prepared: Prepared) -> Prepared:
        """The data as the model is shown them: corrupted, where its recipe says so."""
        return prepared.corrupted(self.recipe.train.denoise, self.recipe.seed)

    @classmethod
    def load(cls, folder: Path) -> "Trained":
        """Read what `train` wrote.

        Raises:
            RecipeError, DataError, WeightsError: the folder isn't one that `train` filled, or was altered.
        """
        digests = unsealed(folder, "train")
        recipe = parse(TrainedRecipe, read_yaml(folder / "recipe.yaml"), folder / "recipe.yaml")
        spec = load_spec(folder / "spec.json")
        with seeded(0):  # fresh weights, overwritten at once
            model = build(recipe.model, spec)
        load_weights(model, folder / "weights.safetensors")
        return cls(
            model,
            recipe,
            spec,
            digests["weights.safetensors"],
            read_history(folder / "history.csv"),
            SamplerChoice.load(folder / "sampler.json"),
            read_alarms(folder / "alarms.json"),
            None if recipe.train.private is None else read_privacy(folder / PRIVACY),
        )


def write_history(path: Path, rows: Sequence[Row]) -> None:
    """Write rows as CSV; numbers in full precision."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    replace_file(path, text.getvalue().encode())


def read_history(path: Path) -> list[Row]:
    """Inverse of `write_history`.

    Raises:
        DataError: it isn't there, or isn't a history.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows, sharpened = list(reader), "perceptual" in (reader.fieldnames or ())
            more = [name for name in reader.fieldnames or () if name == SKIPPED or name.startswith(LEVEL)]
        names = (*columns(sharpened), *more)
        history = [{name: float(row[name]) if row[name] else None for name in names} for row in rows]
    except (OSError, KeyError, ValueError, TypeError, csv.Error) as error:
        raise DataError(f"{path} isn't what `vae-pipeline train` wrote ({error}): train again") from error
    required = [row[name] for row in history for name in ("epoch", "train_elbo", "train_distortion", "train_rate")]
    if not any(row["kept"] == 1 for row in history) or not all(
        value is not None and math.isfinite(value) for value in required
    ):
        raise DataError(f"{path} lacks figures, or doesn't say which epoch was kept: train again")
    return history


def read_alarms(path: Path) -> list[dict[str, Any]]:
    """The alarms that `train` wrote.

    Raises:
        DataError: it isn't there, or isn't a list of alarms.
    """
    try:
        alarms = read_json(path)
        return [{name: alarm[name] for name in ("name", "about", "epoch", "cleared")} for alarm in alarms]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} isn't what `vae-pipeline train` wrote ({error!r}): train again") from error


def read_privacy(path: Path) -> PrivacyEntry:
    """The promise that `train` wrote.

    Raises:
        DataError: it isn't there, or is none.
    """
    try:
        return typed(PrivacyEntry, read_json(path))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} isn't what `vae-pipeline train` wrote ({error}): train again") from error


def write_trained(
    folder: Path,
    model: VAE,
    recipe: TrainedRecipe,
    spec: DataSpec,
    history: Sequence[Row],
    sampler: SamplerChoice,
    alarms: Sequence[Mapping[str, Any]],
    privacy: PrivacyEntry | None = None,
) -> None:
    """Write what `Trained.load` reads, but for the seal, which is the last file of a folder."""
    save_weights(model.state_dict(), folder / "weights.safetensors")
    write_json(folder / "sampler.json", {"kind": sampler.kind, "distances": sampler.distances})
    write_history(folder / "history.csv", history)
    write_json(folder / "alarms.json", list(alarms))
    if privacy is not None:
        write_json(folder / PRIVACY, asdict(privacy))
    replace_file(folder / "recipe.yaml", yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False).encode())
    spec.save(folder / "spec.json")
