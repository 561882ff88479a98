"""One model trained by a compiled step: each test starts commands of its own."""

import subprocess

import numpy as np
import pytest
from tests.lanes import figures

pytestmark = pytest.mark.slow


def test_a_compiled_step_trains_as_any_other_does(command, tmp_path):
    even = {"epochs": 10, "batch": 146}  # 438 examples in six pieces of one shape: each shape is compiled anew
    subprocess.run(**command("one", **even), check=True, timeout=120)
    subprocess.run(**command("compiled", compile="on", **even), check=True, timeout=240)
    # The decoder gain, of hundredths, is a difference of two terms of some 98 nats, of which float32 keeps 4e-6.
    np.testing.assert_allclose(figures(tmp_path / "compiled"), figures(tmp_path / "one"), rtol=1e-5, atol=1e-6)


def test_where_nothing_compiles_it_is_said_in_one_line(command, tmp_path):
    run = command("compiled", compile="on")
    run["env"] |= {"CXX": "/bin/false", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(**run, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 and "VAE_COMPILE=off" in done.stderr
