"""Paths, paces and measures beside closed forms: decoders whose shortest ways are known."""

import numpy as np
import pytest

from vae_pipeline.runtime.geodesics import along, geodesic
from vae_pipeline.runtime.morphs import morph
from vae_pipeline.runtime.paths import evenly, path_between, step_sizes, variation
from vae_pipeline.system.errors import DataError

FINE = np.linspace(0, 1, 400)


def polar(z):
    """Radius and angle to the plane, whose straight lines are the shortest ways."""
    return z[:, :1] * np.stack([np.cos(z[:, 1]), np.sin(z[:, 1])], axis=1)


def sphere(z):
    """Latitude and longitude to the unit sphere in three dimensions."""
    return np.stack([np.cos(z[:, 0]) * np.cos(z[:, 1]), np.cos(z[:, 0]) * np.sin(z[:, 1]), np.sin(z[:, 0])], axis=1)


def straight(decode, start, end):
    return lambda place: decode(path_between(np.array(start), np.array(end), place, "linear"))


@pytest.mark.parametrize(
    ("decode", "start", "end", "shortest", "begun"),
    [
        (polar, [1.0, 0.0], [1.0, np.pi / 2], np.sqrt(2), np.pi / 2),
        (polar, [0.5, 0.2], [2.0, 1.2], np.sqrt(0.25 + 4 - 2 * np.cos(1.0)), None),
        (sphere, [np.pi / 4, 0.0], [np.pi / 4, np.pi / 2], np.pi / 3, np.cos(np.pi / 4) * np.pi / 2),  # a great circle
        (lambda z: z * np.array([1.0, 9.0]), [0.0, 1.0], [2.0, -1.0], np.hypot(2, 18), np.hypot(2, 18)),
    ],
    ids=["a quarter turn", "from one radius to another", "a great circle", "a stretched axis"],
)
def test_a_geodesic_is_as_long_as_the_shortest_way(decode, start, end, shortest, begun):
    start, end = np.array(start, np.float32), np.array(end, np.float32)
    nodes = geodesic(decode, start, end)
    assert nodes.shape == (16, 2)
    np.testing.assert_array_equal(nodes[[0, -1]], [start, end])
    length = step_sizes(along(decode, nodes), FINE).sum()
    assert length == pytest.approx(shortest, rel=3e-3)
    if begun is not None:
        assert step_sizes(straight(decode, start, end), FINE).sum() == pytest.approx(begun, rel=1e-3)
    np.testing.assert_array_equal(geodesic(decode, start, end), nodes)


def test_over_many_latents_a_geodesic_is_never_longer():
    """A bent decoder of 100 latents, of which a step moves 64 directions; and one that tells nothing of the way."""
    mixing = np.random.default_rng(0).standard_normal((100, 40)) / 5

    def bent(z):
        return np.tanh(z @ mixing)

    start, end = np.random.default_rng(1).standard_normal((2, 100)).astype(np.float32)
    lengths = [
        step_sizes(seen, FINE).sum() for seen in (along(bent, geodesic(bent, start, end)), straight(bent, start, end))
    ]
    chord = np.linalg.norm(np.diff(bent(np.stack([start, end])), axis=0))
    assert chord <= lengths[0] < 0.97 * lengths[1]

    def still(z):
        return np.zeros((len(z), 3))

    np.testing.assert_allclose(geodesic(still, start, end), np.linspace(start, end, 16), atol=1e-6)


@pytest.mark.parametrize("steps", [5, 16])
def test_even_steps_are_equal_on_a_path_that_bends(steps):
    """A spiral that speeds up and turns back on itself: equal parts of its length are not equally far apart."""

    def spiral(place):
        turn = 4 * np.pi * place**2
        return np.stack([turn * np.cos(turn), turn * np.sin(turn), 40 * place**6], axis=1)

    places = evenly(spiral, steps)
    assert places[0] == 0 and places[-1] == 1 and (np.diff(places) > 0).all()
    sizes = np.linalg.norm(np.diff(spiral(places), axis=0), axis=1)
    assert variation(sizes) <= 0.01
    assert variation(step_sizes(spiral, np.linspace(0, 1, steps))) > 0.3


def line(start, end):
    return lambda place: np.asarray(start) + place[:, None] * (np.asarray(end) - np.asarray(start, float))


def quarter(place):
    return np.stack([np.cos(np.pi / 2 * place), np.sin(np.pi / 2 * place)], axis=1)


class TestMorph:
    def test_a_cross_fade_measures_as_one(self):
        found = morph([line([0, 0], [3, 4])], 6, False, 0, False)
        assert found.frames.tolist() == line([0, 0], [3, 4])(np.linspace(0, 1, 6)).tolist()
        assert vars(found.whole) == pytest.approx(
            {"step_variation": 0, "length_over_chord": 1, "midpoint_distance": 0.5}, abs=1e-6
        )

    def test_an_arc_measures_as_one(self):
        (way,) = morph([quarter], 9, False, 0, False).ways
        assert way.length_over_chord == pytest.approx(np.pi / 2 / np.sqrt(2), rel=1e-4)
        assert way.midpoint_distance == pytest.approx(2 * np.sin(np.pi / 8) / np.sqrt(2), rel=1e-3)
        assert way.step_variation == pytest.approx(0, abs=1e-6)

    def test_through_several_it_keeps_its_pace(self):
        ways = [line([0, 0], [1, 0]), lambda place: line([1, 0], [1, 5])(place**3)]
        plain, even = (morph(ways, 31, each, 0, False) for each in (False, True))
        assert even.whole.step_variation <= 0.02
        assert plain.whole.step_variation > 0.5
        assert len(even.frames) == len(plain.frames) == 31
        for found, at in ((plain, 15), (even, 5)):
            np.testing.assert_allclose(found.frames[[0, at, -1]], [[0, 0], [1, 0], [1, 5]])

    def test_a_hold_and_a_loop(self):
        ways = [line([0], [1]), line([1], [0])]
        assert morph(ways, 5, False, 2, False).frames.ravel().tolist() == [0, 0, 0, 0.5, 1, 1, 1, 0.5, 0, 0, 0]
        assert morph(ways, 5, False, 2, True).frames.ravel().tolist() == [0, 0, 0, 0.5, 1, 1, 1, 0.5]

    def test_ends_that_look_alike_have_no_ratio(self):
        found = morph([line([2], [2]), line([2], [3])], 7, True, 0, False)
        assert (found.ways[0].length_over_chord, found.ways[0].midpoint_distance) == (None, None)
        assert found.whole.length_over_chord == pytest.approx(1)
        assert len(found.frames) == 7

    @pytest.mark.parametrize(
        ("frames", "hold", "message"),
        [(2, 0, "2 frames were asked for, and the morph goes through 3 stops"), (9, -1, "held for -1 frames")],
    )
    def test_what_cannot_be_shown_is_refused(self, frames, hold, message):
        with pytest.raises(DataError, match=message):
            morph([line([0], [1]), line([1], [0])], frames, False, hold, False)
