"""One step of the optimizer on one batch, computed as fast as the device allows.

Nothing in it waits for the device, and all that changes from step to step comes as a tensor, so that a compiler
or a CUDA graph can take the whole of it.
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vae_pipeline.models.rows import Rows
from vae_pipeline.models.vae import VAE, Inference
from vae_pipeline.numerics.adam import AdamW
from vae_pipeline.numerics.device import rounding_to_tf32
from vae_pipeline.numerics.randomness import drawing_for
from vae_pipeline.recipe.train import Train
from vae_pipeline.system.errors import SettingsError
from vae_pipeline.training.batches import Batch, BatchPart
from vae_pipeline.training.dense import dense_gradient
from vae_pipeline.training.objectives import Objective
from vae_pipeline.training.processes import ALONE, Processes
from vae_pipeline.training.rate_control import RateControl
from vae_pipeline.training.sharpness.sharpener import Sharpener

WARM_UP = 3  # steps before a CUDA graph is captured, as torch's documentation asks


@dataclass(frozen=True)
class Execution:
    """The way in which steps are computed; it changes no more than the last bits of a number."""

    compiled: bool = False
    """torch.compile of everything from batch to loss, and of its gradient."""
    captured: bool = False
    """A CUDA graph of the whole step: on a CUDA device, in one process, of batches in one piece."""
    processes: Processes = ALONE


class Step:
    """Gradient and update; `totals` gains distortion and rate, summed over the batch."""

    def __init__(
        self,
        model: VAE,
        optimizer: AdamW,
        totals: Tensor,
        objective: Objective,
        samples: int,
        control: RateControl,
        train: Train,
        execution: Execution,
        check: Callable[[Tensor], None],
        skipped: Tensor,
        sharpener: Sharpener | None = None,
    ) -> None:
        """`check` is given each loss on a CPU, before the update; `skipped` counts the steps that aren't made."""
        self.sharpener = sharpener
        self.control, self.processes = control, execution.processes
        self.optimizer, self.totals, self.clip, self.check = optimizer, totals, train.clip, check
        self.device = totals.device
        self.skip_threshold, self.skipped = train.skip_threshold, skipped
        self.full = train.batch
        self.rate = torch.zeros((), device=self.device)
        gpu = self.device.type == "cuda"
        autocast = train.precision == "bfloat16" and gpu
        self.rounding = rounding_to_tf32 if train.precision == "tf32" and gpu else nullcontext
        loss = _Loss(model, objective, samples, control, autocast, sharpener)
        if execution.compiled:
            import torch._inductor.config as inductor  # noqa: PLC0415 (seconds, for those who compile)

            inductor.fallback_random = True  # the draws of a step that isn't compiled
            loss.compile(dynamic=False)
        self.loss: nn.Module = loss
        if execution.processes.count > 1:
            self.loss = nn.parallel.DistributedDataParallel(
                loss, forward_sync_buffers=False, gradient_as_bucket_view=True
            )
        plain = execution == Execution() and self.device.type == "cpu" and train.accumulate == 1 and sharpener is None
        self.dense = dense_gradient(model, objective, control) if plain else None
        self.graph = _Graph(lambda parts: self._parts(parts, self.full)) if execution.captured else None

    def __call__(self, batch: Batch, rate: float) -> Tensor:
        """The loss of the batch, left on the device."""
        self.rate.fill_(rate)
        if self.graph is not None and batch.examples == self.full:
            return self.graph(batch.parts)
        return self._parts(batch.parts, batch.examples)

    def _parts(self, parts: list[BatchPart], examples: int) -> Tensor:
        if self.dense is None:
            for parameter in self.optimizer.parameters:
                parameter.grad = None
        done = [self._part(part, last=part is parts[-1]) for part in parts]
        loss = done[0][0] if len(done) == 1 else torch.stack([loss for loss, _ in done]).sum()
        sums = [sums for part, (_, sums) in zip(parts, done, strict=True) if part.weight]
        for each in sums:
            self.totals.add_(each[:2])
        if self.control.feedback:
            total = (
                torch.stack(sums).sum(0) if sums else torch.zeros(2 + self.control.squared_error, device=self.device)
            )
            self.processes.add_up(total)
            self.control.observe(*(total / examples))
        if self.device.type == "cpu":
            self.check(loss)
        over = None if self.skip_threshold is None else self._over(self.skip_threshold)
        if self.clip is not None:
            nn.utils.clip_grad_norm_(self.optimizer.parameters, self.clip)
        self.optimizer.step(self.rate, over)
        if self.sharpener is not None:
            self.sharpener.step(self.rate)
        return loss

    def _over(self, threshold: float) -> Tensor:
        """1 if the norm of the gradient is over the threshold, or isn't a number, else 0; counted."""
        norm = nn.utils.get_total_norm([p.grad for p in self.optimizer.parameters if p.grad is not None])
        over = (~(norm <= threshold)).float()
        self.skipped.add_(over)
        return over

    def _part(self, part: BatchPart, last: bool) -> tuple[Tensor, Tensor]:
        with self.rounding():
            if isinstance(self.loss, _Loss):
                loss, sums = self._gradient(part)
            else:  # processes exchange gradients once a step
                with nullcontext() if last else self.loss.no_sync(), drawing_for(part.share):  # type: ignore[operator]
                    loss, sums = self._gradient(part)
        return loss.detach(), sums

    def _gradient(self, part: BatchPart) -> tuple[Tensor, Tensor]:
        if self.dense is not None:
            return self.dense(part.rows)
        try:
            loss, sums = self.loss(part.rows.x, part.rows.target, part.rows.label)
        except Exception as error:
            if type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
                raise _not_compiled(error) from error
            raise
        if part.weight != 1:
            loss = loss * part.weight
        loss.backward()
        if self.sharpener is not None:
            self.sharpener.learn(part.weight)
        return loss, sums


def _not_compiled(error: Exception) -> SettingsError:
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return SettingsError(
        f"VAE_COMPILE: torch.compile can't compile the step ({said[:200]}); it needs a C++ compiler: install one, "
        "or set VAE_COMPILE=off"
    )


class _Loss(nn.Module):
    """The loss of observations; beside it the sums of distortion, rate and, where wanted, squared error."""

    def __init__(
        self,
        model: VAE,
        objective: Objective,
        samples: int,
        control: RateControl,
        autocast: bool,
        sharpener: Sharpener | None,
    ) -> None:
        super().__init__()
        self.model, self.objective, self.samples = model, objective, samples
        self.control, self.autocast, self.sharpener = control, autocast, sharpener

    def forward(self, x: Tensor, target: Tensor | None, label: Tensor | None) -> tuple[Tensor, Tensor]:
        with torch.autocast(x.device.type, torch.bfloat16) if self.autocast else nullcontext():
            inference: Inference = self.model(x, target, self.samples, label)
        loss = self.objective(inference, self.control)
        if self.sharpener is not None:
            loss = loss + self.sharpener.pull(self.model, inference, label)
        with torch.no_grad():
            sums = [inference.distortion(), inference.rate()]
            if self.control.squared_error:
                sums.append((inference.likelihood.mean - inference.target).square().flatten(2).mean(2))
            return loss, torch.stack([term.mean(0).sum() for term in sums])


class _Graph:
    """A step captured as a CUDA graph after some steps that warm up, and replayed from then on."""

    def __init__(self, step: Callable[[list[BatchPart]], Tensor]) -> None:
        self.step, self.made = step, 0
        self.graph: torch.cuda.CUDAGraph | None = None
        self.stream = torch.cuda.Stream()

    def __call__(self, parts: list[BatchPart]) -> Tensor:
        if self.graph is None:
            if self.made < WARM_UP:
                self.made += 1
                return self._aside(parts)
            self._capture(parts[0])
        assert self.graph is not None
        for kept, given in zip(_tensors(self.rows), _tensors(parts[0].rows), strict=True):
            kept.copy_(given)
        self.graph.replay()
        return self.loss

    def _aside(self, parts: list[BatchPart]) -> Tensor:
        """Run on a stream of its own: what the first steps allocate must not be tied to the usual one."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            loss = self.step(parts)
        torch.cuda.current_stream().wait_stream(self.stream)
        return loss

    def _capture(self, part: BatchPart) -> None:
        given = part.rows
        label, target = (None if each is None else each.clone() for each in (given.label, given.target))
        self.rows = Rows(given.x.clone(), label, target)
        self.graph = torch.cuda.CUDAGraph()
        # The reader's thread may use the device meanwhile.
        with torch.cuda.graph(self.graph, capture_error_mode="thread_local"):
            self.loss = self.step([BatchPart(self.rows, part.share, part.weight)])


def _tensors(rows: Rows) -> list[Tensor]:
    return [each for each in (rows.x, rows.label, rows.target) if each is not None]
