"""The command line where standard streams are closed or know few signs: each test starts a process."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

COMMAND = f"{sys.executable} -m vae_pipeline"


def shell(line, **environment):
    return subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, env=os.environ | environment, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("redirected", "code", "errors"),
    [
        ("encode {bundle} - -o {tmp}/z.npy <&-", 2, "vae-pipeline: - isn't a whole .npy"),
        ("encode {bundle} {tmp}/x.npy -o {tmp}/z.npy <&- >&- 2>&-", 0, ""),
        ("encode {bundle} {tmp}/absent.npy -o {tmp}/z.npy 2>&-", 2, ""),
    ],
)
def test_a_closed_stream_leads_nowhere(redirected, code, errors, lane, tmp_path):
    np.save(tmp_path / "x.npy", np.load(lane.data / "test.npy")[:3])
    done = shell(f"{COMMAND} {redirected.format(bundle=lane.bundle, tmp=tmp_path)}")
    assert done.returncode == code
    assert done.stderr.startswith(errors) and len(done.stderr.splitlines()) == bool(errors)
    assert (tmp_path / "z.npy").is_file() == (code == 0)
    if code == 0:
        assert np.load(tmp_path / "z.npy").shape == (3, 2)


@pytest.mark.parametrize(
    "environment",
    [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}],
    ids=["ascii", "C"],
)
def test_a_terminal_that_knows_few_signs_is_written_in_plain_ones(environment, lane, tmp_path):
    (tmp_path / "caf\udce9").mkdir()
    (tmp_path / "caf\udce9" / "smoke").symlink_to(lane.report)
    done = shell(f"{COMMAND} summary {tmp_path}/caf* {tmp_path} | tr -d '\\351'", **environment)
    assert done.stderr == ""
    assert " +/- " in done.stdout and "caf/smoke" in done.stdout


def test_a_second_signal_ends_at_once_in_one_line(tmp_path):
    program = (
        "import time; from vae_pipeline import __main__; from vae_pipeline.cli import main as cli\n"
        "def app():\n"
        "    try:\n        print('on', flush=True)\n        time.sleep(30)\n"
        "    finally:\n        print('cleaning', flush=True)\n        time.sleep(30)\n"
        "cli.app = app\n__main__.main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for said in ("on\n", "cleaning\n"):
        assert process.stdout.readline() == said
        process.send_signal(signal.SIGINT)
    started = time.monotonic()
    _, errors = process.communicate(timeout=20)
    assert time.monotonic() - started < 5
    assert (process.returncode, errors) == (130, "vae-pipeline: SIGINT again: ended at once\n")
