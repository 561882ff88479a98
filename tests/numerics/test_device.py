"""The memory of a process that computes."""

import subprocess
import sys

import pytest

FAULTS = """
import resource

import torch

from vae_pipeline.numerics.device import keep_memory


def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(3):
        torch.ones(2**25)  # 128 MiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


given_back = faults()
keep_memory()
faults()
print(given_back, faults())
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the C library is another")
def test_memory_of_large_tensors_is_used_again():
    given_back, kept = map(int, subprocess.check_output([sys.executable, "-c", FAULTS], text=True).split())
    assert kept < given_back / 10
