"""Rows of a table whose density rounding decides: they are known, and not compared."""

import numpy as np
import torch
from torch.distributions import Categorical

from vae_pipeline.models.likelihoods.histogram import DOUBT, Cells

CORES = torch.tensor([[-0.5, 0.0, 1.0, 1.5], [1.75, 2.0, 3.0, 3.25]], dtype=torch.float64)


def test_rows_at_the_end_of_a_cell_or_a_core_are_doubtful():
    cells = Cells([CORES])
    values = torch.tensor([-0.5, 0.0, 1.0, 1.5, 1.75, 2.5, 3.25, 9.0])[:, None]
    found = cells.doubtful(values).tolist()
    assert found == [True, False, False, True, True, False, True, False]
    assert cells.doubtful(values + 3 * DOUBT).sum() == 0


def test_a_density_jumps_where_a_row_is_doubtful_and_nowhere_else():
    cells = Cells([CORES])
    shares = cells(Categorical(torch.tensor([[0.1, 0.3, 0.5, 0.1]])).logits)
    at = torch.linspace(-0.9, 3.9, 4_001)[:, None]
    apart = (shares.log_prob(at + DOUBT) - shares.log_prob(at - DOUBT)).abs().flatten()
    jumps = apart > 0.01
    assert jumps.any() and cells.doubtful(at)[jumps].all()
    assert not np.asarray(apart[~cells.doubtful(at)] > 1e-4).any()


def test_no_column_in_cells_has_no_doubtful_row():
    assert Cells([]).doubtful(torch.zeros(3, 0)).tolist() == [False] * 3
