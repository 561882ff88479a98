"""One model trained by several processes: each test starts commands of its own."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tests.lanes import figures
from tests.training.commands import train_command

from vae_pipeline.system.errors import SettingsError
from vae_pipeline.training.processes import ALONE, fresh_store, joined

pytestmark = pytest.mark.slow

LONG = 60  # epochs, in which there is time to kill a process


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


def test_two_processes_train_as_one_does(command, tmp_path):
    subprocess.run(**command("one"), check=True, timeout=120)
    subprocess.run(**command("two", processes=2), check=True, timeout=240)
    np.testing.assert_allclose(figures(tmp_path / "two"), figures(tmp_path / "one"), rtol=1e-5)


@pytest.fixture(scope="module")
def whole(lane, smoke, tmp_path_factory):
    """The model of two processes that nobody disturbs."""
    folder = tmp_path_factory.mktemp("whole")
    settings = {"processes": 2, "home": folder / "home", "mlflow_uri": "off"}
    subprocess.run(**train_command(lane, smoke, folder, "model", LONG, **settings), check=True, timeout=600)
    return folder / "model"


def test_a_process_that_dies_ends_the_job_and_the_next_goes_on(command, whole, tmp_path):
    home = tmp_path / "other"
    run = command("cut", epochs=LONG, processes=2, home=home, checkpoint_s=0.1)
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
    np.testing.assert_array_equal(figures(tmp_path / "cut"), figures(whole))
    for name in ("weights.safetensors", "recipe.yaml"):
        assert (tmp_path / "cut" / name).read_bytes() == (whole / name).read_bytes()


def machines(command, tmp_path, **more):
    """The commands of two processes on machines that share no disk, each with a home and an output of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    for rank in range(2):
        run = command(f"out{rank}", epochs=LONG, home=tmp_path / f"home{rank}", checkpoint_s=0.1, threads=1)
        meeting = {"WORLD_SIZE": "2", "RANK": str(rank), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        run["env"] |= {**meeting, "LOCAL_RANK": "0"}
        yield {**run, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}


@pytest.mark.parametrize("lost", [0, 1])
def test_of_two_machines_without_a_common_disk_either_may_be_lost(lost, command, whole, tmp_path):
    first = [subprocess.Popen(**run) for run in machines(command, tmp_path)]
    for rank, process in enumerate(first):
        begun(process, tmp_path / f"home{rank}")
    first[lost].kill()
    _, said = first[1 - lost].communicate(timeout=120)
    first[lost].communicate()
    assert first[1 - lost].returncode == 1 and f"process {1 - lost} of 2 lost another one" in " ".join(said.split())
    shutil.rmtree(tmp_path / f"home{lost}")

    second = [subprocess.Popen(**run) for run in machines(command, tmp_path)]
    (said, errors), _ = (process.communicate(timeout=240) for process in second)
    assert [process.returncode for process in second] == [0, 0]
    assert "going on from step" in said
    assert ("the newest is on the disk of process 1" in " ".join(errors.split() + said.split())) == (lost == 0)
    np.testing.assert_array_equal(figures(tmp_path / "out0"), figures(whole))
    assert not (tmp_path / "out1").exists()
    assert not saved(tmp_path / "home0") and len(saved(tmp_path / "home1")) == 2


def test_a_machine_with_another_recipe_is_refused_by_all(command, tmp_path):
    runs = list(machines(command, tmp_path))
    runs[1]["args"] = [*runs[1]["args"], "--seed", "1"]
    both = [subprocess.Popen(**run) for run in runs]
    for process in both:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 2 and len(errors.splitlines()) == 1
        assert "process 1 has other recipe, seed, code, torch or kind of device (" in errors


def test_an_error_of_all_is_said_once(command, tmp_path):
    run = command("out", processes=2)
    run["args"][run["args"].index("--data") + 1] = str(tmp_path / "nowhere")
    done = subprocess.run(**run, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 and "nowhere" in done.stderr


def test_torchrun_restarts_what_died(command, whole, tmp_path):
    home = tmp_path / "other"
    run = command("again", epochs=LONG, home=home, checkpoint_s=0.1, threads=1)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=1"]
    process = subprocess.Popen([*torchrun, *run["args"][1:]], env=run["env"], stdout=subprocess.PIPE, text=True)
    begun(process, home)
    os.kill(max(children(process)), signal.SIGKILL)
    said, _ = process.communicate(timeout=180)
    assert process.returncode == 0
    assert "going on from step" in said
    np.testing.assert_allclose(figures(tmp_path / "again"), figures(whole), rtol=1e-5)


def test_processes_that_are_started_again_read_nothing_of_the_dead():
    """Their launcher keeps the store: what the first ones left there must not be taken for the second ones' words."""
    from torch.distributed import HashStore

    store = HashStore()

    def meet():
        with ThreadPoolExecutor(3) as pool:
            parts = list(pool.map(lambda rank: fresh_store(store, rank, 3), (2, 1, 0)))
        assert not any(part.check(["address"]) for part in parts)
        parts[0].set("address", "here")
        assert all(part.get("address") == b"here" for part in parts)

    for _ in range(3):
        meet()


def test_an_incomplete_environment_is_named(monkeypatch):
    import torch

    with joined(torch.device("cpu")) as processes:
        assert processes == ALONE
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SettingsError, match="RANK"), joined(torch.device("cpu")):
        pass


@pytest.mark.parametrize(
    ("count", "rank", "message"),
    [
        ("2", "5", "RANK=5 of WORLD_SIZE=2: the processes are numbered from 0 to 1; the launcher must set"),
        ("1", "1", "RANK=1 of WORLD_SIZE=1: the processes are numbered from 0 to 0"),
        ("0", "0", "RANK=0 of WORLD_SIZE=0: there is at least one process"),
        ("two", "0", "WORLD_SIZE=two: the launcher must set"),
        ("2", "-1", "RANK=-1: the launcher must set"),
    ],
)
def test_numbers_that_no_launcher_gives_are_refused_at_once(count, rank, message, monkeypatch):
    import torch

    monkeypatch.setenv("WORLD_SIZE", count)
    monkeypatch.setenv("RANK", rank)
    with pytest.raises(SettingsError, match=message), joined(torch.device("cpu")):
        pass
