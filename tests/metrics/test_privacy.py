"""What drawn rows tell of those that were trained on."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from tests.metrics.test_tables import COLUMNS, LINE

from vae_pipeline.kinds.spec import Column
from vae_pipeline.metrics import privacy
from vae_pipeline.metrics.detection import hanley_mcneil

NUMBERS = [Column(str(at), "number", False, LINE) for at in range(4)]


@pytest.fixture(scope="module")
def rows():
    """Rows of training, of a test part, and new ones, of one distribution."""
    return np.random.default_rng(1).normal(size=(3, 400, 4))


@pytest.fixture(scope="module")
def mixed():
    """Forty rows of two numbers and two classes, some of whose values are missing."""
    draw = np.random.default_rng(2)
    found = np.stack([*draw.normal(size=(2, 40)), draw.choice(3, 40), draw.choice(2, 40)], 1)
    return np.where(draw.random((40, 4)) < [0.2, 0, 0.2, 0], np.nan, found)


def distance(*parts):
    return privacy.RowDistance(np.concatenate(parts), NUMBERS)


def test_copies_are_counted_to_the_last_digit(rows):
    train, other = rows[:2].astype(np.float32)
    planted = np.concatenate([other, train[:25]])
    assert privacy.copies(train, planted) == pytest.approx(25 / 425)
    planted[-25:, 1] = np.nextafter(planted[-25:, 1], np.float32(9))
    assert privacy.copies(train, planted) == 0


def test_rows_near_training_are_told_and_new_ones_arent(rows):
    train, test, new = rows
    fair = privacy.nearer_to(train, test, new, distance(train, test))
    assert fair.mean() == pytest.approx(0.5, abs=3 * fair.std() / np.sqrt(400))
    copied = train + np.random.default_rng(0).normal(scale=0.01, size=train.shape)
    assert privacy.nearer_to(train, test, copied, distance(train, test)).mean() > 0.98
    assert (privacy.nearer_to(train, train, new, distance(train)) == 0.5).all()


def test_the_distance_is_that_of_ranks_and_classes(mixed):
    found = privacy.RowDistance(mixed, COLUMNS)(mixed, mixed)
    wanted = np.zeros((40, 40))
    for one in range(40):
        for other in range(40):
            for at in range(4):
                first, second = mixed[one, at], mixed[other, at]
                if np.isnan(first) or np.isnan(second):
                    wanted[one, other] += np.isnan(first) != np.isnan(second)
                elif at >= 2:
                    wanted[one, other] += first != second
                else:
                    known = mixed[~np.isnan(mixed[:, at]), at]
                    wanted[one, other] += abs((known <= first).sum() - (known <= second).sum()) / len(known)
    assert found == pytest.approx(wanted)


def test_members_are_told_as_well_as_their_distances_say(rows):
    train, test, new = rows
    away = distance(train, test)
    drawn = np.concatenate([new[:100], train[:200] + 0.001])
    near, far = (away(side, drawn).min(1).round(9) for side in (train, test))
    wanted = roc_auc_score(np.repeat([1, 0], 400), -np.concatenate([near, far]))
    found = privacy.membership(train, test, drawn, away)
    assert found == pytest.approx(wanted, abs=1e-6) and found > 0.7
    assert privacy.membership(train, train, new, away) == 0.5
    # Hanley and McNeil, 1982: 51 abnormal and 58 normal cases
    assert hanley_mcneil(0.893, 51, 58) == pytest.approx(0.032, abs=0.001)


def test_values_are_guessed_of_whoever_was_copied_alone():
    draw = np.random.default_rng(3)
    known, others = draw.choice(12, (2, 300, 4)).astype(float)
    columns = [Column(str(at), "category", False, LINE, tuple("abcdefghijkl")) for at in range(4)]
    away = privacy.RowDistance(known, columns)
    assert privacy.disclosure(known, known, away) > 0.85  # unless another row has the same three values beside it
    assert privacy.disclosure(others, known, away) == pytest.approx(1 / 12, abs=0.03)


def test_all_figures_have_floors(rows):
    train, test, new = rows.astype(np.float32)
    found = privacy.privacy(train, test, new, NUMBERS, 0)
    assert found.copies == found.copies_of_test == 0
    assert found.membership_auc == pytest.approx(0.5, abs=3 * found.membership_standard_error)
    assert found.disclosure == pytest.approx(found.disclosure_of_test, abs=0.05)
    assert privacy.privacy(train, test, train, NUMBERS, 0).membership_auc == 1
