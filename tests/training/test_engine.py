"""The same numbers, however the steps are computed."""

import itertools
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.lanes import edited, make_job

from vae_pipeline.kinds.mapped import KEPT, SWEPT, MappedArray
from vae_pipeline.kinds.store import Split
from vae_pipeline.models.build import build
from vae_pipeline.numerics.adam import AdamW
from vae_pipeline.numerics.randomness import Share, drawing_for, standard_normal
from vae_pipeline.stages.train import train
from vae_pipeline.system.errors import SettingsError
from vae_pipeline.training.batches import Batches
from vae_pipeline.training.checkpoint import Checkpoints
from vae_pipeline.training.loop import Training, fit
from vae_pipeline.training.trained import read_history

CPU = torch.device("cpu")
MAPPED = """
import re, sys; from pathlib import Path
from vae_pipeline.kinds.mapped import MappedArray
rows = MappedArray(Path(sys.argv[1]))
peak = lambda: int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])
"""
"""The peak is this process's own: getrusage's is its parent's where that held more when it began."""
STEPS = 200


@pytest.fixture(scope="module")
def long(smoke):
    return edited(smoke, train={"epochs": 40, "keep": "last", "schedule": "one_cycle", "clip": 20.0})


def losses(recipe, prepared, **batching):
    """-ELBO of each epoch's steps, over at least 200 steps, and the weights after them."""
    torch.manual_seed(0)
    training = Training.start(build(recipe.model, prepared.spec), recipe.train, recipe.rate_control)
    batches = Batches(prepared.train, recipe.train.batch, 0, CPU, recipe.train.accumulate, **batching)
    loop = fit(training, recipe.train, recipe.objective, batches, prepared.valid, 0)
    assert len(list(itertools.islice(loop, STEPS))) == STEPS
    return np.array([[e.train_distortion, e.train_rate, e.valid_distortion] for e in training.history]), training


@pytest.fixture(scope="module")
def reference(long, prepared):
    return losses(long, prepared)


def test_streamed_batches_give_the_same_bits(long, prepared, reference):
    figures, training = losses(long, prepared, resident=0)
    np.testing.assert_array_equal(figures, reference[0])
    for mine, wanted in zip(training.model.parameters(), reference[1].model.parameters(), strict=True):
        assert torch.equal(mine, wanted)


def test_a_batch_in_pieces_gives_the_same_losses(smoke, prepared):
    """The noise of two pieces is that of the whole, since both draw a multiple of 16 numbers.

    The learning rate is low: with the recipe's own, training amplifies what a processor rounds otherwise.
    """
    whole = edited(smoke, train={"epochs": 40, "keep": "last", "clip": 20.0, "learning_rate": 0.0003})
    rows = Split(prepared.train.x[:384], prepared.train.labels[:384])  # six full batches
    some = replace(prepared, train=rows)
    wanted, _ = losses(whole, some)
    figures, _ = losses(edited(whole, train={"accumulate": 4}), some)
    np.testing.assert_allclose(figures, wanted, rtol=1e-5)


def test_bfloat16_leaves_a_cpu_in_float32(long, prepared, reference):
    figures, _ = losses(edited(long, train={"precision": "bfloat16"}), prepared)
    np.testing.assert_array_equal(figures, reference[0])


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_adam_is_torchs(decay):
    def module():
        torch.manual_seed(1)
        made = torch.nn.Sequential(torch.nn.Linear(7, 5), torch.nn.GroupNorm(1, 5))
        made.register_parameter("means", torch.nn.Parameter(torch.randn(3, 2)))
        made.register_parameter("log_scale", torch.nn.Parameter(torch.randn(())))
        return made

    ours, torchs = module(), module()
    mine = AdamW(ours, decay)
    groups = [
        {"params": [torchs[0].weight], "weight_decay": decay},
        {"params": [p for p in torchs.parameters() if p is not torchs[0].weight], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, fused=True)
    for step in range(20):
        rate = 0.1 / (1 + step)
        for group in optimizer.param_groups:
            group["lr"] = rate
        for of_mine, of_torch in zip(ours.parameters(), torchs.parameters(), strict=True):
            of_mine.grad = torch.randn(of_mine.shape)
            of_torch.grad = of_mine.grad.clone()
        mine.step(torch.tensor(rate, dtype=torch.float64))
        optimizer.step()
    for of_mine, of_torch in zip(ours.parameters(), torchs.parameters(), strict=True):
        assert torch.equal(of_mine, of_torch)


def test_the_moving_average_is_what_is_validated_and_kept(smoke, prepared):
    recipe = edited(smoke, train={"epochs": 2, "ema": 0.9, "keep": "last"})
    torch.manual_seed(0)
    training = Training.start(build(recipe.model, prepared.spec), recipe.train, recipe.rate_control)
    average = {name: p.detach().clone() for name, p in training.model.named_parameters()}
    batches = Batches(prepared.train, 64, 0, CPU)
    for step in fit(training, recipe.train, recipe.objective, batches, prepared.valid, 0):
        decay = min(0.9, step.step / (9 + step.step))
        for name, p in training.model.named_parameters():
            average[name] = decay * average[name] + (1 - decay) * p.detach()
    kept = training.weights(recipe.train)
    for name, wanted in average.items():
        torch.testing.assert_close(kept[name], wanted)
        assert not torch.equal(kept[name], training.model.get_parameter(name))


def test_a_run_with_a_moving_average_is_taken_up_with_the_same_bits(smoke, prepared, tmp_path):
    recipe = edited(smoke, train={"epochs": 2, "ema": 0.9, "accumulate": 3, "warm_up": 0.5})

    def begin():
        torch.manual_seed(0)
        training = Training.start(build(recipe.model, prepared.spec), recipe.train, recipe.rate_control)
        batches = Batches(prepared.train, 64, 0, CPU, recipe.train.accumulate)
        return training, fit(training, recipe.train, recipe.objective, batches, prepared.valid, 0)

    whole, loop = begin()
    list(loop)
    half, loop = begin()
    list(itertools.islice(loop, 9))
    Checkpoints(tmp_path, "key").save(half)
    again, loop = begin()
    torch.manual_seed(5)
    assert Checkpoints(tmp_path, "key").restore(again) == []
    list(loop)
    assert again.history == whole.history
    for name, wanted in whole.averaged.state_dict().items():
        assert torch.equal(again.averaged.state_dict()[name], wanted), name


def test_time_ends_a_run_within_an_epoch(smoke, lane, tmp_path):
    recipe = edited(smoke, train={"epochs": 10**6, "max_minutes": 0.02, "keep": "last"})
    report = train(make_job("smoke", recipe, tmp_path), lane.data, tmp_path / "model")
    history = read_history(tmp_path / "model" / "history.csv")
    assert 1 <= len(history) == report.epochs < 10**6
    assert all(np.isfinite([row["train_elbo"], row["valid_elbo"]]).all() for row in history)


def test_a_cpu_has_no_cuda_graph(smoke, lane, tmp_path):
    with pytest.raises(SettingsError, match="VAE_CUDA_GRAPH=on"):
        train(make_job("smoke", smoke, tmp_path, device="cpu", cuda_graph="on"), lane.data, tmp_path / "model")
    assert not (tmp_path / "model").exists()


class TestShares:
    def test_noise_is_that_of_one_process(self):
        torch.manual_seed(0)
        whole = torch.randn(3, 10, 4)
        parts = []
        for rank in range(3):
            torch.manual_seed(0)
            share = Share(rank, 3, 10)
            with drawing_for(share):
                parts.append(standard_normal((3,), torch.zeros(len(range(10)[share.rows]), 4)))
        for rank, part in enumerate(parts):
            assert torch.equal(part, whole[:, rank::3])

    @pytest.mark.parametrize("count", [1, 2, 5, 64, 65])
    def test_every_row_is_read_once_and_weights_add_up(self, count, prepared):
        rows = Split(prepared.train.x[:count], prepared.train.labels[:count])
        shares = [list(Batches(rows, 64, 0, CPU, 2, rank=rank, processes=3).epoch(0)) for rank in range(3)]
        whole = [batch.parts for batch in Batches(rows, 64, 0, CPU).epoch(0)]
        for number, batches in enumerate(zip(*shares, strict=True)):
            parts = [part for batch in batches for part in batch.parts]
            assert sum(part.weight for part in parts) == pytest.approx(3)  # averaged over three processes
            read = torch.cat([part.rows.x for part in parts if part.weight]).flatten(1)
            wanted = whole[number][0].rows.x.flatten(1)
            assert sorted(read.tolist()) == sorted(wanted.tolist())


class TestMappedArray:
    @pytest.fixture
    def array(self, tmp_path):
        values = np.arange(60, dtype=np.float32).reshape(10, 2, 3)
        np.save(tmp_path / "a.npy", values)
        return values, MappedArray(tmp_path / "a.npy")

    def test_it_reads_like_an_array(self, array):
        values, mapped = array
        assert (mapped.shape, mapped.dtype, mapped.nbytes, len(mapped)) == (values.shape, values.dtype, 240, 10)
        mapped.expect_any_order()
        np.testing.assert_array_equal(mapped[2:5], values[2:5])
        np.testing.assert_array_equal(mapped[np.array([9, 0, 9])], values[[9, 0, 9]])
        np.testing.assert_array_equal(mapped[-1], values[-1])
        np.testing.assert_array_equal(list(mapped), values)
        np.testing.assert_array_equal(np.asarray(mapped, np.int32), values.astype(np.int32))
        with pytest.raises(IndexError):
            mapped[np.array([10])]

    def test_what_it_gives_is_a_copy(self, array):
        values, mapped = array
        mapped[:][:] = 0
        mapped[np.array([1])][:] = 0
        np.testing.assert_array_equal(mapped[:], values)

    def test_memory_stays_flat(self, tmp_path):
        """All of a file is read in any order, and once more in its own; what was in memory is told by the system."""
        size = 2**29
        with (tmp_path / "big.npy").open("wb") as file:
            np.lib.format.write_array_header_1_0(
                file, {"descr": "|u1", "fortran_order": False, "shape": (size // 4096, 4096)}
            )
            for _ in range(16):  # written, not left sparse: the system's cache then has pages of its largest kind
                file.write(bytes(range(256)) * (size // 4096))
        program = (
            f"import numpy as np; {MAPPED}"
            "before = peak(); order = np.random.default_rng(0).permutation(len(rows))\n"
            "for at in range(0, len(rows), 256): rows[order[at:at + 256]]\n"
            "for at in range(0, len(rows), 4096): rows[at:at + 4096]\n"
            "print(peak() - before)"
        )
        command = [sys.executable, "-c", program, str(tmp_path / "big.npy")]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ})
        assert int(done.stdout) * 1024 < 2 * KEPT < size / 3

    def test_a_whole_file_is_held_once(self, tmp_path):
        """The pages that it is read from would count beside the copy."""
        size = 2**27
        np.save(tmp_path / "whole.npy", np.ones((size // 4096, 4096), np.uint8))
        program = f"{MAPPED}before = peak(); whole = rows[:]; print(peak() - before)"
        command = [sys.executable, "-c", program, str(tmp_path / "whole.npy")]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ})
        assert size <= int(done.stdout) * 1024 < size + 4 * SWEPT
