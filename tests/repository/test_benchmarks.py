"""The runner of benchmarks lists every table, and a page tells what is stored."""

import ast
import re

import pytest
from benchmarks.__main__ import main
from benchmarks.store import Store
from benchmarks.table import NAMES, load, told
from benchmarks.tables.denoising.mixtures import TEST_NOISES, VALID_NOISES
from tests.lanes import ROOT
from tests.repository.names import source

from vae_pipeline.recipe import Recipe

TABLES = {name: load(name) for name in NAMES}
STORED = [name for name in NAMES if Store.of(name).path.is_file() and TABLES[name].PAGE is not None]


def test_the_list_has_a_line_for_each_table(capsys):
    main([])
    listed = " ".join(capsys.readouterr().out.split())
    assert all(f" {name} {told(name).splitlines()[0]} " in listed for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_table_says_what_it_needs_and_takes_its_options(name, capsys):
    assert told(name).split("\n\n")[1].startswith("Needs ")
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    assert ("--page" in capsys.readouterr().out) == (TABLES[name].PAGE is not None)


@pytest.mark.parametrize("name", STORED)
def test_a_page_is_what_its_table_would_write_now(name):
    assert TABLES[name].page(Store.of(name).read()) == TABLES[name].PAGE.read_text()


def test_what_the_programs_import_of_the_package_is_there():
    """Workers run in environments of their own, so that no test imports them."""
    imported = {
        f"{node.module}.{alias.name}"
        for path in (ROOT / "benchmarks" / "workers").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("vae_pipeline.")
        for alias in node.names
    }
    assert imported != set()
    assert {name for name in imported if not source().has(name)} == set()


def test_every_stored_result_is_of_a_table_and_none_is_lost():
    results = ROOT / "benchmarks" / "results"
    assert {path.stem for path in results.iterdir()} <= set(NAMES)
    assert {"performance", "quality", "anomaly", "defects", "first_attempts", "out_of_distribution"} <= set(STORED)


def test_a_page_of_nothing_is_refused(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("benchmarks.store.RESULTS", tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["quality", "--page"])
    assert ended.value.code == 2
    assert "nothing of quality is stored yet" in capsys.readouterr().err


def test_rows_replace_those_of_their_section_alone(tmp_path):
    store = Store(tmp_path / "table.json")
    assert store.rows("one") == {}
    store.keep("one", {"a": 1})
    store.keep("two", {"b": 2})
    store.keep("one", {"c": 3})
    assert (store.rows("one"), store.rows("two")) == ({"c": 3}, {"b": 2})
    assert set(store.read()["one"]) == {"date", "machine", "rows"}


def test_tables_that_pages_name_are_there():
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "benchmarks" / "README.md"]:
        if page.name != "log.md":  # an entry has the commands of its day
            named = re.findall(r"(?:make bench TABLE=|python -m benchmarks )([a-z]\w*)", page.read_text())
            assert {*named} <= {*NAMES}, page


def test_the_readme_of_the_benchmarks_tells_of_each():
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "benchmarks/README.md").read_text(), flags=re.MULTILINE)
    assert sorted(rows) == [*NAMES]


@pytest.mark.parametrize("part", ["valid", "test"])
def test_our_denoiser_of_speech_was_trained_on_no_noise_that_it_is_measured_on(part):
    """Freesound's number of a recording, or the name of a file, is in the patterns of the recipe and of the table."""
    held_back = Recipe.load(ROOT / "pipeline" / "speech_denoise.yaml").data.noises.model_dump()[part]["pattern"]
    measured = {"valid": VALID_NOISES, "test": TEST_NOISES}[part]
    named = set(re.findall(r"\d{6}|[a-z]+_[a-z]+", measured))
    assert named and all(re.search(held_back, f"4-{name}-A.wav" if name.isdigit() else f"{name}.wav") for name in named)
