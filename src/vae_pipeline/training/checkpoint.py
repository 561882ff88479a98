"""Checkpoints: the whole state of a run, under a key made of all that determines the run.

The same recipe sections, data and seed find their checkpoint again; any other run starts afresh. The two
newest are kept, each written beside and renamed, each with a checksum of its contents, so that there is
always a whole one to go on from. Of several machines, each that doesn't see the first one's disk keeps the same file
on its own, and all go on from the newest: any one of them may be lost.
"""

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path
from uuid import uuid4

import torch
from safetensors.torch import save
from torch import Tensor

from vae_pipeline.models.weights import read_safetensors, require_fit
from vae_pipeline.numerics.randomness import generator_states, set_generator_states
from vae_pipeline.recipe import TrainedRecipe
from vae_pipeline.system.errors import WeightsError
from vae_pipeline.system.files import content_key, replace_file, sha256_of
from vae_pipeline.training.epoch import Epoch
from vae_pipeline.training.loop import Training
from vae_pipeline.training.processes import ALONE, Processes
from vae_pipeline.training.start import digest_of

KEPT = 2
# Code that determines the weights, beside recipe, data and seed: a half-run of other code is not gone on with.
SOURCES = (
    "evaluation/gates.py", "kinds", "metrics", "models", "numerics", "runtime/privacy_entry.py",
    "stages/execution.py", "stages/running.py", "stages/train.py", "system/seal.py", "system/typed_json.py", "training",
)  # fmt: skip


def run_key(recipe: TrainedRecipe, data_digest: str, device: torch.device, start: str | None = None) -> str:
    """The sha256 of all that determines a run's weights.

    `start` is the sha256 of a file of weights that it begins with, instead of those that the recipe says.
    """
    parts = {
        "recipe": recipe.model_dump(mode="json", exclude={"about"}),
        "data": data_digest,
        "start": digest_of(recipe) if start is None else start,
        "device": device.type,
        "torch": torch.__version__,
        "code": _code_digest(),
    }
    return content_key(parts)


def _code_digest() -> str:
    package = Path(__file__).parent.parent
    files = [file for name in SOURCES for file in sorted((package / name).rglob("*.py")) or [package / name]]
    return content_key([[file.relative_to(package).as_posix(), sha256_of(file)] for file in files])


class Checkpoints:
    """The checkpoints of one run."""

    def __init__(self, home: Path, key: str, processes: Processes = ALONE) -> None:
        self.folder, self.processes = home / "checkpoints" / key, processes
        apart = not self._is_the_first_ones()  # all ask, and wait for each other
        writing = processes.gathered(processes.first or (processes.leads and apart))
        self.several, self.own = sum(writing) > 1, writing[processes.rank]

    def _is_the_first_ones(self) -> bool:
        """True if the first process's folder is this one: a file that it has just made there is seen here."""
        if self.processes.count == 1:
            return True
        name = f".{uuid4().hex}"
        if self.processes.first:
            replace_file(self.folder / name, b"")
        mark = self.folder / self.processes.share(name)
        seen = self.processes.gathered(mark.exists())
        if self.processes.first:
            mark.unlink(missing_ok=True)
        return seen[self.processes.rank]

    def save(self, training: Training) -> None:
        """Write the state of the first process, wherever checkpoints are kept; all of them come here together."""
        self.processes.gather(training.totals)
        state = pack(training) if self.processes.first else ({}, {})
        if self.several:
            state = self.processes.share(state)
        if self.own:
            self._write(training.step, *state)

    def _write(self, step: int, tensors: dict[str, Tensor], header: dict[str, object]) -> None:
        """Write a file and drop all but the newest two."""
        header["sha256"] = _checksum(tensors)
        content = save(tensors, metadata={"checkpoint": json.dumps(header)})
        replace_file(self.folder / f"{step:010d}.safetensors", content)
        for old in self._files()[KEPT:]:
            old.unlink(missing_ok=True)

    def restore(self, training: Training) -> list[str]:
        """Bring `training` to the newest whole checkpoint of any machine; says what is to be known of it."""
        said = self._read(training) if self.own else []
        steps = self.processes.gathered(training.step)
        newest = steps.index(max(steps))
        if self.processes.count > 1:
            state = pack(training) if self.processes.rank == newest else ({}, {})
            unpack(training, *self.processes.share(state, newest))
            if not self.processes.first:
                training.totals.zero_()
        if newest:
            said.append(f"the newest is on the disk of process {newest}, at step {steps[newest]}: all go on from it")
        return said

    def _read(self, training: Training) -> list[str]:
        """Bring `training` to the newest whole checkpoint of this folder, if there is one; says which were unusable."""
        unusable = []
        for path in self._files():
            try:
                tensors, metadata = read_safetensors(path)
                header = json.loads(metadata["checkpoint"])
                if header.pop("sha256") != _checksum(tensors):
                    raise WeightsError(f"{path} has another checksum than when it was written")
                require_fit(_group(tensors, "model"), training.model.state_dict(), path)
            except (WeightsError, KeyError, ValueError) as error:
                unusable.append(f"{path.name} is passed over: {error}")
                continue
            unpack(training, tensors, header)
            break
        return unusable

    def remove(self) -> None:
        """The run is complete: its checkpoints are no longer needed."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.safetensors"), reverse=True)


def pack(training: Training) -> tuple[dict[str, Tensor], dict[str, object]]:
    """The state of a run, as tensors on the CPU and values of JSON."""
    tensors = {"totals": training.totals, "skipped": training.skipped}
    tensors |= {f"generator/{name}": state for name, state in generator_states().items()}
    tensors |= {f"model/{name}": tensor for name, tensor in training.model.state_dict().items()}
    tensors |= {f"control/{name}": tensor for name, tensor in training.control.state_dict().items()}
    tensors |= {f"best/{name}": tensor for name, tensor in training.best.items()}
    if training.averaged is not None:
        tensors |= {f"averaged/{name}": tensor for name, tensor in training.averaged.state_dict().items()}
    tensors |= {f"optimizer/{index}": tensor for index, tensor in enumerate(training.optimizer.state())}
    if training.sharpener is not None:
        tensors |= {f"sharpness/{name}": tensor for name, tensor in training.sharpener.state().items()}
    header = {
        "step": training.step,
        "seconds": training.seconds,
        "history": [dataclasses.asdict(epoch) for epoch in training.history],
        "best_epoch": training.best_epoch,
        "stopped": training.stopped,
        "secret": None if training.secret is None else training.secret.bit_generator.state,
    }
    return {name: tensor.detach().cpu().contiguous() for name, tensor in sorted(tensors.items())}, header


def unpack(training: Training, tensors: dict[str, Tensor], header: dict[str, object]) -> None:
    """Inverse of `pack`."""
    device = training.totals.device
    training.model.load_state_dict(_group(tensors, "model"))
    training.control.load_state_dict(_group(tensors, "control"))
    training.best = {name: tensor.to(device) for name, tensor in _group(tensors, "best").items()}
    if training.averaged is not None:
        training.averaged.load_state_dict(_group(tensors, "averaged"))
    saved = _group(tensors, "optimizer")
    for index, tensor in enumerate(training.optimizer.state()):
        tensor.copy_(saved[str(index)])
    if training.sharpener is not None:
        held = _group(tensors, "sharpness")
        for name, tensor in training.sharpener.state().items():
            tensor.copy_(held[name])
    training.totals.copy_(tensors["totals"])
    training.skipped.copy_(tensors["skipped"])
    set_generator_states(_group(tensors, "generator"))
    training.step = int(str(header["step"]))
    training.seconds = float(str(header["seconds"]))
    training.history = [Epoch(**epoch) for epoch in header["history"]]  # type: ignore[attr-defined]
    training.best_epoch = header["best_epoch"]  # type: ignore[assignment]
    training.stopped = bool(header["stopped"])
    if training.secret is not None:
        training.secret.bit_generator.state = header["secret"]  # type: ignore[assignment]


def _group(tensors: dict[str, Tensor], group: str) -> dict[str, Tensor]:
    return {name.partition("/")[2]: tensor for name, tensor in tensors.items() if name.startswith(f"{group}/")}


def _checksum(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].numpy().tobytes())
    return digest.hexdigest()
