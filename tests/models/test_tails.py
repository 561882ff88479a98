"""Tails of segments: each is that of its own examples, and keeps its word there, where one for all doesn't."""

import numpy as np
import pytest
import torch

from vae_pipeline.models.tails import EmpiricalTail, SegmentTails

DRAW = np.random.default_rng(0)


def tails(known):
    return {code: EmpiricalTail(torch.from_numpy(scores)) for code, scores in known.items()}


@pytest.mark.parametrize("by", ["column", "label"])
def test_a_p_value_is_among_the_segments_own(by):
    known = {0: DRAW.normal(size=50), 2: DRAW.normal(3, 1, 40)}
    own, pooled = tails(known), EmpiricalTail(torch.from_numpy(np.concatenate(list(known.values()))))
    score = torch.from_numpy(DRAW.normal(1, 2, 8)).float()
    code = torch.tensor([0, 2, 1, 0, 2, 3, torch.nan, 2])
    segments = SegmentTails(1 if by == "column" else None, own)
    if by == "label":
        code = code.nan_to_num(9)
    found = segments.p_value(score, pooled.p_value(score), torch.stack([-code, code], 1), code.nan_to_num(9).long())
    wanted = [
        own.get(int(one), pooled).p_value(each[None])[0] for each, one in zip(score, code.nan_to_num(9), strict=True)
    ]
    torch.testing.assert_close(found, torch.stack(wanted))


def test_false_alarms_are_as_many_in_each_segment():
    """Scores of one segment are twice as wide: one threshold for both alarms there too often, and elsewhere never."""
    width = torch.tensor([1.0, 2.0])
    shares = []
    for _ in range(60):
        code = torch.from_numpy(DRAW.integers(0, 2, 400))
        score = torch.from_numpy(DRAW.normal(size=400)).float() * width[code]
        pooled = EmpiricalTail(score[:200])
        own = {one: EmpiricalTail(score[:200][code[:200] == one]) for one in (0, 1)}
        new, of = score[200:], code[200:]
        p_value = SegmentTails(0, own).p_value(new, pooled.p_value(new), of[:, None].float(), None)
        shares.append(
            [[(p[of == one] <= 0.1).float().mean() for one in (0, 1)] for p in (p_value, pooled.p_value(new))]
        )
    found, error = np.mean(shares, 0), np.std(shares, 0) / np.sqrt(60)
    assert (np.abs(found[0] - 0.1) <= 3 * error[0] + 0.011).all()  # p-values are of whole ranks among 100
    assert found[1, 0] < 0.05 and found[1, 1] > 0.15
