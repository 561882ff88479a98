"""Equal rows: one observation twice, or answers that many give."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency

from vae_pipeline.estimators.given import of_memory
from vae_pipeline.estimators.synthesizer import VAESynthesizer
from vae_pipeline.kinds.table.repeats import duplicates_of
from vae_pipeline.kinds.table.store import split_table
from vae_pipeline.recipe.split import SplitRule


def answers(count=2000):
    """Rows of three questions, of which nearly half are equal."""
    draw = np.random.default_rng(1)
    return pd.DataFrame({
        "class": draw.choice(["crew", "first", "third"], count, p=[0.6, 0.1, 0.3]),
        "adult": draw.random(count) < 0.95,
        "saved": draw.random(count) < 0.2,
    })  # fmt: skip


def measured(count=300):
    return pd.DataFrame(np.random.default_rng(2).normal(size=(count, 3)), columns=list("abc"))


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        (measured(), "together"),
        (pd.concat([measured(), measured()]), "together"),
        (pd.concat([measured(), measured()[:5]]), "together"),
        (answers(), "keep"),
        (answers().assign(**{f"again{at}": answers()["class"] for at in range(60)}), "keep"),  # none by chance
        (pd.DataFrame({"a": [None, "x"] * 40}), "keep"),
        (measured(1), "together"),
    ],
)
def test_rows_that_are_equal_by_chance_fall_where_they_do(rows, wanted):
    assert duplicates_of(rows) == wanted


def test_parts_of_a_table_of_few_different_rows_are_alike():
    source = of_memory(VAESynthesizer(), answers(), None, None, {}).source
    rows = split_table(source, 0).rows
    part = np.concatenate([np.full(len(indices), at) for at, indices in enumerate(rows.values())])
    every = np.asarray(source.rows)[np.concatenate(list(rows.values()))]
    for values in every.T:
        assert chi2_contingency(pd.crosstab(part, values)).pvalue > 0.001


def test_a_division_that_keeps_too_many_equal_rows_together_says_so():
    source = of_memory(VAESynthesizer(), answers(), None, None, {}).source
    together = SplitRule(size="exact", duplicates="together")
    notes = split_table(type(source)(**{**vars(source), "split": together}), 0).notes
    assert [note for note in notes if "split.duplicates keep" in note]
    assert not split_table(source, 0).notes
