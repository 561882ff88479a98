"""Temperatures of a draw's noise."""

from dataclasses import replace

import numpy as np
import pytest

from vae_pipeline.runtime.bundle import Bundle
from vae_pipeline.runtime.temperature import drawn, factors, one, temperatures
from vae_pipeline.system.errors import DataError


def test_each_level_has_its_own_factor_and_a_chosen_component_none():
    np.testing.assert_array_equal(factors(0.5, (2, 3), 5), [0.5] * 5)
    np.testing.assert_array_equal(factors([0.5, 1], (2, 3), 6), [1, 0.5, 0.5, 1, 1, 1])
    assert temperatures("0.7,1") == [0.7, 1.0]


@pytest.mark.parametrize(
    ("temperature", "levels", "text"),
    [
        (-1, (4,), "temperature -1 was given; wanted one number, from 0"),
        (float("nan"), (4,), "temperature nan was given; wanted one number, from 0"),
        ([1, float("inf")], (2, 2), "temperature 1, inf was given; wanted one number for all 2 levels"),
        ([1, 1, 1], (2, 2), "temperature 1, 1, 1 was given; wanted one number for all 2 levels"),
        ([], (4,), "wanted one number"),
    ],
)
def test_what_is_no_temperature_is_refused(temperature, levels, text):
    with pytest.raises(DataError, match=text):
        factors(temperature, levels, sum(levels))


def test_text_that_is_no_number_is_refused():
    with pytest.raises(DataError, match="temperature 'warm' was given; wanted a number"):
        temperatures("warm")


def test_tokens_have_one_temperature():
    assert one([0.7]) == 0.7
    with pytest.raises(DataError, match="2 temperatures were given; tokens have one"):
        one([1, 1])


def test_samples_at_temperature_0_are_the_mean_path_and_at_1_as_ever(lane):
    bundle = Bundle.load(lane.bundle)
    np.testing.assert_array_equal(bundle.sample(3, temperature=1.0), bundle.sample(3))
    cold = bundle.sample(3, temperature=0.0)
    np.testing.assert_array_equal(cold, np.repeat(cold[:1], 3, 0))


@pytest.mark.slow
def test_a_ladder_takes_a_temperature_for_each_level(ladder_lane):
    bundle = Bundle.load(ladder_lane.bundle)
    top, below = bundle.manifest.levels
    noise = drawn(3, 0, 1, (bundle.latents,), bundle.manifest.noise)
    assert noise.shape == (3, top + below)
    noise[:, top:] = 0
    np.testing.assert_allclose(bundle.sample(3, temperature=[1, 0]), bundle.decode(noise), atol=1e-5)
    with pytest.raises(DataError, match="temperature 1, 1, 1 was given; wanted one number for all 2 levels"):
        bundle.sample(3, temperature=[1, 1, 1])


@pytest.mark.slow
def test_a_fitted_sampler_takes_one_temperature(ladder_lane):
    """It mixes its noise in all levels, so that none has numbers of its own."""
    bundle = Bundle.load(ladder_lane.bundle)
    bundle.manifest = replace(bundle.manifest, sampler="mixture")
    with pytest.raises(DataError, match="wanted one number, from 0"):
        bundle.sample(3, temperature=[1, 0])
