"""A module holds one concept, and so not too many lines."""

from tests.lanes import ROOT

MOST = 300


def test_no_module_is_long():
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in (ROOT / "src").rglob("*.py")}
    assert {path.name: length for path, length in lengths.items() if length > MOST} == {}
    assert len(lengths) > 200


def test_the_root_is_short():
    entries = {path.name for path in (ROOT / "src" / "vae_pipeline").iterdir() if not path.name.startswith("__")}
    paths_of_before = {"detector.py", "sentences.py"}
    assert len(entries - {"py.typed", *paths_of_before}) <= 14
