"""The table of all models fits the terminal that it is printed on, and nothing in it is cut."""

import io
import json

import pytest
from rich.console import Console

from vae_pipeline.stages.summary import print_summary, summary_in_markdown
from vae_pipeline.system.seal import seal

FIGURES = {
    "elbo": 13830.12, "distortion": -13990.22, "rate": 160.1, "importance_bound": 13956.5,
    "importance_bound_standard_error": 404.62, "pareto_k_over_0.7": 0.12, "active_units": 32, "latents": 32,
    "psnr": 22.11, "auroc": 0.962, "failed_gates": [],
}  # fmt: skip


@pytest.fixture
def reports(tmp_path):
    (tmp_path / "mnist_defects").mkdir()
    (tmp_path / "mnist_defects" / "metrics.json").write_text(json.dumps(FIGURES))
    seal(tmp_path / "mnist_defects")
    return tmp_path


def test_gates_that_fail_are_named(reports):
    (reports / "mnist_defects" / "metrics.json").write_text(
        json.dumps({**FIGURES, "failed_gates": ["elbo", "below_pca"]})
    )
    seal(reports / "mnist_defects")
    file = io.StringIO()
    print_summary(Console(file=file, width=80), reports, reports)
    assert "gates not kept  mnist_defects: elbo, below_pca" in file.getvalue()


@pytest.mark.parametrize(("width", "terminal", "shown"), [
    (60, True, ("13830.12", "13956.50 ± 404.62", "12%", "0.962")),
    (80, True, ("13830.12", "160.10", "13956.50 ± 404.62", "12%", "0.962")),
    (120, True, ("13830.12", "-13990.22", "160.10", "13956.50 ± 404.62", "12%", "32/32", "22.1 dB", "0.962")),
    (60, False, ("13830.12", "-13990.22", "160.10", "13956.50 ± 404.62", "12%", "32/32", "22.1 dB", "0.962")),
])  # fmt: skip
def test_nothing_is_cut(reports, width, terminal, shown):
    file = io.StringIO()
    print_summary(Console(file=file, width=width, force_terminal=terminal, color_system=None), reports, reports)
    row = next(line for line in file.getvalue().splitlines() if line.startswith(" mnist_defects"))
    assert "…" not in file.getvalue()
    assert all(figure in row for figure in shown)
    assert not terminal or len(row) <= width


def test_markdown_is_a_table_with_parity_and_pictures(reports, tmp_path):
    folder, bundle = reports / "mnist_defects", tmp_path / "exports" / "mnist_defects"
    (folder / "plots").mkdir()
    (folder / "plots" / "samples.png").write_bytes(b"")
    bundle.mkdir(parents=True)
    (bundle / "parity.json").write_text(json.dumps({"agreement": [{"relative": 1e-6}, {"relative": 2.34e-6}]}))
    text = summary_in_markdown(reports, tmp_path / "exports", "https://host/raw")
    head, _, row, *_ = [line.strip("| ").split(" | ") for line in text.splitlines()]
    assert len(head) == len(row)
    assert dict(zip(head, row, strict=True))["ELBO"] == "13830.12"
    assert row[-2:] == ["2.3e-06", "kept"]
    assert "![mnist_defects: samples.png](https://host/raw/mnist_defects/plots/samples.png)" in text
    assert "![" not in summary_in_markdown(reports, tmp_path / "exports", None)
