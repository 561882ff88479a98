"""Intervals: their factor, how they follow the deviation, and what share they hold."""

import math

import numpy as np
import pytest
import torch

from vae_pipeline.models.intervals import LEAST, Intervals, conformal_factor, fitted


def test_intervals_hold_their_share_of_new_images_whose_values_depend_on_each_other():
    """The mean over many calibrations, of 30 images each, with one noise level an image; the bound is 2 / 31 loose."""
    draw = torch.Generator().manual_seed(0)
    found = []
    for _ in range(400):
        levels = 0.2 + torch.rand(40, 1, generator=draw)
        ratios = (levels * torch.randn(40, 30, generator=draw)).abs()
        factor = conformal_factor(ratios[:30], 0.8)
        found.append((ratios[30:] <= factor).float().mean().item())
    assert 0.8 <= np.mean(found) <= 0.8 + 2 / 31


@pytest.mark.parametrize(("images", "missed"), [(9, 0), (19, 20), (99, 100 * 9 + 90)])
def test_the_factor_leaves_out_as_many_values_as_the_risk_allows(images, missed):
    """Of n images the mean share of missed values may be ((n + 1) (1 - coverage) - 1) / n."""
    values = 20 if images < 99 else 110
    ratios = torch.arange(1, images * values + 1).float().view(images, values)
    allowed = math.floor(((images + 1) * 0.1 - 1) * values + 1e-9)
    assert int((ratios > conformal_factor(ratios, 0.9)).sum()) == allowed == missed


def test_too_few_images_give_intervals_of_the_whole_range():
    assert conformal_factor(torch.ones(8, 20), 0.9) * LEAST >= 1
    for images in (1, 9):
        wide = fitted(torch.rand(images, 20), torch.rand(images, 20), 0.9)
        assert (wide(torch.rand(5)) >= 1).all()


def test_half_widths_are_on_lines_between_logs_of_deviations():
    knots, widths = np.array([0.01, 0.1, 0.4]), np.array([0.002, 0.2, 0.5])
    made = Intervals(torch.tensor(knots).log(), torch.tensor(widths).log())
    asked = np.geomspace(0.003, 1, 50)
    wanted = np.exp(np.interp(np.log(asked), np.log(knots), np.log(widths)))
    np.testing.assert_allclose(made(torch.tensor(asked)).numpy(), wanted, rtol=1e-6)


def test_sure_and_unsure_values_have_the_coverage_alike():
    """Of three values in four nearly nothing is uncertain, and deviations are told wrongly by a power of 1.3."""
    draw = torch.Generator().manual_seed(0)
    sure = torch.rand(300, 400, generator=draw) < 0.75
    spread = torch.where(sure, 0.004, 0.05 + 0.3 * torch.rand(300, 400, generator=draw))
    away, deviation = (spread * torch.randn(300, 400, generator=draw)).abs(), spread**1.3
    made = fitted(away[:200], deviation[:200], 0.9)
    inside = away[200:] <= made(deviation[200:])
    assert inside[sure[200:]].float().mean() == pytest.approx(0.9, abs=0.02)
    assert inside[~sure[200:]].float().mean() == pytest.approx(0.9, abs=0.02)
    for low in (0.05, 0.15, 0.25):
        some = (spread[200:] >= low) & (spread[200:] < low + 0.1)
        assert inside[some].float().mean() == pytest.approx(0.9, abs=0.03)


def test_values_of_which_there_is_no_doubt_do_not_make_the_others_narrower():
    draw = torch.Generator().manual_seed(0)
    away = torch.randn(1000, 100, generator=draw).abs()
    away[:, :80] = 0
    deviation = torch.where(torch.arange(100) < 80, 0.002, 1.0).expand(1000, 100)
    made = fitted(away[:500], deviation[:500], 0.9)
    assert (away[500:, 80:] <= made(deviation[500:, 80:])).float().mean() == pytest.approx(0.9, abs=0.02)
