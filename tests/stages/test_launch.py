"""Several processes of one command: whatever ends them, the first cause is told, once."""

import sys

import pytest

from vae_pipeline.stages.launch import launch
from vae_pipeline.system.errors import LOST, TrainingError

OTHERS = "and the others were stopped; the same command goes on from the last checkpoint"


def ends(line, code):
    return f"echo 'vae-pipeline: {line}' >&2; exit {code}"


def lost(rank):
    return ends(f"process {rank} of 2 {LOST} (Connection closed by peer)", 1)


TRACEBACK = "printf 'Traceback\\nRuntimeError: a shape\\n' >&2; exit 1"
KILLED = "kill -9 $$"


@pytest.fixture
def ran(tmp_path, monkeypatch, capfd):
    """The exit code, the error and the complaints of two processes that run these shell commands."""

    def run(*commands):
        program = tmp_path / "python"
        cases = "".join(f"{rank}) {command} ;;\n" for rank, command in enumerate(commands))
        program.write_text(f"#!/bin/sh\ncase $RANK in\n{cases}esac\n")
        program.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(program))
        code, error = 0, ""
        try:
            launch(["train"], 2, 1)
        except SystemExit as ended:
            code = ended.code
        except TrainingError as told:
            code, error = told.exit_code, str(told)
        return code, error, capfd.readouterr().err

    return run


@pytest.mark.parametrize("late", [(0, 1), (1, 0)], ids=["the second ends first", "the first ends first"])
class TestEitherMayEndFirst:
    @pytest.fixture
    def both(self, ran, late):
        """The first to end has no time to spare, the other is half a second later."""
        return lambda *commands: ran(
            *(f"sleep {0.5 * (rank == late[0])}; {each}" for rank, each in enumerate(commands))
        )

    def test_an_error_of_the_first(self, both):
        assert both(ends("the loss is nan", 1), lost(1)) == (1, "", "vae-pipeline: the loss is nan\n")
        assert both(ends("disk: no space left", 2), lost(1)) == (2, "", "vae-pipeline: disk: no space left\n")
        assert both(TRACEBACK, lost(1)) == (1, "", "Traceback\nRuntimeError: a shape\n")

    def test_an_error_of_the_second(self, both):
        assert both(lost(0), ends("out of memory", 2)) == (2, "", "vae-pipeline: process 1 of 2: out of memory\n")
        told = f"process 1 of 2 ended with exit code 1 (RuntimeError: a shape), {OTHERS}"
        assert both(lost(0), TRACEBACK) == (1, told, "")

    def test_an_error_of_both(self, both):
        assert both(ends("the recipe", 2), ends("the recipe", 2)) == (2, "", "vae-pipeline: the recipe\n")
        assert both(ends("the loss is nan", 1), ends("the loss is nan", 1)) == (
            1,
            "",
            "vae-pipeline: the loss is nan\n",
        )


@pytest.mark.parametrize("rank", [0, 1])
def test_one_that_is_killed_is_the_cause_whatever_the_other_says(ran, rank):
    for other in (lost(1 - rank), TRACEBACK):
        commands = [f"sleep 0.5; {other}"] * 2
        commands[rank] = KILLED
        code, told, said = ran(*commands)
        assert (code, told) == (1, f"process {rank} of 2 was ended by SIGKILL, {OTHERS}")
        assert "vae-pipeline" not in said


def test_a_library_that_aborts_after_anothers_error_is_not_the_cause(ran):
    assert ran(f"sleep 0.5; {ends('no disk', 2)}", "kill -6 $$") == (2, "", "vae-pipeline: no disk\n")
    assert ran(lost(0), "echo terminate called >&2; kill -6 $$")[1] == (
        f"process 1 of 2 was ended by SIGABRT (terminate called), {OTHERS}"
    )


def test_warnings_of_the_first_are_shown_as_they_come(ran):
    warns = "echo warning: few >&2; printf 'half a ' >&2; sleep 0.4; echo line >&2; exit 0"
    assert ran(warns, "echo warning: few >&2; exit 0") == (0, "", "warning: few\nhalf a line\n")
