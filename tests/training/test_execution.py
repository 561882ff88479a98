"""One model trained by several processes, or by a compiled step: each test starts commands of their own."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import yaml
from tests.lanes import edited

from vae_pipeline.errors import SettingsError
from vae_pipeline.stages.trained import read_history
from vae_pipeline.training.processes import ALONE, joined

pytestmark = pytest.mark.slow


@pytest.fixture
def command(lane, smoke, tmp_path):
    """Train on batches that two processes can't share evenly, for `epochs`."""

    def build(out, epochs=30, **settings):
        train = {"epochs": epochs, "batch": 63, "accumulate": 2, "ema": 0.99, "clip": 20.0, "schedule": "cosine"}
        recipe = tmp_path / "smoke.yaml"
        recipe.write_text(yaml.safe_dump(edited(smoke, train=train).model_dump(mode="json")))
        arguments = [
            sys.executable,
            "-m",
            "vae_pipeline",
            "train",
            recipe,
            "--data",
            lane.data,
            "--out",
            tmp_path / out,
        ]
        environment = {f"VAE_{name.upper()}": str(value) for name, value in settings.items()}
        return {"args": [str(argument) for argument in arguments], "env": {**os.environ, **environment}}

    return build


def figures(folder):
    return np.array([[v for v in row.values() if v is not None] for row in read_history(folder / "history.csv")])


def children(process):
    pids = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=False).stdout.split()
    return [int(pid) for pid in pids]


def saved(home):
    return {path.name for path in home.glob("checkpoints/*/*.safetensors")}


def begun(process, home, before=frozenset()):
    """Wait for a checkpoint that wasn't there before."""
    deadline = time.monotonic() + 90
    while not saved(home) - before:
        assert process.poll() is None and time.monotonic() < deadline, "no checkpoint"
        time.sleep(0.05)


def test_a_compiled_step_trains_as_any_other_does(command, tmp_path):
    subprocess.run(**command("one"), check=True, timeout=120)
    subprocess.run(**command("compiled", compile="on"), check=True, timeout=240)
    np.testing.assert_allclose(figures(tmp_path / "compiled"), figures(tmp_path / "one"), rtol=1e-5)


def test_where_nothing_compiles_it_is_said_in_one_line(command, tmp_path):
    run = command("compiled", compile="on")
    run["env"] |= {"CXX": "/bin/false", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(**run, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 and "VAE_COMPILE=off" in done.stderr


def test_two_processes_train_as_one_does(command, tmp_path):
    subprocess.run(**command("one"), check=True, timeout=120)
    subprocess.run(**command("two", processes=2), check=True, timeout=240)
    np.testing.assert_allclose(figures(tmp_path / "two"), figures(tmp_path / "one"), rtol=1e-5)


def test_a_process_that_dies_ends_the_job_and_the_next_goes_on(command, tmp_path):
    subprocess.run(**command("whole", epochs=120, processes=2), check=True, timeout=240)
    home = tmp_path / "other"
    run = command("cut", epochs=120, processes=2, home=home, checkpoint_s=0.1)
    process = subprocess.Popen(**run, stderr=subprocess.PIPE, text=True)
    begun(process, home)
    died = time.monotonic()
    os.kill(children(process)[1], signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - died < 30
    assert process.returncode == 1
    assert "process 1 of 2 was ended by SIGKILL" in errors.splitlines()[-1]
    assert "Traceback" not in errors
    assert not (tmp_path / "cut").exists()

    before = saved(home)
    process = subprocess.Popen(**run, stderr=subprocess.PIPE, text=True)
    begun(process, home, before)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert len(errors.splitlines()) == 1 and "SIGINT at step" in errors

    done = subprocess.run(**run, check=True, capture_output=True, text=True, timeout=240)
    assert "going on from step" in done.stdout
    np.testing.assert_array_equal(figures(tmp_path / "cut"), figures(tmp_path / "whole"))
    for name in ("weights.safetensors", "recipe.yaml"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_an_error_of_all_is_said_once(command, tmp_path):
    run = command("out", processes=2)
    run["args"][run["args"].index("--data") + 1] = str(tmp_path / "nowhere")
    done = subprocess.run(**run, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 and "nowhere" in done.stderr


def test_torchrun_starts_it_too(command, tmp_path):
    run = command("run")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    subprocess.run([*torchrun, *run["args"][1:]], env=run["env"], check=True, capture_output=True, timeout=240)
    subprocess.run(**command("one"), check=True, timeout=120)
    np.testing.assert_allclose(figures(tmp_path / "run"), figures(tmp_path / "one"), rtol=1e-5)


def test_an_incomplete_environment_is_named(monkeypatch):
    import torch

    with joined(torch.device("cpu")) as processes:
        assert processes == ALONE
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SettingsError, match="RANK"), joined(torch.device("cpu")):
        pass
