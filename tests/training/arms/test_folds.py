"""Folds hold each class alike, and keep together what belongs together."""

from dataclasses import replace

import numpy as np
import pytest

from vae_pipeline.kinds.store import Split
from vae_pipeline.recipe.study import Study
from vae_pipeline.system.errors import DataError
from vae_pipeline.training.arms.folds import Folds
from vae_pipeline.training.arms.repeats import Repeats

CLASSES = ("healthy", "ill")


def part(count=200, groups=None, seed=0):
    """Images of which no two are equal, a quarter of them ill."""
    x = np.arange(count, dtype=np.float32).reshape(count, 1, 1, 1)
    labels = np.arange(count) % 4 == 0 if groups is None else groups % 4 == 0
    order = np.random.default_rng(seed).permutation(count)
    return Split(x[order], labels.astype(np.int64)[order], groups=None if groups is None else groups[order])


@pytest.fixture(scope="module")
def grouped():
    return part(200, np.repeat(np.arange(50), 4))


def rounds(train, folds, count=2):
    of = Folds(train, folds, 0, CLASSES)
    held = [of.held_back(repeat) for repeat in range(count * folds)]
    return [held[start : start + folds] for start in range(0, len(held), folds)]


@pytest.mark.parametrize("folds", [2, 5, 7])
def test_each_round_holds_back_every_image_once_and_classes_alike(folds):
    train = part()
    first, second = rounds(train, folds)
    for each in (first, second):
        np.testing.assert_array_equal(np.sort(np.concatenate(each)), np.arange(200))
        ill = [train.labels[rows].sum() for rows in each]
        assert max(ill) - min(ill) <= 1 and max(map(len, each)) - min(map(len, each)) <= 2
    assert not np.array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[0], rounds(train, folds)[0][0])


def test_no_group_is_in_two_folds_and_classes_are_nearly_alike(grouped):
    for each in rounds(grouped, 5):
        owners = [set(grouped.groups[rows]) for rows in each]
        assert sum(map(len, owners)) == len(set().union(*owners)) == 50
        assert all(abs(grouped.labels[rows].mean() - grouped.labels.mean()) < 0.12 for rows in each)


def test_equal_images_are_of_one_fold_where_no_groups_are_known():
    train = part()
    x = train.x.copy()
    x[100:] = x[:100]
    train = replace(train, x=x, labels=np.tile(train.labels[:100], 2))
    for each in rounds(train, 5):
        assert sum(len(np.unique(x[rows])) for rows in each) == 100


@pytest.mark.parametrize("named", ["part", "grouped"])
def test_no_labelled_image_or_group_is_held_back(named, grouped, prepared):
    train = {"part": part(), "grouped": grouped}[named]
    own = replace(prepared, train=train)
    study = Study(sizes=(20, "all"), repeats=7, folds=5)
    repeats = Repeats(study, own, 0, CLASSES)
    for repeat in range(study.repeats):
        few, everything = (repeats.draw(size, repeat) for size in study.sizes)
        held = Folds(train, 5, 0, CLASSES).held_back(repeat)
        np.testing.assert_array_equal(few.choosing.x, train.x[held])
        assert len(few.labelled) == 20 and len(everything.labelled) == len(train) - len(held)
        for drawn in (few, everything):
            assert not set(drawn.labelled.x.ravel()) & set(drawn.choosing.x.ravel())
            if train.groups is not None:
                assert not set(drawn.labelled.groups) & set(drawn.choosing.groups)
    least, most = repeats.groups(20, study.repeats) or (0, 0)
    assert (least, most) == (0, 0) if train.groups is None else 5 <= least <= most <= 8


@pytest.mark.parametrize(
    ("folds", "groups", "said"),
    [
        (20, np.repeat(np.arange(50), 4), "class ill has 13 groups in the training part, of which each fold needs one"),
        (60, None, "class ill has 50 different images in the training part"),
    ],
)
def test_data_with_too_few_to_divide_are_refused(folds, groups, said):
    with pytest.raises(DataError, match=f"study.folds is {folds}, and {said}"):
        Folds(part(200, groups), folds, 0, CLASSES)


def test_what_is_held_back_is_not_there_to_draw_from(prepared):
    with pytest.raises(DataError, match=r"study.sizes has 190, and there are 160 training images to draw from"):
        Repeats(Study(sizes=(190,), folds=5), replace(prepared, train=part()), 0, CLASSES)


def test_groups_that_leave_a_fold_without_a_class_are_refused():
    """One group holds images of both classes, so that the two others, of a class each, go into one fold."""
    groups, labels = np.array([0, 0, 1, 1, 2, 2, 2]), np.array([1, 0, 0, 0, 1, 1, 1])
    train = Split(np.zeros((7, 1, 1, 1)), labels, groups=groups)
    with pytest.raises(DataError, match="groups can't be so divided that each fold has images of each class"):
        Folds(train, 2, 0, CLASSES).held_back(0)
