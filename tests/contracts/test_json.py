"""Every command that takes `--json` prints one object of one shape, whether it did well or not."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.main import get_command

from vae_pipeline.cli import main as cli
from vae_pipeline.kinds.image.pictures import save_picture, to_pixels
from vae_pipeline.kinds.store import Prepared

COMMANDS = {
    "sample": ["-o", "s.npy", "--count", "3"],
    "augment": ["-o", "a", "--count", "3", "--how", "posterior", "--data", "x.npy"],
    "reconstruct": ["x.npy", "-o", "r.png"],
    "encode": ["x.npy", "-o", "z.csv"],
    "interpolate": ["x.npy", "-o", "m.gif"],
    "morph": ["x.npy", "-o", "m.npy", "--frames", "5"],
    "edit": ["x.npy", "-o", "e.png", "--towards", "lying:1"],
    "denoise": ["x.npy", "-o", "d.npy"],
    "score": ["x.npy"],
    "inspect": ["x.png", "--alpha", "0.9"],
    "drift": ["x.npy"],
    "watch": ["x.npy"],
    "verify": [],
}
ELSEWHERE = {
    "audit": ["--data", "nowhere"],
    "push": ["hf://joe/bars"],
    "study": [],
    "sweep": ["--set", "model.posterior.latents=2,3"],
    "synthesize": ["-o", "s.csv"],
}
"""Commands that do well in tests/bundles/hub, tests/stages (test_audit.py, test_sweep.py, augmentation) and
tests/estimators/test_synthesizer.py."""
COUNTS = {
    "sample": 3,
    "augment": 3,
    "reconstruct": 3,
    "encode": 3,
    "interpolate": 31,
    "morph": 5,
    "edit": 3,
    "denoise": 3,
    "score": 3,
    "inspect": 1,
    "drift": 1,
    "watch": 1,
    "verify": 7,
}
BESIDE = {"augment": 1, "morph": 3, "edit": 1}
"""Commands that write a file and tell what they found of it too: an origin; two ways and the whole; a direction."""
FOUND = {
    "augment": {"how", "seed", "spread", "label", "class", "bundle_sha256"},
    "edit": {"direction", "amount", "shown", "others", "auroc", "auroc_standard_error"},
    "morph": {"way", "step_variation", "length_over_chord", "midpoint_distance"},
    "score": {"example", "p_value"},
    "inspect": {"file", "tiles", "top", "left", "p_value", "alarm"},
    "drift": {"examples", "verdict"},
    "watch": {"batch", "rows", "evidence", "alarm"},
    "verify": {"graph", "sha256", "difference"},
}


@pytest.fixture
def answer(lane, tmp_path, monkeypatch, capsys):
    """The one object that a command prints, and its exit code."""
    monkeypatch.chdir(tmp_path)
    x = Prepared.open(lane.data).test.x[:3]
    np.save("x.npy", x)
    save_picture(Path("x.png"), np.tile(to_pixels(x[0], 0, 1), (1, 1, 2)))

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["vae-pipeline", *map(str, words), "--json"])
        with pytest.raises(SystemExit) as left:
            cli.main()
        found = json.loads(capsys.readouterr().out)
        assert list(found) == ["count", "out", "error", "found"]
        return found, left.value.code

    return run


def test_every_command_with_the_flag_is_here():
    commands = get_command(cli.app).commands.items()
    assert {name for name, command in commands if any("--json" in each.opts for each in command.params)} == {
        *COMMANDS,
        *ELSEWHERE,
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_what_was_done_or_found(name, answer, lane):
    words = COMMANDS[name]
    found, code = answer(name, lane.bundle, *words)
    assert (code, found["error"], found["count"]) == (0, None, COUNTS[name])
    assert found["out"] == (words[words.index("-o") + 1] if "-o" in words else None)
    assert len(found["found"]) == BESIDE.get(name, 0 if "-o" in words else COUNTS[name])
    assert all(each.keys() >= FOUND[name] for each in found["found"])


@pytest.mark.parametrize("name", [*COMMANDS, *ELSEWHERE])
def test_what_went_wrong(name, answer, tmp_path):
    found, code = answer(name, tmp_path / "nowhere", *{**COMMANDS, **ELSEWHERE}[name])
    assert (code, found["count"], found["out"], found["found"]) == (2, 0, None, [])
    assert "nowhere" in found["error"]


def test_what_was_found_before_it_failed(answer, lane):
    found, code = answer("drift", lane.bundle, "x.npy", "--fail-on", "much")
    assert (code, found["count"], found["found"][0]["verdict"]) == (2, 1, "too few rows")
    assert found["error"].startswith("3 examples beside")


def test_a_file_of_scores_is_named_and_its_rows_are_not_repeated(answer, lane):
    found, code = answer("score", lane.bundle, "x.npy", "-o", "scores.parquet", "--heat-maps", "maps.png")
    assert (code, found) == (0, {"count": 3, "out": "scores.parquet", "error": None, "found": []})


def test_a_pipe_has_room_for_one(answer, lane):
    found, code = answer("sample", lane.bundle, "-o", "-")
    assert code == 2 and found["error"].startswith("-o - and --json were given")
