"""Shell completion, as a shell asks for it."""

import pytest
from typer.testing import CliRunner

from vae_pipeline.cli.main import app
from vae_pipeline.system.tracking import tracker


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("pipeline/digits.yaml", "pipeline/smoke.yaml", "exports/digits/bundle.json", "exports/half/x.onnx"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()


def completed(line):
    """What bash is given for the last word of the line."""
    words = line.split(" ")
    asked = {"COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1)}
    asked["_VAE_PIPELINE_COMPLETE"] = "complete_bash"
    return CliRunner().invoke(app, [], prog_name="vae-pipeline", env=asked).stdout.split()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("vae-pipeline trai", ["train"]),
        ("vae-pipeline train ", ["pipeline/digits.yaml", "pipeline/smoke.yaml"]),
        ("vae-pipeline run pipeline/s", ["pipeline/smoke.yaml"]),
        ("vae-pipeline score ", ["exports/digits"]),
        ("vae-pipeline score exports/digits da", []),  # the shell then completes files
        ("vae-pipeline score exports/digits --resize cr", ["crop"]),
        ("vae-pipeline score exports/digits --alp", ["--alpha"]),
    ],
)
def test_words_are_completed(line, words, project):
    assert completed(line) == words


def test_nothing_is_fetched_while_a_shell_waits(project, monkeypatch):
    monkeypatch.setattr(tracker, "fetch_bundle", lambda *_: pytest.fail("it was fetched"))
    assert completed("vae-pipeline score models:/digits@champion --js") == ["--json"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(shell):
    env = {"_VAE_PIPELINE_COMPLETE": f"source_{shell}"}
    script = CliRunner().invoke(app, [], prog_name="vae-pipeline", env=env).stdout
    assert "vae-pipeline" in script and f"_VAE_PIPELINE_COMPLETE=complete_{shell}" in script
