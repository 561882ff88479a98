"""The sections of the table: what runs, on which drawn data."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.tables.gpu.trial import BOTH, CAPTURED, COMPILED, PLAIN, ROUNDS, Row, Trial
from benchmarks.work import CLI
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.models.build import build
from vae_pipeline.numerics.device import rounding_to_tf32
from vae_pipeline.recipe import Recipe
from vae_pipeline.system.files import sha256_of

Rows = dict[str, Row]
DIGIT = (1, 28, 28)
PHOTOGRAPH = (3, 64, 64)


def rates(trial: Trial) -> Rows:
    """The device: products of square matrices and copies, the most that it was seen to do."""
    side, rows = trial.size(8192, 256), {}
    for name, dtype in (("float32", torch.float32), ("tf32", torch.float32), ("bfloat16", torch.bfloat16)):
        a, b = (torch.randn(side, side, device=trial.device, dtype=dtype) for _ in range(2))
        if name == "tf32":
            with rounding_to_tf32():
                seconds = _best(trial, lambda a=a, b=b: a @ b)
        else:
            seconds = _best(trial, lambda a=a, b=b: a @ b)
        rows[f"product, {name}"] = {"ms": 1e3 * seconds, "tflops": 2 * side**3 / seconds / 1e12}
    given = torch.empty(trial.size(2**30, 2**22), dtype=torch.uint8, device=trial.device)
    kept = torch.empty_like(given)
    seconds = _best(trial, lambda: kept.copy_(given))
    rows["copy"] = {"ms": 1e3 * seconds, "gb_s": 2 * given.numel() / seconds / 1e9}
    return rows


def seed(trial: Trial) -> Rows:
    """The seed's network, batches of 128: the step plain, captured as a CUDA graph, compiled, and both."""
    recipe, data = trial.images("mnist", DIGIT, trial.size(60_000, 2_000), {})
    ways = {"plain": PLAIN, "captured": CAPTURED, "compiled": COMPILED, "compiled and captured": BOTH}
    rows = {}
    for name, execution in ways.items():
        began = time.perf_counter()
        rows[name] = trial.timed(trial.steps(recipe, data, execution), 400)
        rows[name]["s_in_all"] = time.perf_counter() - began
        rows[name]["per_s"] = 128 / rows[name]["ms"] * 1e3
    return rows


def wide(trial: Trial) -> Rows:
    """Wide networks on 3 x 64 x 64, captured: share of the product's rate in bfloat16."""
    rows, rate = {}, rates(trial)["product, bfloat16"]["tflops"]
    batch = trial.size(256, 4)
    for kind in ("convolution", "residual"):
        for precision in ("float32", "tf32", "bfloat16"):
            recipe, data = _wide(trial, kind, precision, batch)
            name = f"{kind}, {precision}"
            rows[name] = trial.timed(trial.steps(recipe, data, CAPTURED), 10)
            done = _operations(recipe, data, batch)
            rows[name]["tflops"] = done / rows[name]["ms"] / 1e9
            rows[name]["share"] = rows[name]["tflops"] / rate
    return rows


def kernels(trial: Trial) -> Rows:
    """The cost of deterministic kernels (VAE_DETERMINISTIC): captured steps with them and with the fastest."""
    batch = trial.size(256, 4)
    tried = {
        "convolution, bfloat16": _wide(trial, "convolution", "bfloat16", batch),
        "residual, bfloat16": _wide(trial, "residual", "bfloat16", batch),
        "text": trial.text({}),
    }
    rows = {}
    for name, (recipe, data) in tried.items():
        for wanted in ("auto", "off"):
            with trial.kernels(wanted):
                rows[f"{name}, {wanted}"] = trial.timed(trial.steps(recipe, data, CAPTURED), 10)
    return rows


def ladder(trial: Trial) -> Rows:
    """The recipe mnist_ladder_deep, batches of 32 and of 512."""
    rows = {}
    for batch in (32, 512) if trial.gpu else (4,):
        recipe, data = trial.images("mnist_ladder_deep", DIGIT, trial.size(60_000, 2_000), {"train.batch": batch})
        for name, execution in {"plain": PLAIN, "captured": CAPTURED}.items():
            row = rows[f"{batch}, {name}"] = trial.timed(trial.steps(recipe, data, execution), 20)
            row["per_s"] = batch / row["ms"] * 1e3
    return rows


def text(trial: Trial) -> Rows:
    """The recipe ptb on drawn sentences of 22 tokens: tokens a second."""
    rows = {}
    for batch in (64, 512) if trial.gpu else (8,):
        recipe, data = trial.text({"train.batch": batch})
        for name, execution in {"plain": PLAIN, "captured": CAPTURED}.items():
            row = rows[f"{batch}, {name}"] = trial.timed(trial.steps(recipe, data, execution), 20)
            row["per_s"] = 22 * batch / row["ms"] * 1e3
    return rows


def streaming(trial: Trial) -> Rows:
    """Data on the device, and read from the disk's map as they are used."""
    rows = {}
    recipes = {
        "seed's network": trial.images("mnist", DIGIT, trial.size(60_000, 2_000), {}),
        "residual, bfloat16": _wide(trial, "residual", "bfloat16", trial.size(256, 4)),
    }
    for name, (recipe, data) in recipes.items():
        for where, resident in {"resident": 2**40, "streamed": 0}.items():
            rows[f"{name}, {where}"] = trial.timed(trial.steps(recipe, data, CAPTURED, resident), 50)
    return rows


def processes(trial: Trial) -> Rows:
    """One process, and two that share the device by gloo: whole commands, and how far their ELBO is apart."""
    recipe, data = trial.images("mnist", DIGIT, trial.size(60_000, 2_000), _short(trial.size(300, 20)))
    rows, bounds = {}, []
    for count in (1, 2):
        out = trial.work.folder / f"by-{count}"
        began = time.perf_counter()
        _train(trial, recipe, data, out, processes=count, home=trial.work.folder / f"home-{count}")
        rows[f"{count}"] = {"s_in_all": time.perf_counter() - began}
        bounds.append(float((out / "history.csv").read_text().splitlines()[-1].split(",")[1]))
    rows["2"]["apart"] = abs(bounds[1] - bounds[0]) / abs(bounds[0])
    return rows


def repetition(trial: Trial) -> Rows:
    """The same command twice, and killed and gone on with: 1 where the weights are the same to the last bit."""
    tried = {
        "seed's network": trial.images("mnist", DIGIT, trial.size(60_000, 2_000), _short(trial.size(10_000, 1_000))),
        "residual, bfloat16": _wide(trial, "residual", "bfloat16", trial.size(64, 4), _short(trial.size(200, 40))),
        "text": trial.text(_short(trial.size(400, 60))),
    }
    return {name: _repeated(trial, name, *given) for name, given in tried.items()}


SECTIONS = (rates, seed, wide, kernels, repetition, text, streaming, processes, ladder)
"""The most useful ones are first, for the minutes may end before the rest."""


def _best(trial: Trial, call) -> float:
    """The seconds of one call: the fastest of five rounds of ten."""
    found = []
    for _ in range(ROUNDS + 1):
        trial.wait()
        began = time.perf_counter()
        for _ in range(10):
            call()
        trial.wait()
        found.append((time.perf_counter() - began) / 10)
    return min(found)


def _wide(
    trial: Trial, kind: str, precision: str, batch: int, more: dict[str, object] | None = None
) -> tuple[Path, Path]:
    channels = [trial.size(each, each // 32) for each in (128, 256, 512)]
    net = {"kind": kind, "channels": channels, "activation": "silu"}
    if kind == "residual":
        net |= {"blocks": 2, "normalisation": "group"}
    changes = {
        "model.encoder": net,
        "model.decoder": net | {"channels": channels[::-1]},
        "model.likelihood": {"kind": "gaussian", "scale": "learned", "mean": "linear"},
        "train.batch": batch,
        "train.precision": precision,
        "train.ema": None,
        **(more or {}),
    }
    return trial.images("mnist_conv", PHOTOGRAPH, trial.size(8_192, 400), changes)


def _operations(recipe: Path, data: Path, batch: int) -> int:
    """The operations of a step's products and convolutions, forward and backward, counted without computing them."""
    read, spec = Recipe.load(recipe), Prepared.open(data).spec
    model = build(read.model, spec).to("meta")
    x = torch.empty(batch, *spec.shape, dtype=torch.uint8, device="meta")
    with FlopCounterMode(display=False) as counter:
        inference = model(x)
        (inference.distortion() + inference.rate()).mean().backward()
    return counter.get_total_flops()


def _short(steps: int) -> dict[str, object]:
    """A run that is over soon; its last weights count."""
    return {
        "train.epochs": None,
        "train.steps": steps,
        "train.keep": "last",
        "train.patience": None,
        "sampler": "prior",
        "detection": None,
    }


def _train(trial: Trial, recipe: Path, data: Path, out: Path, **settings: object) -> None:
    command = [*CLI, "train", recipe, "--data", data, "--out", out]
    subprocess.run(command, check=True, stdout=sys.stderr, env=trial.environment(**settings))


def _repeated(trial: Trial, name: str, recipe: Path, data: Path) -> Row:
    folder = trial.work.folder / name.partition(",")[0]
    digests, seconds = [], []
    for number in range(2):
        out = folder / f"out-{number}"
        began = time.perf_counter()
        _train(trial, recipe, data, out, home=folder / f"home-{number}")
        seconds.append(time.perf_counter() - began)
        digests.append(sha256_of(out / "weights.safetensors"))
    home, out = folder / "home-cut", folder / "out-cut"
    command = [*map(str, CLI), "train", str(recipe), "--data", str(data), "--out", str(out)]
    cut = subprocess.Popen(command, stdout=sys.stderr, env=trial.environment(home=home, checkpoint_s=0.01))
    while cut.poll() is None and not [*home.glob("checkpoints/*/*.safetensors")]:
        time.sleep(0.01)
    began_anew = cut.poll() is not None
    if not began_anew:
        os.kill(cut.pid, signal.SIGKILL)
    cut.wait()
    _train(trial, recipe, data, out, home=home)
    digests.append(sha256_of(out / "weights.safetensors"))
    return {
        "twice": float(digests[0] == digests[1]),
        "resumed": float("nan") if began_anew else float(digests[0] == digests[2]),
        "s_in_all": min(seconds),
    }
