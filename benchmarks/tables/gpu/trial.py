"""A trial on drawn data: recipes for it, and their training in this process, step by step."""

import itertools
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.work import CLI, Work
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.models.build import build
from vae_pipeline.numerics.device import Kernels, prepare_device
from vae_pipeline.recipe import Recipe
from vae_pipeline.system.settings import Settings
from vae_pipeline.training.batches import Batches
from vae_pipeline.training.loop import Training, fit
from vae_pipeline.training.step import Execution

Row = dict[str, float]
PLAIN, CAPTURED = Execution(), Execution(captured=True)
COMPILED, BOTH = Execution(compiled=True), Execution(compiled=True, captured=True)
WARM_UP, ROUNDS = 8, 5


@dataclass
class Trial:
    """A device to try things on: on a CPU everything is small, and nothing is captured."""

    work: Work
    device: torch.device

    def __post_init__(self) -> None:
        self.settings = Settings(device=str(self.device), mlflow_uri="off", home=self.work.folder / "home")
        prepare_device(self.settings)

    @property
    def gpu(self) -> bool:
        return self.device.type == "cuda"

    def size(self, large: int, small: int) -> int:
        """A number on a GPU, and the one that tries the script on a CPU."""
        return large if self.gpu else small

    @contextmanager
    def kernels(self, deterministic: str) -> Iterator[None]:
        """A block that computes by other kernels."""
        before = Kernels.now()
        Kernels.of(self.settings.model_copy(update={"deterministic": deterministic})).use()
        try:
            yield
        finally:
            before.use()

    def images(
        self, recipe: str, shape: tuple[int, int, int], count: int, changes: dict[str, Any]
    ) -> tuple[Path, Path]:
        """A recipe on drawn images, and their prepared folder."""
        raw = self.work.folder / f"images-{'-'.join(map(str, shape))}-{count}.npy"
        if not raw.is_file():
            np.save(raw, np.random.default_rng(0).integers(0, 256, (count, *shape), np.uint8))
        part = {"images": {"path": str(raw)}, "labels": None}
        data = {"kind": "arrays", "shape": [*shape], "range": [0, 255], "train": part, "valid": 0.01, "test": 0.01}
        return self.prepared(self.work.recipe(recipe, {"data": data, **changes}), raw.stem)

    def text(self, changes: dict[str, Any]) -> tuple[Path, Path]:
        """The recipe ptb on drawn sentences of 22 tokens on average, whose words are as frequent as Zipf says."""
        draw, count = np.random.default_rng(0), self.size(40_000, 4_000)
        words, lengths = np.arange(1, 10_001), draw.poisson(21, count).clip(1, 59)
        drawn = draw.choice(words, lengths.sum(), p=(1 / words) / (1 / words).sum())
        ends = lengths.cumsum()
        lines = [
            " ".join(f"w{word}" for word in drawn[end - length : end])
            for end, length in zip(ends, lengths, strict=True)
        ]
        for name, some in (("train", lines[:-200]), ("valid", lines[-200:-100]), ("test", lines[-100:])):
            (self.work.folder / f"{name}.txt").write_text("\n".join(some) + "\n")
        parts = {name: {"path": str(self.work.folder / f"{name}.txt")} for name in ("train", "valid", "test")}
        return self.prepared(
            self.work.recipe("ptb", {**{f"data.{name}": part for name, part in parts.items()}, **changes}), "text"
        )

    def prepared(self, recipe: Path, name: str) -> tuple[Path, Path]:
        out = self.work.folder / "prepared" / name
        if not out.is_dir():
            subprocess.run(
                [*CLI, "prepare", recipe, "--out", out], check=True, stdout=sys.stderr, env=self.environment()
            )
        return recipe, out

    def environment(self, **settings: object) -> dict[str, str]:
        """The environment of a command."""
        named = {"device": self.settings.device, "mlflow_uri": "off", "home": self.settings.home, **settings}
        return os.environ | {f"VAE_{name.upper()}": str(value) for name, value in named.items()}

    def steps(self, recipe: Path, data: Path, execution: Execution = PLAIN, resident: int = 2**31) -> Iterator[object]:
        """Train without an end: what is yielded is a step."""
        read, prepared = Recipe.load(recipe), Prepared.open(data)
        train = read.train.model_copy(update={"epochs": 10**6, "steps": None, "keep": "last", "patience": None})
        torch.manual_seed(0)
        training = Training.start(build(read.model, prepared.spec).to(self.device), train, read.rate_control)
        batches = Batches(prepared.train, train.batch, 0, self.device, labelled=False, resident=resident)
        empty = type(prepared.valid)(prepared.valid.x[:0], None)
        if not self.gpu:
            execution = replace(execution, captured=False)
        return fit(training, train, read.objective, batches, empty, 0, execution)

    def timed(self, steps: Iterator[object], count: int) -> Row:
        """Milliseconds a step: the median of five rounds, the lowest and the highest; CPU time and memory beside."""
        count = self.size(count, 2)
        self._run(steps, WARM_UP)
        if self.gpu:
            torch.cuda.reset_peak_memory_stats()
        walls, cpu = [], time.process_time()
        for _ in range(ROUNDS):
            began = time.perf_counter()
            self._run(steps, count)
            walls.append(1e3 * (time.perf_counter() - began) / count)
        used = 1e3 * (time.process_time() - cpu) / (ROUNDS * count)
        peak = (
            torch.cuda.max_memory_allocated() if self.gpu else 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        )
        return {
            "ms": float(np.median(walls)),
            "least": min(walls),
            "most": max(walls),
            "cpu_ms": used,
            "mib": peak / 2**20,
        }

    def _run(self, steps: Iterator[object], count: int) -> None:
        for _ in itertools.islice(steps, count):
            pass
        self.wait()

    def wait(self) -> None:
        if self.gpu:
            torch.cuda.synchronize()
