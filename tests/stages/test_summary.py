"""The table of all models fits the terminal that it is printed on, and nothing in it is cut."""

import io
import json

import pytest
from rich.console import Console

from vae_pipeline.stages.summary import print_summary
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
