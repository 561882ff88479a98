"""A sample of the mutations of `python -m benchmarks fuzz`; its full counts are in docs/log.md."""

import random
import shutil

import pytest
from benchmarks.tables import fuzz

from vae_pipeline.system.files import content_key


@pytest.mark.parametrize("what", ["bundle", "data"])
def test_mutations_end_in_one_line_or_the_same_result(what, lane, tmp_path):
    mutate, use = {
        "bundle": (fuzz.mutate_bundle, fuzz.use_bundle),
        "data": (fuzz.mutate_prepared, fuzz.use_prepared),
    }[what]
    whole = getattr(lane, what)
    (tmp_path / "secret").write_text(fuzz.SECRET)
    (tmp_path / "out").mkdir()
    wanted = use(whole, None, tmp_path / "out")
    for number in range(1000, 1012):
        folder = shutil.copytree(whole, tmp_path / str(number))
        said, accident = mutate(folder, random.Random(content_key(number)), tmp_path / "secret")
        found = use(folder, None, tmp_path / "out")  # anything but a VaeError would be raised
        assert not accident or found == wanted or any(part.startswith("refused") for part in found), said
        assert "SECRET" not in found
