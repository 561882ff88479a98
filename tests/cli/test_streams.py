"""The command line where standard streams are closed or know few signs: each test starts a process."""

import io
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from vae_pipeline.cli.output import console, looking, write_sentences
from vae_pipeline.stages.display import Display
from vae_pipeline.training.length import Length
from vae_pipeline.training.loop import Progress

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


@pytest.mark.parametrize(
    ("ending", "code"),
    [("", 0), ("raise SystemExit", 0), ("raise SystemExit(3)", 3), ("raise SystemExit('no')", 1), ("1 / 0", 1)],
)
def test_a_process_ends_with_its_code_after_all_else(ending, code):
    program = (
        "import atexit, threading, time; from vae_pipeline import __main__; from vae_pipeline.cli import main as cli\n"
        "def app():\n"
        "    atexit.register(print, 'registered')\n"
        "    threading.Thread(target=lambda: (time.sleep(0.2), print('in a thread'))).start()\n"
        f"    {ending}\n"
        "cli.app = app\n__main__.main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (code, "in a thread\nregistered\n")


class Stream(io.StringIO):
    """Standard output, or the stream of errors, that is a terminal or isn't."""

    terminal = False

    def isatty(self):
        return self.terminal


def shown(monkeypatch, terminal, **environment):
    """What is written on both streams of a run and a warning, with the environment given."""
    for name in ("FORCE_COLOR", "NO_COLOR", "TERM", "COLUMNS", "TTY_INTERACTIVE", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm", **environment}.items():
        monkeypatch.setenv(name, value)
    written = Stream()
    written.terminal = terminal
    monkeypatch.setattr(sys, "stdout", written)
    monkeypatch.setattr(sys, "stderr", written)
    printer = console()
    with Display(printer, "digits", Length(steps=2, epoch=1)) as display, looking():
        display.step(Progress(1, 2, 1, None))
        printer.print("warning: it is late", style="yellow")
    return written.getvalue()


DRAWN_OVER = ("\x1b[2K", "\x1b[?25l", "\r")


@pytest.mark.parametrize(
    ("terminal", "environment", "coloured", "live"),
    [
        (False, {}, False, False),
        (False, {"FORCE_COLOR": "1"}, True, False),  # as on CI, whose logs keep each sign
        (True, {}, True, True),
        (True, {"NO_COLOR": "1"}, False, True),
        (True, {"TERM": "dumb"}, False, False),
        (True, {"COLUMNS": "20"}, True, True),
    ],
)
def test_only_a_terminal_gets_lines_that_are_drawn_over(terminal, environment, coloured, live, monkeypatch):
    written = shown(monkeypatch, terminal, **environment)
    assert "warning: it is late" in written
    assert ("\x1b[33m" in written) == coloured
    assert any(sign in written for sign in DRAWN_OVER) == live


def test_sentences_with_broken_letters_are_counted(tmp_path, capsys):
    write_sentences(tmp_path / "new.txt", ["whole", "brok\N{REPLACEMENT CHARACTER}n"], as_json=False)
    assert "1 of 2 sentences hold \N{REPLACEMENT CHARACTER}" in capsys.readouterr().err
    write_sentences(tmp_path / "new.txt", ["whole"], as_json=False)
    assert not capsys.readouterr().err
